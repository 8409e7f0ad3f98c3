#!/usr/bin/env bash
# What people bring is not LibriSpeech: crowd recordings, home microphones, accents, short orders, other books. Builds
# the set `everyday` out of five public corpora and reports the error rate on each.
#
#   recipes/everyday/run.sh
#   recipes/everyday/run.sh --model exp/mine/model --model default
#
#   0 fetch what can be   1 manifests   2 evaluate   3 error rates by source
#
# --model MODEL       what to evaluate, repeatable (default: default, the bundled model)
# --side NAME         report (default) or tune
# --corpora DIR       holds the folders that README.md names (default: data)
# --stage, --stop-stage N     the first and the last stage to run
# -- OPTION...        for `asr evaluate`, for instance --greedy
. "$(dirname "$0")/../common.sh"

models=() side=report
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  [ $# -gt 1 ] || usage
  case "$1" in
    --model) if [ "$2" = default ]; then models+=(default); else models+=("$(absolute "$2")"); fi ;;
    --side) side=$2 ;;
    *) option "$@" ;;
  esac
  shift 2
done
[ ${#models[@]} -gt 0 ] || models=(default)
search=("${@:2}")
set=$manifests/everyday-$side.jsonl

# fetch FOLDER REPOSITORY: the published files, unless they are there.
fetch() {
  [ -d "$corpora/$1" ] || git clone --quiet --depth 1 "https://github.com/$2" "$corpora/$1" ||
    echo "$corpora/$1 is missing; README.md says where it comes from" >&2
}

if begin 0 "fetch"; then
  fetch speechocean762 jimbozhang/speechocean762
  fetch VoxForge yangzhixue1/Comparation_Study_SR
  fetch barista Picovoice/speech-to-intent-benchmark
  for folder in CommonVoice-v1 LJSpeech-1.1; do
    [ -d "$corpora/$folder" ] || echo "$corpora/$folder is missing; README.md says where it comes from" >&2
  done
fi
if begin 1 "manifests"; then
  "$python" recipes/everyday/prepare.py "$corpora" "$manifests"
fi
for model in "${models[@]}"; do
  reports=exp/everyday/$(named "$model")-$side
  if begin 2 "evaluate $model"; then
    asr evaluate "$model" "$set" "${search[@]}" -o "$reports" -q
  fi
  if begin 3 "$model by source"; then
    asr score "$set" "$reports/hypotheses.trn" --by source
  fi
done
