#!/usr/bin/env bash
# LibriSpeech from corpus to results, in numbered stages:
#
#   recipes/librispeech/run.sh --config mini --processes 2
#   recipes/librispeech/run.sh --config mini --stage 4 --stop-stage 4 -- loop.epochs=80
#
#   0 download   1 prepare   2 tokenizer   3 language model, lexicon   4 train   5 average
#   6 tune   7 evaluate   8 report
#
# --config NAME       a file of conf/: mini (default), mini-cpu, all, train-clean-100, librispeech-960
# --corpora DIR       holds LibriSpeech/ and, for `all`, CommonVoice-v1/, CMU-ARCTIC/, … (default: data)
# --text FILE         a text for the language model, repeatable (default: the training transcripts)
# --lm FILE           a language model that is there already; none is trained then
# --rescore FOLDER    a recurrent language model that has the last word
# --processes N       train with a process for each core or graphics card (default: 1)
# --stage, --stop-stage N     the first and the last stage to run
# -- key=value…       settings that replace those of the configuration, as in `asr train`
#
# A stage can be run again at any time: what is there is kept, what was interrupted goes on.
. "$(dirname "$0")/../common.sh"

config=mini texts=() lm=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  [ $# -gt 1 ] || usage
  case "$1" in
    --config) config=$2 ;;
    --text) texts+=("$(absolute "$2")") ;;
    --lm) lm=$(absolute "$2") ;;
    *) option "$@" ;;
  esac
  shift 2
done
overrides=("${@:2}")

conf=recipes/librispeech/conf/$config.yaml
[ -e "$conf" ] || usage
exp=$(setting output)
model=$exp/model
# Tuning and choosing see the first; the others are reported where they are at hand.
case "$config" in
  train-clean-100 | librispeech-960) tune=dev-clean report=(dev-clean dev-other test-clean test-other) ;;
  *) tune=dev-clean-2-tune report=(dev-clean-2-report dev-clean-2 dev-other) ;;
esac
heard=$(setting train)
needed=$(echo "$heard"; setting validation; echo "$tune")
mapfile -t transcripts < <(sed "s|.*|$manifests/&.jsonl|" <<< "$heard")

# The corpus that a manifest is made of.
folder_of() {
  case "$1" in
    cv-delta) echo CommonVoice-delta ;;
    arctic) echo CMU-ARCTIC ;;
    kathleen) echo Kathleen-arctic ;;
    an4) echo AN4 ;;
    CommonVoice-v1-rest | VoxForge-rest | speechocean762-rest | barista-rest) echo "${1%-rest}" ;;
    vctk | asp | cv_agreed | vcc2016 | snsd_clean | wordless) echo "$1" ;;
    dev-clean-2-*) echo LibriSpeech/dev-clean-2 ;;
    *) echo "LibriSpeech/$1" ;;
  esac
}

prepare() {
  local folder; folder=$(folder_of "$1")
  [ ! -e "$manifests/$1.jsonl" ] || return 0
  case "$1" in
    cv-delta)
      asr prepare folder --root "$corpora/$folder" --name cv-delta --speaker-from '([0-9a-f]{12})/' -o "$manifests" ;;
    arctic | vctk | asp)
      asr prepare folder --root "$corpora/$folder" --name "$1" --speaker-from '^([^/]+)/' -o "$manifests" ;;
    kathleen) asr prepare folder --root "$corpora/$folder" --name kathleen --speaker kathleen -o "$manifests" ;;
    *-rest) "$python" recipes/everyday/prepare.py "$corpora" "$manifests" ;;
    cv_agreed | vcc2016 | snsd_clean) asr prepare folder --root "$corpora/$folder" --name "$1" -o "$manifests" ;;
    wordless) "$python" recipes/wordless.py data/wordless "$manifests/wordless.jsonl" ;;
    an4) asr prepare folder --root "$corpora/$folder" --name an4 --speaker-from '^[^/]+/([^/]+)/' -o "$manifests" ;;
    *) asr prepare librispeech --root "$corpora" --part "${folder#*/}" -o "$manifests" ;;
  esac
}

if begin 0 "download what is missing"; then
  for name in $needed; do
    folder=$(folder_of "$name")
    case "$folder" in
      LibriSpeech/*)
        [ -d "$corpora/$folder" ] || [ -e "$manifests/$name.jsonl" ] ||
          asr prepare librispeech --root "$corpora" --part "${folder#*/}" --download -o "$manifests" ;;
      wordless) ;; # made, not brought
      *) [ -d "$corpora/$folder" ] || echo "$corpora/$folder is missing; README.md says where it comes from" >&2 ;;
    esac
  done
fi
if begin 1 "manifests"; then
  for name in $needed; do prepare "$name"; done
  for name in "${report[@]}"; do
    [ ! -d "$corpora/$(folder_of "$name")" ] || prepare "$name"
  done
fi
if begin 2 "tokenizer"; then
  "$python" recipes/tokenizer.py "$conf" "${overrides[@]}"
fi
order=(--order 4 --vocabulary 95000 --cutoffs 0,1,1 --size 25MB)
if [ ${#texts[@]} -eq 0 ]; then
  order=(--order 3) texts=("${transcripts[@]}")
fi
if begin 3 "language model" && [ -z "$lm" ] && [ ! -e "$exp/lm/words.ngram" ]; then
  asr lm train "${texts[@]}" "${order[@]}" -o "$exp/lm/words.ngram"
fi
lm=${lm:-$exp/lm/words.ngram}
# The lexicon of a configuration that learns phones, where its folder has none yet.
lexicon=$(model_folder "$(setting lexicon)")
if [ -n "$lexicon" ] && [ ! -e "$lexicon/lexicon" ] && begin 3 "lexicon"; then
  words=(--words "$lm")
  for manifest in "${transcripts[@]}"; do words+=(--words "$manifest"); done
  asr lexicon build -o "$lexicon" "${words[@]}"
fi
# How phones follow one another, for CTC-CRF. From texts too, the bundled model's will do.
phone_ngram=
if [ -n "$lexicon" ]; then
  phone_ngram=$(model_folder default)/phone_ngram.safetensors
  if [ ! -e "$phone_ngram" ]; then
    phone_ngram=$exp/phone_ngram.safetensors
    if [ ! -e "$phone_ngram" ] && begin 3 "phone n-gram"; then
      "$python" recipes/phone_ngram.py "${texts[@]}" -o "$phone_ngram" --lexicon "$lexicon"
    fi
  fi
fi
# What differs when CTC-CRF takes over from CTC: one view, small batches, frames closer together, noise, rooms,
# telephone and codecs.
crf=(shift_ms=8 phone_weight=0.8 cr_ctc_weight=0 intermediate_layer=0 sortagrad_epochs=0 augment_warmup_epochs=0
  batches.seconds=200 batches.utterances=80 acoustic.encoder.dropout=0.15
  "spec_augment={frequency_masks: 2, frequency_width: 18, time_masks: 5, time_share: 0.04, warp: 1.15}"
  "waveform={speeds: [0.82, 0.9, 0.95, 1.0, 1.05, 1.1, 1.18], noise_probability: 0.15, noise_snr_db: [5, 35],
    babble_probability: 0.08, reverb_probability: 0.15, stretch_probability: 0.1, stretch_rates: [0.8, 1.15],
    telephone_probability: 0.06, codec_probability: 0.05, codec_compression: [0.3, 0.9], music_probability: 0.03,
    hum_probability: 0.02}"
  loop.epochs=4 loop.schedule.peak=0.0009 loop.schedule.warmup_updates=60 loop.schedule.decay_from=0
  loop.optimizer.weight_decay=0.02)
# Five hours are soon known by heart: half of what is heard is spliced, batches are small, for many updates, masks harder,
# the weather is better. So unsure a network wants a wide search.
case "$config" in
  mini*)
    search=(--beam 800 --views 2 --token-min-logp -8)
    spliced=$exp/spliced.jsonl
    crf+=(batches.seconds=80 batches.utterances=48 acoustic.encoder.dropout=0.25 loop.schedule.peak=0.001
      "train=[{manifest: ${transcripts[0]}, weight: 3}, {manifest: $spliced}]" loop.minutes=150 loop.epochs=6
      "spec_augment={frequency_masks: 2, frequency_width: 24, time_masks: 6, time_share: 0.04, warp: 1.2}"
      "waveform={speeds: [0.82, 0.9, 0.95, 1.0, 1.05, 1.1, 1.18], noise_probability: 0.15, noise_snr_db: [8, 35],
        reverb_probability: 0.1}") ;;
esac
learn "$manifests/$tune.jsonl"
if begin 7 "evaluate"; then
  for name in "${report[@]}"; do
    [ ! -e "$manifests/$name.jsonl" ] || evaluate "$model" "$manifests/$name.jsonl" "$name-"
  done
fi
report_results
