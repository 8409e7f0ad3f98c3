"""How the beam search searches and how it weighs the language side."""

from __future__ import annotations

import math
from dataclasses import dataclass

from asr.errors import UsageError


@dataclass(frozen=True)
class DecodingConfig:
    """How to search and how to weigh the language models. All scores are natural logarithms."""

    beam: int = 50  # prefixes kept after each frame
    token_threshold: float = -6.0  # tokens below this log-probability in a frame are not tried there
    score_margin: float = 12.0  # prefixes this much worse than the best are dropped
    lm_weight: float = 0.5  # factor on the language model's log-probabilities
    word_bonus: float = 2.0  # added per word: balances the language model's taste for short texts
    unknown_score: float = -4.0  # added per word that the language model does not know …
    unknown_letter: float = -1.0  # … and per letter of it: else one long unknown word is cheaper than many known ones
    prior_weight: float = 0.0  # how much of `prior` is taken from the network's log-probabilities
    prior: tuple[float, ...] = ()  # log-probability of each piece whatever is heard, the blank's among them
    closed_vocabulary: bool = False  # only words of the language model (and hotwords)
    end_of_sentence: bool = True  # an utterance is a whole sentence: score its end
    nbest: int = 30  # readings that a recurrent model, where there is one, judges as whole sentences
    rescore_weight: float = 0.3  # factor on that model's log-probabilities
    rescore_bonus: float = 1.0  # added per word: balances its taste for short texts

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise UsageError(f"beam must be at least 1, not {self.beam}")
        if not self.score_margin > 0:
            raise UsageError(f"score_margin must be positive, not {self.score_margin}")
        if not self.lm_weight >= 0:
            raise UsageError(f"lm_weight must not be negative, not {self.lm_weight}")
        if not 0 <= self.prior_weight < math.inf or not all(map(math.isfinite, self.prior)):
            raise UsageError("prior_weight must not be negative, and prior must hold numbers")
        if not self.unknown_letter <= 0:
            raise UsageError(f"unknown_letter must not be positive, not {self.unknown_letter}")
        if self.nbest < 1:
            raise UsageError(f"nbest must be at least 1, not {self.nbest}")
        if not self.rescore_weight >= 0:
            raise UsageError(f"rescore_weight must not be negative, not {self.rescore_weight}")
