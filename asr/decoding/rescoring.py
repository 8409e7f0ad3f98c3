"""Rescoring the n-best list: a language model that is too slow for the search scores whole sentences.

    score = acoustic + language (n-gram, word bonus, hotwords) + weight · log p(text) + bonus · words

a log-linear interpolation with what the search has used already. The list then tells how sure each word is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Protocol

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.decoding.greedy import Hypothesis


class SentenceModel(Protocol):
    """What rescores: `asr.lm.rnn.RecurrentModel`."""

    def rescore_nbests(self, nbests: Sequence[Sequence[str]]) -> list[list[float]]:
        """Natural-log probability of each text of each list as a whole sentence."""


def merge_nbests(nbests: Sequence[Sequence[Hypothesis]], count: int) -> list[Hypothesis]:
    """The best `count` hypotheses of several n-best lists of one utterance, each text once, with its best score."""
    best: dict[str, Hypothesis] = {}
    for hypothesis in chain.from_iterable(nbests):
        if hypothesis.text not in best or hypothesis.score > best[hypothesis.text].score:
            best[hypothesis.text] = hypothesis
    return sorted(best.values(), key=lambda hypothesis: -hypothesis.score)[:count]


def rescore_nbest(
    nbests: Sequence[Sequence[Hypothesis]],
    model: SentenceModel,
    weight: float,
    bonus: float = 0.0,
    threshold: float = math.inf,
) -> list[list[Hypothesis]]:
    """The n-best lists of several utterances, each sorted anew with `weight · log p(text) + bonus · words` added.

    The bonus makes up for a second model's dislike of long sentences. All utterances are rescored together. Equal
    scores keep the order of the search. Hypotheses that are not `in_doubt` are not read: they are moved as far as the
    best one of the search, and stay as far behind it.
    """
    doubtful = [in_doubt(nbest, threshold) for nbest in nbests]
    asked = [[hypothesis.text for hypothesis in some] if len(some) > 1 else [] for some in doubtful]

    def rescored(nbest: Sequence[Hypothesis], lm_scores: Sequence[float]) -> list[Hypothesis]:
        if not lm_scores:
            return list(nbest)
        words = [len(hypothesis.text.split()) for hypothesis in nbest]
        changes = [weight * score + bonus * length for score, length in zip(lm_scores, words, strict=False)]
        changes += [changes[0]] * (len(nbest) - len(changes))
        moved = [
            replace(hypothesis, score=hypothesis.score + change, language=hypothesis.language + change)
            for hypothesis, change in zip(nbest, changes, strict=True)
        ]
        return sorted(moved, key=lambda hypothesis: -hypothesis.score)

    return [rescored(nbest, lm_scores) for nbest, lm_scores in zip(nbests, model.rescore_nbests(asked), strict=True)]


def in_doubt(nbest: Sequence[Hypothesis], threshold: float) -> list[Hypothesis]:
    """The hypotheses of an n-best list that score within `threshold` (natural log) of the best.

    The others could hardly win, whatever is added; where one alone is left, nothing is in doubt.
    """
    return [hypothesis for hypothesis in nbest if hypothesis.score >= nbest[0].score - threshold]


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
