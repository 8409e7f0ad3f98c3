"""Rescoring the n-best list: a language model that is too slow for the search scores whole sentences.

    score = acoustic + language (n-gram, word bonus, hotwords) + weight · log p(text) + bonus · words

a log-linear interpolation with what the search has used already. The list then tells how sure each word is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.decoding.hypothesis import Hypothesis


class SentenceModel(Protocol):
    """What rescores: `asr.lm.rnn.RecurrentModel`."""

    def rescore(self, texts: Sequence[str]) -> list[float]:
        """Natural-log probability of each text as a whole sentence."""


def rescore_nbest(
    nbests: Sequence[Sequence[Hypothesis]], model: SentenceModel, weight: float, bonus: float = 0.0
) -> list[list[Hypothesis]]:
    """The n-best lists of several utterances, each sorted anew with `weight · log p(text) + bonus · words` added.

    The bonus makes up for a second model's dislike of long sentences. All utterances are rescored together, and a text
    that several hypotheses share is rescored once. Equal scores keep the order of the search; a list of one stays as it
    is.
    """
    lm_scores = score_texts([nbest for nbest in nbests if len(nbest) > 1], model)

    def rescored(hypothesis: Hypothesis) -> Hypothesis:
        added = weight * lm_scores[hypothesis.text] + bonus * len(hypothesis.text.split())
        return replace(hypothesis, score=hypothesis.score + added, language=hypothesis.language + added)

    return [
        sorted(map(rescored, nbest), key=lambda hypothesis: -hypothesis.score) if len(nbest) > 1 else list(nbest)
        for nbest in nbests
    ]


def in_doubt(nbest: Sequence[Hypothesis], threshold: float) -> list[Hypothesis]:
    """The hypotheses of an n-best list that score within `threshold` (natural log) of the best.

    The others could hardly win, whatever is added; where one alone is left, nothing is in doubt.
    """
    return [hypothesis for hypothesis in nbest if hypothesis.score >= nbest[0].score - threshold]


def score_texts(nbests: Sequence[Sequence[Hypothesis]], model: SentenceModel) -> dict[str, float]:
    """Natural-log probability by `model` of every text in the lists, each rescored once."""
    texts = sorted({hypothesis.text for nbest in nbests for hypothesis in nbest})
    return dict(zip(texts, model.rescore(texts), strict=True))


def word_posteriors(nbest: Sequence[Hypothesis]) -> list[float]:
    """The share of the hypotheses' probability that has each word of the first hypothesis, in (0, 1].

    A hypothesis's probability is proportional to exp(score). Readings are aligned with the first one by the fewest word
    edits. Where hypotheses that score almost as well have another word, a word is doubtful, however clearly the network
    heard its pieces: the N-best estimate of word posteriors (Weintraub 1995; Rueber 1997).
    """
    if not nbest:
        return []
    words = nbest[0].text.split()
    scores = np.array([hypothesis.score for hypothesis in nbest])
    shares = np.exp(scores - np.logaddexp.reduce(scores))
    posteriors = np.zeros(len(words))
    for hypothesis, share in zip(nbest, shares.tolist(), strict=True):
        for block in Levenshtein.opcodes(words, hypothesis.text.split()).as_matching_blocks():
            posteriors[block.a : block.a + block.size] += share
    result: list[float] = np.minimum(posteriors, 1.0).tolist()
    return result
