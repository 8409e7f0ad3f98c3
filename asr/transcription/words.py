"""Words with times and confidence, from an alignment of their tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asr.model.alignment import TokenAlignment
from asr.transcription.result import Word

WORD_START = "▁"

# CTC marks a token by a peak of one step somewhere inside it; a word reaches beyond its outermost peaks by about
# half a step and a short sound.
_REACH = 0.06


def words_of(
    tokens: Sequence[int],
    vocabulary: Sequence[str],
    alignment: TokenAlignment,
    frame_seconds: float,
    begin: float,
    end: float,
) -> tuple[Word, ...]:
    """The words of `tokens`, in seconds of the recording: step 0 lies at `begin`, nothing goes beyond `end`."""
    spans = _word_spans([vocabulary[token] for token in tokens])
    starts = [begin + frame_seconds * float(alignment.begins[first]) - _REACH for first, _ in spans]
    ends = [begin + frame_seconds * float(alignment.ends[last - 1]) + _REACH for _, last in spans]
    for number in range(1, len(spans)):
        if starts[number] < ends[number - 1]:  # neighbours meet half-way between their peaks
            starts[number] = ends[number - 1] = (starts[number] + ends[number - 1]) / 2
    words = []
    for (first, last), start, stop in zip(spans, starts, ends, strict=True):
        text = "".join(vocabulary[token] for token in tokens[first:last]).replace(WORD_START, "")
        confidence = float(np.exp(alignment.log_probs[first:last].min()))
        words.append(Word(text, round(max(start, begin), 3), round(min(stop, end), 3), round(confidence, 4)))
    return tuple(words)


def _word_spans(pieces: Sequence[str]) -> list[tuple[int, int]]:
    """First piece of each word and the piece behind its last."""
    firsts = [number for number, piece in enumerate(pieces) if number == 0 or piece.startswith(WORD_START)]
    spans = list(zip(firsts, [*firsts[1:], len(pieces)], strict=True))
    return [(first, last) for first, last in spans if "".join(pieces[first:last]).replace(WORD_START, "")]
