#!/usr/bin/env bash
# LJSpeech from corpus to results, in numbered stages:
#
#   recipes/ljspeech/run.sh --config finetune --split random
#   recipes/ljspeech/run.sh --config scratch --split chapters --stage 4
#
#   0 download   1 prepare   2 tokenizer   3 language model   4 train   5 average   6 tune   7 evaluate   8 report
#
# --config NAME       finetune (default: the bundled model goes on learning) or scratch
# --split NAME        random (default: clips held out) or chapters (whole chapters held out)
# --corpora DIR       holds LJSpeech-1.1/ (default: data)
# --lm FILE           the language model (default: the bundled one; without it, one of the training transcripts)
# --rescore FOLDER    a recurrent language model that has the last word (default: the bundled one, if any)
# --processes N       train with a process for each core or graphics card (default: 1)
# --stage, --stop-stage N     the first and the last stage to run
# -- key=value…       settings that replace those of the configuration, as in `asr train`
#
# A stage can be run again at any time: what is there is kept, what was interrupted goes on.
. "$(dirname "$0")/../common.sh"

config=finetune split=random lm=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  [ $# -gt 1 ] || usage
  case "$1" in
    --config) config=$2 ;;
    --split) split=$2 ;;
    --lm) lm=$(absolute "$2") ;;
    *) option "$@" ;;
  esac
  shift 2
done

conf=recipes/ljspeech/conf/$config.yaml
[ -e "$conf" ] && [ -e "recipes/ljspeech/splits/$split-test.ids.txt" ] || usage
overrides=(
  "train=[{manifest: $manifests/ljspeech-$split-train.jsonl}]"
  "validation=[$manifests/ljspeech-$split-dev.jsonl]"
  "output=exp/ljspeech-$config-$split"
  "${@:2}"
)
exp=$(setting output)
origin=$(setting init_from)
model=$exp/model
test=$manifests/ljspeech-$split-test.jsonl

if begin 0 "download what is missing" && [ ! -d "$corpora/LJSpeech-1.1" ]; then
  asr prepare ljspeech --root "$corpora" --download -o "$manifests"
fi
if begin 1 "manifests" && [ ! -e "$test" ]; then
  asr prepare ljspeech --root "$corpora" -o "$manifests"
fi
# A model that goes on learning keeps its tokenizer.
if begin 2 "tokenizer" && [ -z "$origin" ]; then
  "$python" recipes/tokenizer.py "$conf" "${overrides[@]}"
fi
bundled=$(model_folder default) asked=$lm$rescorer
lm=${lm:-$(language_model "$bundled")}
[ -n "$rescorer" ] || [ ! -d "$bundled/rnn" ] || rescorer=$bundled/rnn
if begin 3 "language model" && [ -z "$lm" ] && [ ! -e "$exp/lm/words.ngram" ]; then
  asr lm train "$manifests/ljspeech-$split-train.jsonl" --order 3 -o "$exp/lm/words.ngram"
fi
lm=${lm:-$exp/lm/words.ngram}
learn "$manifests/ljspeech-$split-dev.jsonl"
if begin 7 "evaluate"; then
  # What there was before any LJSpeech was heard, beside what came of it.
  [ -z "$origin" ] || evaluate "$origin" "$test" before- --lm "$lm" ${rescorer:+--rescore "$rescorer"}
  evaluate "$model" "$test" ""
fi
report_results
