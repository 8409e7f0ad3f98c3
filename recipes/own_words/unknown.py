"""The words of a text that a language model does not know, one a line: unknown.py SENTENCES.txt LM."""

from __future__ import annotations

import sys
from pathlib import Path

from asr.cli.main import plain_errors
from asr.corpus.prepare import numbered_lines
from asr.lm.load import load_language_model
from asr.text.normalize import ljspeech

with plain_errors():
    known = set(load_language_model(Path(sys.argv[2])).words)
    words = dict.fromkeys(word for _, line in numbered_lines(Path(sys.argv[1])) for word in ljspeech(line).split())
for word in words:
    if word not in known:
        print(word)
