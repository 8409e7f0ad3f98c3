"""Scoring hypotheses: alignment, error rates, certainty, comparison of systems, reports. Never imports torch."""

from __future__ import annotations

from asr.scoring.alignment import Edit, Pair
from asr.scoring.counts import Counts
from asr.scoring.report import Report, build_report
from asr.scoring.result import Score, ScoredUtterance, score
from asr.scoring.views import write_report

__all__ = [
    "Counts",
    "Edit",
    "Pair",
    "Report",
    "Score",
    "ScoredUtterance",
    "build_report",
    "score",
    "write_report",
]
