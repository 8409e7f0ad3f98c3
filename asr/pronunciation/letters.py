"""What of a word the speller reads: the letters A–Z and the apostrophe, whatever script or accents it is written in."""

from __future__ import annotations

import re
from functools import lru_cache

from asr.errors import DataError
from asr.text.normalise import librispeech

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ'"

_PLAIN = re.compile("[A-Z']*")


def letters_of(word: str) -> str:
    """`word` in A–Z and ', accents stripped, anything else left out: Café → CAFE, well-known → WELLKNOWN."""
    return word if _PLAIN.fullmatch(word) else "".join(map(_letter, word))


@lru_cache(maxsize=4096)
def _letter(character: str) -> str:
    """What the normaliser makes of one character; between two others, for it drops an apostrophe that stands alone."""
    try:
        return librispeech(f"A{character}A")[1:-1].strip()
    except DataError:
        return ""
