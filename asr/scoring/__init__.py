"""Scoring hypotheses: alignment, error rates, certainty, comparison of systems, reports. Never imports torch."""

from __future__ import annotations

from asr.scoring.alignment import Counts as Counts
from asr.scoring.report import build_report as build_report
from asr.scoring.result import Score as Score
from asr.scoring.result import ScoredUtterance as ScoredUtterance
from asr.scoring.result import score as score
from asr.scoring.views import write_report as write_report
