"""How well a language model foretells a text."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from asr.errors import DataError
from asr.lm.ngram import BEGIN_ID, END_ID, UNKNOWN_ID, Doubles, Ints, NgramModel
from asr.lm.text import tokenize


@dataclass(frozen=True)
class Perplexity:
    """The fit of a model to a text; sentence ends are foretold like words, sentence starts are not."""

    sentences: int
    words: int  # without sentence ends
    unknown: int  # words outside the vocabulary
    log_prob: float  # natural log, of all words (unknown ones as `<unk>`) and sentence ends
    unknown_log_prob: float  # the part of the unknown words

    @property
    def perplexity(self) -> float:
        """Of the known words and the sentence ends, as is usual: the unknown words are left out of the mean."""
        known = self.words - self.unknown + self.sentences
        return math.exp(-(self.log_prob - self.unknown_log_prob) / known)

    @property
    def perplexity_with_unknown(self) -> float:
        """Of everything, unknown words taken as `<unk>`."""
        return math.exp(-self.log_prob / (self.words + self.sentences))

    @property
    def unknown_rate(self) -> float:
        """The share of words outside the vocabulary."""
        return self.unknown / self.words if self.words else 0.0


def measure(model: NgramModel, sentences: Iterable[str]) -> Perplexity:
    """The perplexity of `model` on `sentences`. Raises `DataError` when there are none."""
    predicted, scores = token_scores(model, sentences)
    ends = int(np.sum(predicted == END_ID))
    return Perplexity(
        sentences=ends,
        words=len(predicted) - ends,
        unknown=int(np.sum(predicted == UNKNOWN_ID)),
        log_prob=float(np.sum(scores)),
        unknown_log_prob=float(np.sum(scores[predicted == UNKNOWN_ID])),
    )


def token_scores(model: NgramModel, sentences: Iterable[str]) -> tuple[Ints, Doubles]:
    """The ids (T,) of the words and sentence ends of a text, and the natural-log probability of each.

    Raises `DataError` when there are no sentences.
    """
    from asr.lm.lookup import lookup_arrays, score_sequence

    ids = tokenize(sentences, words=model.words).ids[:]
    if not len(ids):
        raise DataError("the text to measure on is empty")
    predicted = ids[ids != BEGIN_ID]
    scores = np.empty(len(predicted), np.float64)
    score_sequence(lookup_arrays(model), model.begin_state(), END_ID, predicted, scores)
    return predicted, scores
