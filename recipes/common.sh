# What every run.sh begins with: the asr command, its stages, and those of them that the corpora share.
# Sourced, not run. Afterwards the working folder is the project's, and paths in configurations are relative to it.
set -euo pipefail
script=$(readlink -f "$0") here=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stage=0 stop=99 processes=1 corpora=data rescorer=
manifests=data/manifests
# What phones are searched with: wide, and for a network that is unsure wider.
search=(--beam 300 --token-min-logp -8)

command -v asr >/dev/null || PATH=$PWD/.venv/bin:$PATH
if ! command -v asr >/dev/null; then
  echo "There is no asr command: run \`make venv\`, or activate the environment that it is installed in." >&2
  exit 1
fi
# The helper scripts run in the environment that asr lives in.
python=$(dirname "$(readlink -f "$(command -v asr)")")/python

# The comment at the head of the script is its manual.
usage() {
  sed -n '2,/^[^#]/ s/^# \{0,1\}//p' "$script" >&2
  exit 2
}

# absolute PATH: of a path given where the script was started.
absolute() {
  case "$1" in /*) echo "$1" ;; *) echo "$here/$1" ;; esac
}

# option NAME VALUE: options that all recipes share.
option() {
  case "$1" in
    --corpora) corpora=$(absolute "$2") ;;
    --stage) stage=$2 ;;
    --stop-stage) stop=$2 ;;
    --processes) processes=$2 ;;
    --rescore) rescorer=$(absolute "$2") ;;
    *) usage ;;
  esac
}

# How long the stage that now ends took.
took() {
  [ -z "${running-}" ] || printf '== stage %s took %d:%02d\n' "$running" $((SECONDS / 60)) $((SECONDS % 60)) >&2
  running=
}
trap took EXIT

# quoted TEXT: as YAML takes it whole, whatever signs are in it.
quoted() { printf "'%s'" "${1//\'/\'\'}"; }

# begin N TITLE: whether stage N is wanted; says so when it is.
begin() {
  [ "$stage" -le "$1" ] && [ "$1" -le "$stop" ] || return 1
  took
  running=$1 SECONDS=0
  printf '\n== stage %s: %s\n' "$1" "$2" >&2
}

# setting KEY: its value in the configuration, overrides included; of a list of manifests, a line each.
setting() { "$python" recipes/setting.py "$1" "$conf" "${overrides[@]}"; }

# The folder of a model, `default` among them, and the language model in a folder, if any.
model_folder() {
  if [ "$1" = default ]; then "$python" -c 'from asr.model.folder import BUNDLED; print(BUNDLED)'; else echo "$1"; fi
}
language_model() {
  "$python" -c 'import sys
from asr.model.folder import ModelFolder, model_folder
print(ModelFolder(model_folder(sys.argv[1])).language_model or "")' "$1"
}
# named MODEL: what a model's reports are called: its folder, and that of the experiment that it is in.
named() { if [ "$1" = default ]; then echo default; else echo "$(basename "$(dirname "$1")")-$(basename "$1")"; fi; }
# keep_language_models ORIGIN MODEL: they go along with a fine-tuned model, with the weights that were tuned for them, and
# so does the punctuation.
keep_language_models() {
  "$python" -c 'import sys
from asr.model.folder import ModelFolder, model_folder
origin, model = map(ModelFolder, map(model_folder, sys.argv[1:]))
model.install_those_of(origin)' "$1" "$2"
}

# training FOLDER SUBCOMMAND ARGUMENT...: start one whose output is the folder, or go on where it stopped. Large pages of
# memory, where the C library knows them (glibc 2.35 or newer), make a training step on a CPU 8 % faster.
training() {
  local -x GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}
  local command=(asr) resume=()
  [ "$processes" -eq 1 ] ||
    command=("$python" -m torch.distributed.run --standalone --nproc-per-node "$processes" -m asr.cli.main)
  [ ! -e "$1/last.pt" ] || resume=(--resume)
  "${command[@]}" "${@:2}" "${resume[@]}"
}

# The acoustic training of $conf.
train() { training "$exp" train "$conf" "${overrides[@]}"; }

# learn MANIFEST: stages 4 to 6, to the whole $model, whose search is tuned on the manifest with $lm (and $rescorer), which
# are in it then. A model that went on from $origin keeps the language models and weights of that one, unless others were
# $asked for: a handful of clips would choose worse.
# With $phone_ngram the training goes on by CTC-CRF from where CTC ends, under the settings of $crf.
learn() {
  local learned=$exp
  if begin 4 "acoustic model"; then
    train
  fi
  if [ -n "${phone_ngram:-}" ]; then
    learned=$exp/crf
    if [ -n "${spliced-}" ] && [ ! -e "$spliced" ] && begin 4 "new utterances from spans of those"; then
      "$python" recipes/splice.py "$exp/best" "${transcripts[0]}" "${spliced%.jsonl}" "$spliced" --threads "$processes"
    fi
    if begin 4 "the same by CTC-CRF"; then
      training "$learned" train "$conf" "${crf[@]}" "${overrides[@]}" output="$learned" init_from="$exp/best" \
        phone_ngram="$phone_ngram"
    fi
  fi
  if begin 5 "the best epoch, in half precision"; then
    asr average "$learned" -o "$model"
  fi
  if begin 6 "the language models and their weights"; then
    if [ -n "${origin-}" ] && [ -z "${asked-}" ] && [ -n "$(language_model "$(model_folder "$origin")")" ]; then
      keep_language_models "$origin" "$model"
    else
      asr lm tune "$model" "$1" --lm "$lm" ${rescorer:+--rescore "$rescorer"} "${search[@]}" \
        --utterances 160 -o "$exp/tuning"
    fi
  fi
}

# evaluate MODEL MANIFEST PREFIX [OPTION...]: greedily, and with the model's own language models or those of the options,
# into reports whose names begin with the prefix.
evaluate() {
  asr evaluate "$1" "$2" --greedy -o "$exp/reports/${3}greedy"
  asr evaluate "$1" "$2" "${@:4}" -o "$exp/reports/${3}lm"
}

# Stage 8: a table of all reports.
report_results() {
  if begin 8 "report"; then
    "$python" recipes/results.py "$exp"/reports/*/report.json
  fi
}
