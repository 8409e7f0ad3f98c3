"""The words of a text that a language model does not know, one a line: unknown.py SENTENCES.txt LM."""

from __future__ import annotations

import sys
from pathlib import Path

from asr.lm.load import load_language_model
from asr.text.normalize import ljspeech

known = set(load_language_model(Path(sys.argv[2])).words)
lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
words = dict.fromkeys(word for line in lines for word in ljspeech(line).split())
for word in words:
    if word not in known:
        print(word)
