"""Sentences to train on and, a fifth of them, to judge by.

    divide.py SENTENCES.txt DIR        writes DIR/train.txt and DIR/test.txt

Of every five lines the last is judged, so that words whose sentences stand together are on both sides.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asr.cli.main import plain_errors
from asr.corpus.prepare import numbered_lines
from asr.io import write_text
from asr.text.normalize import ljspeech

EVERY = 5

source, folder = Path(sys.argv[1]), Path(sys.argv[2])
with plain_errors():
    lines = [ljspeech(line) for _, line in numbered_lines(source)]
if len(lines) < EVERY:
    raise SystemExit(f"asr: {source} has {len(lines)} sentences; write at least {EVERY}, better a hundred")
judged = lines[EVERY - 1 :: EVERY]
sides = {"train": [line for line in lines if line not in judged], "test": judged}
for side, chosen in sides.items():
    write_text(folder / f"{side}.txt", "".join(f"{line}\n" for line in chosen))
    print(f"{folder / side}.txt: {len(chosen)} sentences", file=sys.stderr)
