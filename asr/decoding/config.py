"""How the beam search searches and how it weighs the language side."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from asr.errors import UsageError

MOST = 1_000_000
"""Weights beyond it would leave the range of numbers in a long text."""


@dataclass(frozen=True)
class DecodingConfig:
    """How to search and how to weigh the language models. All scores are natural logarithms."""

    beam_size: int = 50  # prefixes kept after each frame, in all views together
    views: int = 1  # searches of the same sound, begun fractions of a step apart, whose best hypotheses compete
    token_min_logp: float = -6.0  # tokens below this log-probability in a frame are not tried there
    beam_threshold: float = 12.0  # prefixes this much worse than the best are dropped
    lm_weight: float = 0.5  # factor on the language model's log-probabilities
    word_score: float = 2.0  # added per word: balances the language model's taste for short texts
    unk_score: float = -4.0  # added per word that the language model does not know …
    unk_char_score: float = -1.0  # … and per letter of it: else one long unknown word is cheaper than many known ones
    prior_weight: float = 0.0  # how much of `prior` is taken from the network's log-probabilities
    prior: tuple[float, ...] = ()  # log-probability of each piece whatever is heard, the blank's among them
    closed_vocabulary: bool = False  # only words of the language model (and hotwords)
    end_of_sentence: bool = True  # an utterance is a whole sentence: score its end
    nbest: int = 30  # hypotheses that a recurrent model, where there is one, rescores as whole sentences
    nbest_threshold: float = 4.0  # of those, ones this much worse than the best are not: they could not win
    rescored_lm_weight: float | None = None  # lm_weight where such a model is to rescore; None where that is the same
    rescore_weight: float = 0.3  # factor on that model's log-probabilities
    rescore_word_score: float = 1.0  # added per word: balances its taste for short texts

    def __post_init__(self) -> None:
        for name in ("views", "beam_size", "nbest"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.beam_threshold > 0:
            raise UsageError(f"beam_threshold must be positive, not {self.beam_threshold}")
        for name in ("lm_weight", "rescored_lm_weight", "rescore_weight", "nbest_threshold"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise UsageError(f"{name} must not be negative, not {value}")
        for name in ("lm_weight", "word_score", "rescored_lm_weight", "rescore_weight", "rescore_word_score"):
            value = getattr(self, name)
            if value is not None and not abs(value) < MOST:
                raise UsageError(f"{name} must be a number below {MOST:,}, not {value}")
        if not 0 <= self.prior_weight < math.inf or not all(map(math.isfinite, self.prior)):
            raise UsageError("prior_weight must not be negative, and prior must hold numbers")
        if not self.unk_char_score <= 0:
            raise UsageError(f"unk_char_score must not be positive, not {self.unk_char_score}")

    def before_rescoring(self) -> DecodingConfig:
        """The settings of a search whose hypotheses a recurrent model rescores: it takes over a share of the weight."""
        return self if self.rescored_lm_weight is None else replace(self, lm_weight=self.rescored_lm_weight)

    def of_one_view(self) -> DecodingConfig:
        """The settings of the search of each view: its share of the beam."""
        return replace(self, views=1, beam_size=max(1, self.beam_size // self.views))
