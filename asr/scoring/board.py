"""Any number of systems on the same references: each one's report, and which differences chance explains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from asr.scoring.report import Report
from asr.scoring.significance import ALPHA, Comparison, compare, holm


@dataclass(frozen=True)
class Difference:
    """Two systems compared: `second` makes fewer errors, or as many. `p_value` is Holm's, over all pairs of a board."""

    first: Report
    second: Report
    comparison: Comparison
    p_value: float

    @property
    def report(self) -> Report:
        """The report of `second`, compared with `first`."""
        return replace(
            self.second,
            comparison=self.comparison,
            baseline=self.first.name,
            inputs={**self.second.inputs, **baseline_inputs(self.first.inputs)},
        )

    @property
    def significant(self) -> bool:
        """Whether chance does not explain the difference, though so many pairs were looked at."""
        return self.comparison.significant and self.p_value < ALPHA


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
        Difference(worse, better, comparison, p_value)
        for (worse, better), comparison, p_value in zip(pairs, comparisons, adjusted, strict=True)
    ]
    return Board(tuple(ranked), tuple(differences))


def baseline_inputs(inputs: Mapping[str, object]) -> dict[str, object]:
    """What a comparison says of its baseline, from the `inputs` of the baseline's own report."""
    kept = ("hypothesis_format", "hypothesis_field", "missing", "extra", "doubled")
    named = {f"baseline_{key.removeprefix('hypothesis_')}": inputs.get(key) for key in kept}
    return {"baseline": inputs.get("hypothesis"), **named}
