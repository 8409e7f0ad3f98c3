"""The report: a score, how sure it is, where it hurts, and the comparison with another system.

Every view (terminal, JSON, CSV, NIST text, HTML) is written from this one object.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from asr.errors import DataError
from asr.io import write_text
from asr.scoring.bootstrap import Interval, error_rate_interval
from asr.scoring.breakdown import (
    Breakdown,
    Confusions,
    VocabularyShare,
    available,
    break_down,
    count_confusions,
    outside_vocabulary,
    worst,
)
from asr.scoring.result import Score, ScoredUtterance
from asr.scoring.significance import Comparison, compare, conclude

WORST = 20


@dataclass(frozen=True)
class Report:
    """`name` is what the scored system is called, `baseline` the one that it is compared with.

    `inputs` says what was read (paths, formats, ids that did not pair); `settings` what made the hypotheses, if known.
    """

    score: Score
    name: str
    over_utterances: Interval
    over_speakers: Interval | None
    breakdowns: tuple[Breakdown, ...]
    vocabulary: VocabularyShare | None = None
    comparison: Comparison | None = None
    baseline: str = ""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def confusions(self) -> Confusions:
        """Errors by word."""
        return count_confusions(self.score)

    @property
    def worst(self) -> list[ScoredUtterance]:
        """The utterances with most errors."""
        return worst(self.score, WORST)

    @property
    def conclusion(self) -> str:
        """The plain sentence of the comparison; empty without one."""
        return conclude(self.comparison, self.baseline, self.name) if self.comparison else ""

    @property
    def interval(self) -> Interval:
        """The interval to quote: over speakers where there are enough of them, else over utterances."""
        speakers = self.over_speakers
        return speakers if speakers is not None and speakers.trusted else self.over_utterances

    def print(self, by: tuple[str, ...] = (), worst: int = 0) -> None:
        """Print the summary, with the breakdowns named in `by` and so many of the worst utterances (at most 20)."""
        from asr.scoring.views.terminal import print_report

        print_report(self, by=by, worst=worst)

    def write_json(self, path: Path | str) -> None:
        """Write everything as JSON (the schema is in docs/scoring.md)."""
        from asr.scoring.views.json_report import render_json

        write_text(path, render_json(self))

    def write_csv(self, path: Path | str) -> None:
        """Write one row per utterance."""
        from asr.scoring.views.csv_table import render_csv

        write_text(path, render_csv(self))

    def write_pra(self, path: Path | str) -> None:
        """Write the alignments as `sclite -o pralign` prints them."""
        from asr.scoring.views.nist_text import render_pra

        write_text(path, render_pra(self.score))

    def write_sys(self, path: Path | str) -> None:
        """Write the table by speaker as `sclite -o sum` prints it."""
        from asr.scoring.views.nist_text import render_sys

        write_text(path, render_sys(self.score, self.name))

    def write_html(self, path: Path | str, embed_audio: bool = False) -> None:
        """Write the self-contained page; audio is linked relative to it, or embedded."""
        from asr.scoring.views.html.page import render_html

        write_text(path, render_html(self, Path(path).parent, embed_audio))


def build_report(
    score: Score,
    *,
    name: str = "system",
    by: Sequence[str] = (),
    against: Score | None = None,
    baseline: str = "baseline",
    vocabulary: Collection[str] | None = None,
    inputs: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Report:
    """Gather all that a report says of `score`.

    `by` names further fields to break down by, after speaker, duration, speaking rate and level where these are
    known. `against` is the score of another system on the same references. Raises `UsageError` for an unknown field,
    `DataError` when there is nothing to report or the systems do not match.
    """
    over_utterances = error_rate_interval(score, "utterances")
    if over_utterances is None:
        raise DataError("there is no utterance to report on")
    fields = list(dict.fromkeys([*by, *available(score)]))
    return Report(
        score=score,
        name=name,
        over_utterances=over_utterances,
        over_speakers=error_rate_interval(score, "speakers"),
        breakdowns=tuple(break_down(score, item) for item in fields),
        vocabulary=None if vocabulary is None else outside_vocabulary(score, vocabulary),
        comparison=None if against is None else compare(against, score),
        baseline=baseline if against is not None else "",
        inputs=inputs or {},
        settings=settings or {},
    )
