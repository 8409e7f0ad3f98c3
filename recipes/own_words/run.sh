#!/usr/bin/env bash
# Teach a model the words of a trade without recording anything: sentences that hold them are spoken by a synthesizer in
# many voices, and the model is trained on that.
#
#   recipes/own_words/run.sh sentences.txt
#
#   1 speak   2 manifests   3 error rates before   4 train   5 make the model   6 error rate after   7 compare
#
# FILE                sentences, one a line, five or more for each word
# --name NAME         what manifests and results are called (default: the file's name)
# --times N           how often each sentence is spoken (default: 6)
# --model MODEL       where to start (default: the bundled model)
# --kokoro DIR        what recipes/synthetic/install.sh made (default: data/kokoro)
# --processes N       synthesizers at a time (default: 1)
# --stage, --stop-stage N     the first and the last stage to run
# -- key=value…       settings that replace those of own_data/finetune.yaml, as in `asr train`
#
# Judged are sentences that were not trained on (a fifth), by voices that were not.
. "$(dirname "$0")/../common.sh"

[ $# -gt 0 ] && [ "${1#-}" = "$1" ] || usage
text=$(absolute "$1") name=$(basename "$1" .txt) times=6 origin=default kokoro=data/kokoro
shift
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  [ $# -gt 1 ] || usage
  case "$1" in
    --name) name=$2 ;;
    --times) times=$2 ;;
    --model) origin=$2; [ "$2" = default ] || origin=$(absolute "$2") ;;
    --kokoro) kokoro=$(absolute "$2") ;;
    *) option "$@" ;;
  esac
  shift 2
done

conf=recipes/own_data/finetune.yaml
overrides=("train=[{manifest: $(quoted "$manifests/$name-train.jsonl")}]" "init_from=$(quoted "$origin")"
  "output=$(quoted "exp/own-$name")" "${@:2}")
exp=$(setting output)
model=$exp/model spoken=data/own_words/$name test=$manifests/$name-test.jsonl
judging=af_heart,am_michael,bf_emma,bm_george

if begin 1 "speak"; then
  "$python" recipes/own_words/divide.py "$text" "$spoken"
  others=$(cd "$kokoro/voices" && ls *.bin | sed 's/\.bin//' | grep -vwE "${judging//,/|}" | paste -sd,)
  for side in train test; do
    voices=$others; [ "$side" = train ] || voices=$judging
    "$python" recipes/synthetic/speak.py --text "$spoken/$side.txt" --out "$spoken/$side" --times "$times" \
      --voices "$voices" --model "$kokoro" --processes "$processes"
  done
  processes=1
fi
if begin 2 "manifests"; then
  for side in train test; do
    asr prepare folder --root "$spoken/$side" --name "$name-$side" --speaker-from '^([^/]+)/' -o "$manifests"
  done
fi
# A search spells only words that it knows; those that the language model lacks are given to it as hotwords.
lm=$(language_model "$(model_folder "$origin")") unknown=
[ -z "$lm" ] || unknown=$("$python" recipes/own_words/unknown.py "$text" "$lm")
new=()
[ -z "$unknown" ] || mapfile -t new <<< "$unknown"
if begin 3 "error rates before"; then
  asr evaluate "$origin" "$test" -o "$exp/reports/1-before"
  asr evaluate "$origin" "$test" "${new[@]/#/--hotword=}" -o "$exp/reports/2-hotwords"
fi
if begin 4 "train"; then
  train
fi
if begin 5 "make the model"; then
  asr average "$exp" -o "$model"
  keep_language_models "$origin" "$model"
fi
if begin 6 "error rate after"; then
  asr evaluate "$model" "$test" "${new[@]/#/--hotword=}" -o "$exp/reports/3-trained"
fi
if begin 7 "compare"; then
  "$python" recipes/results.py "$exp"/reports/*/report.json
  "$python" recipes/own_words/found.py "$test" "$exp"/reports/*/hypotheses.trn -- "${new[@]}"
fi
