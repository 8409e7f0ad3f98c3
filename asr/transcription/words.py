"""Words with times and confidence, from an alignment of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from asr.model.alignment import TokenAlignment
from asr.transcription.result import Word

WORD_START = "▁"

# CTC marks a token by a peak of one step somewhere inside it; a word reaches beyond its outermost peaks by about
# half a step and a short sound.
_REACH = 0.06
_BRIEFEST = 0.02


def spell_words(tokens: Sequence[int], vocabulary: Sequence[str]) -> tuple[list[str], list[tuple[int, int]]]:
    """The words of `tokens`, and of each the first token and the one behind the last."""
    pieces = [vocabulary[token] for token in tokens]
    firsts = [number for number, piece in enumerate(pieces) if number == 0 or piece.startswith(WORD_START)]
    spans = list(pairwise([*firsts, len(pieces)]))
    texts = ["".join(pieces[first:last]).replace(WORD_START, "") for first, last in spans]
    return [text for text in texts if text], [span for span, text in zip(spans, texts, strict=True) if text]


def time_words(
    texts: Sequence[str],
    spans: Sequence[tuple[int, int]],
    alignment: TokenAlignment,
    seconds: Sequence[float],
    end: float,
) -> tuple[Word, ...]:
    """Words of which each owns the tokens of its span.

    `seconds` (T + 1,) is the time at which each step begins, and the end of the last one; words stay between
    `seconds[0]` and `end` and never overlap.
    """
    starts = [seconds[alignment.begins[first]] - _REACH for first, _ in spans]
    ends = [seconds[alignment.ends[last - 1]] + _REACH for _, last in spans]
    for number in range(1, len(spans)):
        if starts[number] < ends[number - 1]:  # neighbours meet half-way between their peaks
            starts[number] = ends[number - 1] = (starts[number] + ends[number - 1]) / 2
    words = []
    for text, (first, last), start, stop in zip(texts, spans, starts, ends, strict=True):
        confidence = float(np.exp(alignment.log_probs[first:last].min()))
        words.append(Word(text, max(start, seconds[0]), min(stop, end), round(confidence, 4)))
    return keep_apart(words, seconds[0])


def keep_apart(words: Sequence[Word], now: float) -> tuple[Word, ...]:
    """The words with none before `now` or before its predecessor's end: pieces may meet within one step."""
    kept = []
    for word in words:
        start = round(max(word.start, now), 3)
        now = round(max(word.end, start + _BRIEFEST), 3)
        kept.append(replace(word, start=start, end=now))
    return tuple(kept)
