"""Words with times and confidence, from an alignment of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from asr.model.forced_alignment import TokenAlignment
from asr.text.tokenizer import WORD_START
from asr.transcription.result import Segment, Word

# CTC marks a token by a peak of a step or two. Measured against the onset and end of the energy of utterances, the
# peak of a first piece begins with the word (median 10 ms early), that of a last piece ends 40 ms before its word.
_BEFORE = 0.02
_BEHIND = 0.05
_BRIEFEST = 0.02


def spell_words(tokens: Sequence[int], vocabulary: Sequence[str]) -> tuple[list[str], list[tuple[int, int]]]:
    """The words of `tokens`, and of each the first token and the one behind the last.

    A boundary that is a token by itself, as among characters, belongs to no word: it may lie anywhere in a pause.
    """
    pieces = [vocabulary[token] for token in tokens]
    firsts = [number for number, piece in enumerate(pieces) if number == 0 or piece.startswith(WORD_START)]
    spans = [(first + (pieces[first] == WORD_START), last) for first, last in pairwise([*firsts, len(pieces)])]
    texts = ["".join(pieces[first:last]).replace(WORD_START, "") for first, last in spans]
    return [text for text in texts if text], [span for span, text in zip(spans, texts, strict=True) if text]


def time_words(
    texts: Sequence[str],
    spans: Sequence[tuple[int, int]],
    alignment: TokenAlignment,
    seconds: Sequence[float],
    end: float,
    confidence: Sequence[float] | npt.NDArray[np.float64],
    features: npt.NDArray[np.float64] | None = None,
) -> tuple[Word, ...]:
    """Words of which each owns the tokens of its span.

    `seconds` (T + 1,) is the time at which each step begins, and the end of the last one; words stay between
    `seconds[0]` and `end` and never overlap.
    """
    starts = [seconds[alignment.begins[first]] - _BEFORE for first, _ in spans]
    ends = [seconds[alignment.ends[last - 1]] + _BEHIND for _, last in spans]
    for number in range(1, len(spans)):
        if starts[number] < ends[number - 1]:  # neighbors meet half-way between their peaks
            starts[number] = ends[number - 1] = (starts[number] + ends[number - 1]) / 2
    kept: Sequence[tuple[float, ...]] = [()] * len(texts) if features is None else [tuple(row) for row in features]
    words = [
        Word(text, max(start, seconds[0]), min(stop, end), round(float(sure), 4), of_word)
        for text, start, stop, sure, of_word in zip(texts, starts, ends, confidence, kept, strict=True)
    ]
    return keep_apart(words, seconds[0])


def keep_apart(words: Sequence[Word], now: float) -> tuple[Word, ...]:
    """The words with none before `now` or before its predecessor's end: pieces may meet within one step."""
    kept = []
    for word in words:
        start = round(max(word.start, now), 3)
        now = round(max(word.end, start + _BRIEFEST), 3)
        kept.append(replace(word, start=start, end=now))
    return tuple(kept)


def without_overlap(segment: Segment, now: float) -> Segment:
    """The segment without overlap with what ended `now`."""
    if segment.start >= now:
        return segment
    words = keep_apart(segment.words, now)
    return replace(segment, start=now, end=words[-1].end if words else max(now, segment.end), words=words)
