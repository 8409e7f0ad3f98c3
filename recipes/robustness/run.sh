#!/usr/bin/env bash
# How much harder conditions cost a model: the same speech clean, in babble, in noise, in a room, over a telephone,
# as MP3 and stretched; and whether sounds without a word stay without one.
#
#   recipes/robustness/run.sh                                  the bundled model
#   recipes/robustness/run.sh --model exp/mine/model --model default --every 4
#
#   1 build the variants   2 evaluate   3 table
#
# --model MODEL       what to evaluate, repeatable (default: default); the first is compared with the others
# --manifest FILE     clean speech (default: data/manifests/dev-clean-2-report.jsonl, see recipes/librispeech)
# --every N           only every Nth utterance (default: 1)
# --stage, --stop-stage N     the first and the last stage to run
# -- OPTION...        for `asr evaluate`, for instance --greedy
. "$(dirname "$0")/../common.sh"

models=() clean=$manifests/dev-clean-2-report.jsonl every=1
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  [ $# -gt 1 ] || usage
  case "$1" in
    --model) if [ "$2" = default ]; then models+=(default); else models+=("$(absolute "$2")"); fi ;;
    --manifest) clean=$(absolute "$2") ;;
    --every) every=$2 ;;
    *) option "$@" ;;
  esac
  shift 2
done
[ ${#models[@]} -gt 0 ] || models=(default)
search=("${@:2}")
variants=data/robustness/$(basename "$clean" .jsonl)-$every

if begin 1 "the same speech under other conditions"; then
  "$python" recipes/robustness/variants.py "$clean" "$variants" "$every"
fi
folders=()
for model in "${models[@]}"; do
  reports=exp/robustness/$(named "$model")-$(basename "$variants")
  folders+=("$reports")
  if begin 2 "evaluate $model"; then
    asr evaluate "$model" "$variants"/*.jsonl "${search[@]}" -o "$reports"
    asr transcribe "$variants/no-words" -m "$model" -f txt -o "$reports/no-words"
  fi
done
if begin 3 "table"; then
  "$python" recipes/robustness/table.py "${folders[@]}"
fi
