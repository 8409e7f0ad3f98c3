"""Scoring hypotheses: alignment, error rates, certainty, comparison of systems, reports. Never imports torch."""

from __future__ import annotations

from asr.scoring.alignment import Edit, Pair
from asr.scoring.counts import Counts
from asr.scoring.result import Score, ScoredUtterance, score

__all__ = ["Counts", "Edit", "Pair", "Score", "ScoredUtterance", "score"]
