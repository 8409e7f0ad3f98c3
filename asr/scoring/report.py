"""The report: a score, how sure it is, where it hurts, and the comparison with another system.

Every view (terminal, JSON, CSV, NIST text, HTML) is written from this one object, or from a board: any number of
systems on the same references, and which differences chance explains.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from typing import Any

from asr.errors import DataError
from asr.scoring.bootstrap import Interval, error_rate_interval, interval_to_quote
from asr.scoring.breakdown import (
    Breakdown,
    Confusions,
    FormattingErrors,
    VocabularyShare,
    available,
    break_down,
    count_confusions,
    find_formatting_errors,
    outside_vocabulary,
    worst,
)
from asr.scoring.result import Score, ScoredUtterance
from asr.scoring.significance import Comparison, compare, conclude, holm


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

    @cached_property
    def formatting(self) -> FormattingErrors | None:
        """What letter case and punctuation cost, where that is most of the errors."""
        return find_formatting_errors(self.score, self.confusions)

    @property
    def worst(self) -> list[ScoredUtterance]:
        """The utterances with most errors."""
        return worst(self.score)

    @property
    def conclusion(self) -> str:
        """The plain sentence of the comparison; empty without one."""
        return conclude(self.comparison, self.baseline, self.name) if self.comparison else ""

    @property
    def interval(self) -> Interval:
        """The interval to quote."""
        return interval_to_quote(self.over_utterances, self.over_speakers)

    def breakdown(self, field: str) -> Breakdown:
        """The breakdown along `field`, which must be one of those in the report."""
        return next(each for each in self.breakdowns if each.field == field)


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


def describe_inputs(report: Report) -> str:
    """What was read as which format; empty where texts came from elsewhere."""
    read = []
    for side in ("reference", "hypothesis", "baseline"):
        form, field = report.inputs.get(f"{side}_format"), report.inputs.get(f"{side}_field")
        if form:
            read.append(f"{side} read as {form}{f' (field {field})' if field else ''}")
    return ", ".join(read)


def notices(report: Report) -> Iterator[str]:
    """What a reader must know beside the figures: ids that did not pair, tags, case and punctuation."""
    yield from _left_out(report)
    yield from (f"baseline {report.baseline}: {line}" for line in _left_out(report, "baseline_"))
    if report.formatting is not None:
        yield str(report.formatting)


def _left_out(report: Report, prefix: str = "") -> Iterator[str]:
    fates = {"delete": "counted as deleted", "skip": "left out"}
    fate = fates.get(str(report.inputs.get("missing_policy")), "")
    for key, what in [
        ("missing", f"without a hypothesis, {fate}"),
        ("extra", "hypotheses without a reference, left out"),
        ("doubled", "ids more than once among the hypotheses, the first text taken"),
        ("reference_doubled", "ids more than once among the references, the first text taken"),
    ]:
        ids = report.inputs.get(prefix + key) or []
        if ids:
            yield f"{len(ids):,} {what}: {', '.join(ids[:5])}{', …' if len(ids) > 5 else ''}"
    tags = report.inputs.get(f"{prefix}tags") or {}
    if tags and not (prefix and tags == report.inputs.get("tags")):  # those of the references are among both
        shown = ", ".join(f"{tag} {count}" for tag, count in list(tags.items())[:5])
        more = ", …" if len(tags) > 5 else ""
        yield f"{sum(tags.values()):,} tags left out, since nobody speaks them (--tags keep): {shown}{more}"


@dataclass(frozen=True)
class Difference:
    """Two systems compared, with Holm's p-value over all pairs of a board: `second` makes fewer errors, or as many."""

    first: Report
    second: Report
    comparison: Comparison

    @property
    def report(self) -> Report:
        """The report of `second`, compared with `first`."""
        return replace(
            self.second,
            comparison=self.comparison,
            baseline=self.first.name,
            inputs={**self.second.inputs, **baseline_inputs(self.first.inputs)},
        )


@dataclass(frozen=True)
class Board:
    """The systems' reports, fewest errors first, and every pair of them."""

    reports: tuple[Report, ...]
    differences: tuple[Difference, ...]

    def between(self, first: Report, second: Report) -> Difference:
        """The comparison of two of the systems, in either order."""
        return next(
            each for each in self.differences if {each.first.name, each.second.name} == {first.name, second.name}
        )


def build_board(reports: Sequence[Report]) -> Board:
    """Rank systems and compare each with each; their names must differ.

    Raises `DataError` unless all were scored on the same references in the same way.
    """
    ranked = sorted(reports, key=lambda report: report.score.wer)
    pairs = [(worse, better) for better, worse in combinations(ranked, 2)]
    comparisons = [compare(worse.score, better.score) for worse, better in pairs]
    adjusted = holm([each.matched_pairs.p_value for each in comparisons])
    differences = [
        Difference(worse, better, replace(comparison, adjusted=p_value))
        for (worse, better), comparison, p_value in zip(pairs, comparisons, adjusted, strict=True)
    ]
    return Board(tuple(ranked), tuple(differences))


def baseline_inputs(inputs: Mapping[str, object]) -> dict[str, object]:
    """What a comparison says of its baseline, from the `inputs` of the baseline's own report."""
    kept = ("hypothesis_format", "hypothesis_field", "missing", "extra", "doubled", "tags")
    named = {f"baseline_{key.removeprefix('hypothesis_')}": inputs.get(key) for key in kept}
    return {"baseline": inputs.get("hypothesis"), **named}
