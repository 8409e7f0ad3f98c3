"""What an alignment counts, and the rates that follow from it; what of a file is a number."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeGuard

_FIELDS = attrgetter("hits", "substitutions", "deletions", "insertions")


@dataclass(frozen=True, slots=True)
class Counts:
    """Hits, substitutions, deletions and insertions, of words or of characters.

    Rates are fractions of the whole: add the counts of all utterances first, never average the rates.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def reference(self) -> int:
        """Length of the reference, H + S + D."""
        return self.hits + self.substitutions + self.deletions

    @property
    def hypothesis(self) -> int:
        """Length of the hypothesis, H + S + I."""
        return self.hits + self.substitutions + self.insertions

    @property
    def errors(self) -> int:
        """S + D + I."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def error_rate(self) -> float:
        """(S + D + I) / (H + S + D): the WER of words, the CER of characters.

        An empty reference is divided by one, so that its rate is the number of insertions (as jiwer counts it).
        """
        return self.errors / max(self.reference, 1)

    @property
    def match_error_rate(self) -> float:
        """MER, (S + D + I) / (H + S + D + I): at most 1, unlike the WER (Morris, Maier & Green 2004)."""
        return self.errors / max(self.hits + self.errors, 1)

    @property
    def information_lost(self) -> float:
        """WIL, 1 − (H / reference) · (H / hypothesis) (Morris, Maier & Green 2004)."""
        if not self.reference and not self.hypothesis:
            return 0.0
        return 1.0 - self.hits**2 / (max(self.reference, 1) * max(self.hypothesis, 1))


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of all `counts`; zeros where there are none."""
    return Counts(*map(sum, zip(*map(_FIELDS, counts), strict=True)))


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value of a file is a number that a float can hold; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
