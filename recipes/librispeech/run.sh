#!/usr/bin/env bash
# LibriSpeech from corpus to report, in numbered stages. Every stage can be run again by itself:
#
#   recipes/librispeech/run.sh --corpora /where/the/corpora/are --config mini
#   recipes/librispeech/run.sh --config mini --stage 3 --stop-stage 3        # go on with the training alone
#
# --corpora  folder that holds LibriSpeech/ (and, for --config all, CommonVoice-v1/, CMU-ARCTIC/, …); default: data
# --config   a file of conf/ without its ending: mini, all, train-clean-100, librispeech-960
# --text     texts for the language model, in order of importance; default: the training transcripts
set -euo pipefail
cd "$(dirname "$0")/../.."

corpora=data config=mini stage=0 stop=7 text=() lm=
while [ $# -gt 0 ]; do
  case "$1" in
    --corpora) corpora=$2 ;;
    --config) config=$2 ;;
    --stage) stage=$2 ;;
    --stop-stage) stop=$2 ;;
    --text) text+=("$2") ;;
    --lm) lm=$2 ;;
    *) sed -n '2,10p' "$0"; exit 2 ;;
  esac
  shift 2
done

asr=asr; command -v asr >/dev/null || asr=.venv/bin/asr
conf=recipes/librispeech/conf/$config.yaml
manifests=data/manifests
exp=$(sed -n 's/^output: //p' "$conf")
model=$exp/model
lm=${lm:-$exp/lm/words.ngram}
wanted() { [ "$stage" -le "$1" ] && [ "$1" -le "$stop" ]; }
say() { printf '\n== stage %s: %s\n' "$1" "$2" >&2; }

if wanted 0 && [ ! -d "$corpora/LibriSpeech" ] && [ "$config" = mini ]; then
  say 0 "download mini LibriSpeech"
  $asr prepare librispeech --root "$corpora" --part train-clean-5 --part dev-clean-2 --download -o $manifests
fi
if wanted 1; then
  say 1 "manifests"
  $asr prepare librispeech --root "$corpora" -o $manifests
  if [ "$config" = all ]; then
    $asr prepare folder --root "$corpora/CommonVoice-v1" --name cv-v1 -o $manifests
    $asr prepare folder --root "$corpora/CMU-ARCTIC" --name arctic --speaker-from '^([^/]+)/' -o $manifests
    $asr prepare folder --root "$corpora/Kathleen-arctic" --name kathleen --speaker kathleen -o $manifests
    $asr prepare folder --root "$corpora/AN4" --name an4 --speaker-from '^[^/]+/([^/]+)/' -o $manifests
  fi
fi
if wanted 2; then
  say 2 "word language model"
  if [ ${#text[@]} -eq 0 ]; then
    mkdir -p "$exp/lm"
    .venv/bin/python recipes/librispeech/transcripts.py "$conf" > "$exp/lm/transcripts.txt"
    text=("$exp/lm/transcripts.txt")
  fi
  $asr lm train "${text[@]}" --order 3 -o "$lm"
fi
if wanted 3; then
  say 3 "acoustic model"
  resume=(); [ -e "$exp/last.pt" ] && resume=(--resume)
  $asr train "$conf" "${resume[@]}"
fi
if wanted 4; then
  say 4 "average"
  $asr average "$exp" -o "$model"
fi
if wanted 5; then
  say 5 "tune the language model's weights"
  $asr lm tune "$model" $manifests/dev-clean-2-tune.jsonl --lm "$lm"
fi
if wanted 6; then
  say 6 "evaluate"
  for part in dev-clean-2-report dev-clean-2 dev-other; do
    [ -e "$manifests/$part.jsonl" ] || continue
    $asr evaluate "$model" "$manifests/$part.jsonl" --greedy -o "$exp/reports/$part-greedy"
    $asr evaluate "$model" "$manifests/$part.jsonl" --lm "$lm" -o "$exp/reports/$part-lm"
  done
fi
if wanted 7; then
  say 7 "report"
  .venv/bin/python recipes/results.py "$exp"/reports/*/report.json
fi
