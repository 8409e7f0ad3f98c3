"""Is one system better than another? The matched-pairs test of NIST, and one plain sentence.

MAPSSWE (Gillick & Cox 1989): the alignments of both systems with the same reference are cut into segments that hold
the errors, at places where both systems have at least two words right in a row. Errors of different segments are
then nearly independent, and the mean difference of errors per segment is tested with a normal distribution.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from asr.errors import DataError
from asr.scoring.bootstrap import Interval, difference_interval, interval_to_quote
from asr.scoring.result import Score, ScoredUtterance

BUFFER = 2  # words that both systems have right between two segments, as in sc_stats
ENOUGH_SEGMENTS = 30  # below, the mean of the differences is not safely normal
ALPHA = 0.05


@dataclass(frozen=True)
class MatchedPairs:
    """The matched-pairs sentence-segment word-error test; differences are errors of the second minus the first.

    Where all differences are alike there is no deviation and z is 0; p is that of the sign test then.
    """

    segments: int
    mean: float
    deviation: float
    z: float
    p_value: float

    @property
    def enough(self) -> bool:
        """Whether there are segments enough for the mean of their differences to be normal."""
        return self.segments >= ENOUGH_SEGMENTS


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same references. Differences are second minus first: negative where the second is better."""

    first: Score
    second: Score
    matched_pairs: MatchedPairs
    over_utterances: Interval
    over_speakers: Interval | None
    adjusted: float | None = None
    """The test's p-value corrected for the other comparisons of a board, where it is one of several."""

    @property
    def p_value(self) -> float:
        """That of the matched-pairs test, corrected where this is one comparison of several."""
        return self.matched_pairs.p_value if self.adjusted is None else self.adjusted

    @property
    def difference(self) -> float:
        """WER(second) − WER(first), a fraction."""
        return self.second.wer - self.first.wer

    @property
    def relative(self) -> float | None:
        """The difference as a fraction of the first system's WER; None when that is zero."""
        return self.difference / self.first.wer if self.first.wer else None

    @property
    def interval(self) -> Interval:
        """The interval to quote."""
        return interval_to_quote(self.over_utterances, self.over_speakers)

    @property
    def significant(self) -> bool:
        """Whether the matched-pairs test says that the systems differ, and no interval to be trusted gainsays it."""
        interval = self.interval
        gainsaid = interval.trusted and interval.low <= 0 <= interval.high
        return self.matched_pairs.enough and self.p_value < ALPHA and not gainsaid


def compare(first: Score, second: Score) -> Comparison:
    """Compare two systems. Raises `DataError` unless both were scored on the same references in the same way."""
    references = [(utterance.id, utterance.reference) for utterance in first.utterances]
    if references != [(utterance.id, utterance.reference) for utterance in second.utterances]:
        raise DataError("the two systems were not scored on the same utterances", "Score both against one reference.")
    if (first.normalizer, first.aligner, first.case_folded) != (second.normalizer, second.aligner, second.case_folded):
        raise DataError("the two systems were not scored with the same normalizer and aligner")
    over_utterances = difference_interval(first, second, "utterances")
    if over_utterances is None:
        raise DataError("there is no utterance to compare the systems on")
    over_speakers = difference_interval(first, second, "speakers")
    return Comparison(first, second, matched_pairs(first, second), over_utterances, over_speakers)


def matched_pairs(first: Score, second: Score) -> MatchedPairs:
    """MAPSSWE over the segments of all utterances.

    With the `nist` aligner the segments are those of NIST's `sc_stats` to the last one, and so are Z and p.
    """
    differences = [
        right_errors - left_errors
        for left, right in zip(first.utterances, second.utterances, strict=True)
        for left_errors, right_errors in segments(left, right)
    ]
    count = len(differences)
    if count < 2:
        return MatchedPairs(count, float(sum(differences)), 0.0, 0.0, 1.0)
    mean, deviation = statistics.fmean(differences), statistics.stdev(differences)
    if not deviation:
        return MatchedPairs(count, mean, 0.0, 0.0, min(1.0, 2.0 ** (1 - count)) if mean else 1.0)
    z = mean / (deviation / math.sqrt(count))
    return MatchedPairs(count, mean, deviation, z, math.erfc(abs(z) / math.sqrt(2)))


def segments(left: ScoredUtterance, right: ScoredUtterance) -> Iterator[tuple[int, int]]:
    """The errors (left, right) of every segment of one utterance that has any."""
    if not left.edits and not right.edits:
        return
    length = left.words.reference
    left_added, left_wrong = _errors_by_position(left, length)
    right_added, right_wrong = _errors_by_position(right, length)
    errors, run = [0, 0], 0  # run: words that both have right since the last error
    for position in range(length + 1):
        added = left_added[position], right_added[position]
        wrong = (left_wrong[position], right_wrong[position]) if position < length else (0, 0)
        run = 0 if any(added) else run
        run = 0 if any(wrong) else run + 1
        errors = [errors[0] + added[0] + wrong[0], errors[1] + added[1] + wrong[1]]
        if any(errors) and (run >= BUFFER or position == length):
            yield errors[0], errors[1]
            errors = [0, 0]


def _errors_by_position(utterance: ScoredUtterance, length: int) -> tuple[list[int], list[int]]:
    """Words added before each reference position (and after the last), and whether the word there is wrong."""
    added, wrong = [0] * (length + 1), [0] * length
    for kind, reference, _ in utterance.edits:
        if kind == "insert":
            added[reference] += 1
        else:
            wrong[reference] = 1
    return added, wrong


def conclude(comparison: Comparison, first: str = "the first system", second: str = "the second system") -> str:
    """One plain sentence: what may be concluded from the comparison."""
    difference, interval = comparison.difference, comparison.interval
    size = f"{abs(difference) * 100:.2f} points"
    if comparison.relative is not None:
        size += f" ({abs(comparison.relative) * 100:.1f} % of {first}'s errors)"
    pairs = comparison.matched_pairs
    test = "matched-pairs test" if comparison.adjusted is None else "matched-pairs test with Holm's correction"
    evidence = f"{test} {format_p_value(comparison.p_value)} over {pairs.segments:,} segments with errors"
    if interval.trusted:
        spread = f"{interval.low * 100:+.2f} to {interval.high * 100:+.2f} points"
        evidence = f"95 % interval over {interval.unit} {spread}; {evidence}"
    if not difference:
        return f"Both make the same number of errors ({evidence}): no difference is shown."
    winner, loser = (second, first) if difference < 0 else (first, second)
    fewer = f"{winner} makes fewer errors than {loser} by {size}"
    if comparison.significant:
        return f"{fewer}, and chance does not explain that: {evidence}."
    if not pairs.enough:
        return f"{fewer}, but nothing may be concluded: too few errors ({evidence}, at least {ENOUGH_SEGMENTS})."
    if comparison.p_value < ALPHA:
        return f"{fewer}, but other {interval.unit} could turn that round: {evidence}."
    return f"{fewer}, but that may be chance: {evidence}."


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests, raised so that the chance of even one false claim among them stays below the level.

    Holm (1979): the smallest of m is multiplied by m, the next by m − 1, and so on; none may be below the one before.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def format_p_value(p_value: float) -> str:
    """`p = 0.032`, or `p < 0.001`."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
