"""The tokenizer's pieces as letters, and the running hash that knows a text from its letters alone.

Different pieces may spell the same text (`▁TH` `E` and `▁THE`). The search merges hypotheses by their text, so it must
know a text cheaply: by a polynomial hash modulo 2^64 over random letter values, which a whole piece extends in one
step. Among 10^5 texts some two collide with a probability of about 10^-10.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.text.tokenizer import BLANK, WORD_START

BOUNDARY = 0  # the letter between two words
_BASE = 0x9E3779B97F4A7C15  # odd, so that multiplying by it loses nothing
_WORD = (1 << 64) - 1
_CONTROL = re.compile(r"<[^<>]*>")  # `<unk>`, `<blank>`, …: names of pieces, not letters to spell

Array = NDArray[Any]


class Pieces(NamedTuple):
    """`V` pieces. Row 0 holds the whole piece, row 1 what is left of it where a boundary already stands."""

    letters: Array  # int16, the letters of all pieces one after the other
    start: Array  # (2, V) int32, where the letters of each piece begin
    end: Array  # (V,) int32, where they end
    hash: Array  # (2, V) uint64
    power: Array  # (2, V) uint64, _BASE to the number of letters
    boundary: Array  # (2,) uint64, hash and power of a boundary alone
    spoken: Array  # (V,) bool, false for the blank and for control pieces, which never come out


def alphabet_of(vocabulary: Sequence[str], blank: int = BLANK) -> list[str]:
    """The characters that the pieces can spell, sorted, without the word start."""
    return sorted({letter for piece in _spelled(vocabulary, blank) for letter in piece} - {WORD_START})


def build_pieces(vocabulary: Sequence[str], alphabet: Sequence[str], blank: int = BLANK) -> Pieces:
    """Tables for the kernels; letter `1 + i` is `alphabet[i]`, letter 0 the boundary between words."""
    letter_of = {letter: index for index, letter in enumerate(alphabet, start=1)} | {WORD_START: BOUNDARY}
    values = np.random.default_rng(0).integers(1, 1 << 63, size=len(alphabet) + 1, dtype=np.uint64).tolist()
    spelled = [[letter_of[letter] for letter in piece] for piece in _spelled(vocabulary, blank)]
    tails = [letters[1:] if letters[:1] == [BOUNDARY] else letters for letters in spelled]
    end = np.cumsum([len(letters) for letters in spelled], dtype=np.int32)
    forms = [[_hash_of(letters, values) for letters in form] for form in (spelled, tails)]
    return Pieces(
        letters=np.array([letter for letters in spelled for letter in letters], np.int16),
        start=np.array([end - [len(letters) for letters in form] for form in (spelled, tails)], np.int32),
        end=end,
        hash=np.array([[code for code, _ in form] for form in forms], np.uint64),
        power=np.array([[power for _, power in form] for form in forms], np.uint64),
        boundary=np.array(_hash_of([BOUNDARY], values), np.uint64),
        spoken=np.array([bool(letters) for letters in spelled], np.bool_),
    )


def _hash_of(letters: Sequence[int], values: Sequence[int]) -> tuple[int, int]:
    code, power = 0, 1
    for letter in letters:
        code, power = (code * _BASE + values[letter]) & _WORD, (power * _BASE) & _WORD
    return code, power


def _spelled(vocabulary: Sequence[str], blank: int) -> list[str]:
    """Each piece with its blanks as single `▁`; empty for the blank token and for control pieces."""
    return [
        "" if index == blank or _CONTROL.fullmatch(piece) else re.sub(rf"[\s{WORD_START}]+", WORD_START, piece)
        for index, piece in enumerate(vocabulary)
    ]
