"""What a decoder returns, and how pieces spell text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asr.text.tokenizer import pieces_to_text


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis of an utterance. `score = acoustic + language`, natural logarithms; the larger, the better."""

    tokens: tuple[int, ...]
    frames: tuple[int, ...]  # output frame (not seconds) in which each token begins, one per token
    score: float
    acoustic: float  # log-probability of the frames' alignments that this hypothesis gathers
    language: float = 0.0  # weighted language model, word bonus and hotwords; 0 without them
    text: str = ""  # filled in by decoders that know the vocabulary
    posteriors: tuple[float, ...] = ()  # of each word of the text, where the search was asked (`word_posteriors`)


def spell(vocabulary: Sequence[str], tokens: Iterable[int]) -> str:
    """The text of `tokens`: pieces joined, `▁` read as a blank, runs of blanks folded, ends stripped."""
    return pieces_to_text(vocabulary[token] for token in tokens)
