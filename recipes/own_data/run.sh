#!/usr/bin/env bash
# Teach a model your voice, your microphone or your words, and measure what it gained:
#
#   recipes/own_data/run.sh my_recordings --speaker me
#
#   1 prepare   2 hold out   3 error rate before   4 train   5 make the model   6 error rate after   7 compare
#
# FOLDER              recordings with a .txt each, or with one transcripts.tsv (docs/corpora.md)
# --name NAME         what manifests and results are called (default: the folder's name)
# --speaker NAME      whose voice it is, or --speaker-from REGEX to find it in the path
# --normalize NAME    how the texts are read: librispeech (default) or ljspeech, which spells numbers out
# --model MODEL       where to start (default: the bundled model)
# --hold-out SHARE    of the sentences, for judging (default: 0.2)
# --stage, --stop-stage N     the first and the last stage to run
# -- key=value…       settings that replace those of finetune.yaml, as in `asr train`
. "$(dirname "$0")/../common.sh"

[ $# -gt 0 ] && [ "${1#-}" = "$1" ] || usage
folder=$(absolute "$1") who=() reading=librispeech origin=default share=0.2
# Of `.` and `..` the folder's own name.
name=$(basename "$(cd "$folder" 2>/dev/null && pwd || echo "$1")")
shift
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  [ $# -gt 1 ] || usage
  case "$1" in
    --name) name=$2 ;;
    --speaker | --speaker-from) who=("$1" "$2") ;;
    --normalize) reading=$2 ;;
    --model) origin=$2; [ "$2" = default ] || origin=$(absolute "$2") ;;
    --hold-out) share=$2 ;;
    *) option "$@" ;;
  esac
  shift 2
done

conf=recipes/own_data/finetune.yaml
overrides=("train=[{manifest: $(quoted "$manifests/$name-train.jsonl")}]" "init_from=$(quoted "$origin")"
  "output=$(quoted "exp/own-$name")" "${@:2}")
exp=$(setting output)
model=$exp/model
test=$manifests/$name-test.jsonl

if begin 1 "manifest"; then
  asr prepare folder --root "$folder" --name "$name" --normalize "$reading" "${who[@]}" -o "$manifests" ||
    { echo "Mend what is named above, or go on without it: --stage 2" >&2; exit 1; }
fi
if begin 2 "hold out a share of $share for judging"; then
  "$python" recipes/own_data/hold_out.py "$manifests/$name.jsonl" "$share"
fi
if begin 3 "error rate before"; then
  asr evaluate "$origin" "$test" -o "$exp/reports/before"
fi
if begin 4 "train"; then
  train
fi
if begin 5 "make the model"; then
  asr average "$exp" -o "$model"
  keep_language_models "$origin" "$model"
fi
if begin 6 "error rate after"; then
  asr evaluate "$model" "$test" -o "$exp/reports/after"
fi
if begin 7 "compare"; then
  "$python" recipes/results.py "$exp"/reports/{before,after}/report.json
  for when in before after; do cp "$exp/reports/$when/hypotheses.trn" "$exp/reports/$when.trn"; done
  asr score "$test" "$exp/reports/after.trn" --against "$exp/reports/before.trn"
fi
