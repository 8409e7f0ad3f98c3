"""A second opinion on the n-best list: a language model that is too slow for the search rescores whole sentences.

    score = acoustic + language (n-gram, word bonus, hotwords) + weight · log p(text) + bonus · words

a log-linear interpolation with what the search has used already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

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
    that several hypotheses share is rescored once. Equal scores keep the order of the search.
    """
    lm_scores = score_texts(nbests, model)

    def rescored(hypothesis: Hypothesis) -> Hypothesis:
        added = weight * lm_scores[hypothesis.text] + bonus * len(hypothesis.text.split())
        return replace(hypothesis, score=hypothesis.score + added, language=hypothesis.language + added)

    return [sorted(map(rescored, nbest), key=lambda hypothesis: -hypothesis.score) for nbest in nbests]


def score_texts(nbests: Sequence[Sequence[Hypothesis]], model: SentenceModel) -> dict[str, float]:
    """Natural-log probability by `model` of every text in the lists, each rescored once."""
    texts = sorted({hypothesis.text for nbest in nbests for hypothesis in nbest})
    return dict(zip(texts, model.rescore(texts), strict=True))
