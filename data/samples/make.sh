#!/bin/sh
# Speak the texts beside this script again (Debian packages flite and ffmpeg).
set -eu
cd "$(dirname "$0")"
for text in *.txt; do
    flite -voice awb -f "$text" -o "${text%.txt}.wav"
done
# Two of the six in other formats, as recordings come: stereo at 44.1 kHz, and Ogg Vorbis.
ffmpeg -v error -y -i captain.wav -ar 44100 -ac 2 -sample_fmt s16 captain.flac && rm captain.wav
ffmpeg -v error -y -i market.wav -c:a libvorbis -q:a 4 market.ogg && rm market.wav
