"""Rescoring and word posteriors: sums by hand, and the order that they make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

import pytest

from asr.decoding.greedy import Hypothesis
from asr.decoding.rescoring import in_doubt, merge_nbests, rescore_nbest, word_posteriors


class Table:
    """A language model of three sentences that remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def rescore_nbests(self, nbests: Sequence[Sequence[str]]) -> list[list[float]]:
        self.asked += chain.from_iterable(nbests)
        return [[{"GO HOME": -4.0, "GO HOLM": -9.0, "GO": -2.0}[text] for text in texts] for texts in nbests]


def hypothesis(text: str, acoustic: float, language: float) -> Hypothesis:
    return Hypothesis((), (), acoustic + language, acoustic, language, text)


NBESTS = [
    [hypothesis("GO HOLM", -1.0, -2.0), hypothesis("GO HOME", -3.0, -1.0)],
    [hypothesis("GO", -1.0, 0.0), hypothesis("GO HOME", -1.0, -1.5)],
    [],
]


@pytest.mark.parametrize(
    ("weight", "bonus", "expected"),
    [
        (0.0, 0.0, [["GO HOLM", "GO HOME"], ["GO", "GO HOME"], []]),
        (0.5, 0.0, [["GO HOME", "GO HOLM"], ["GO", "GO HOME"], []]),
        (0.5, 3.0, [["GO HOME", "GO HOLM"], ["GO HOME", "GO"], []]),
    ],
)
def test_rescoring_sorts_anew(weight: float, bonus: float, expected: list[list[str]]) -> None:
    rescored = rescore_nbest(NBESTS, Table(), weight, bonus)
    assert [[one.text for one in nbest] for nbest in rescored] == expected


def test_scores_are_sums() -> None:
    (best, _), *_ = rescore_nbest(NBESTS, Table(), weight=0.5, bonus=1.0)
    assert best == Hypothesis((), (), -3.0 - 1.0 + 0.5 * -4.0 + 2 * 1.0, -3.0, -1.0 + 0.5 * -4.0 + 2 * 1.0, "GO HOME")


def test_only_what_is_near_the_best_is_in_doubt() -> None:
    nbest = [hypothesis("A", -1.0, 0.0), hypothesis("B", -2.5, 0.0), hypothesis("C", -9.0, 0.0)]
    assert [[one.text for one in in_doubt(nbest, threshold)] for threshold in (0.0, 1.5, 100.0)] == [
        ["A"],
        ["A", "B"],
        ["A", "B", "C"],
    ]
    assert in_doubt([], 1.0) == []


def test_a_list_of_one_is_not_asked_about() -> None:
    table = Table()
    assert rescore_nbest([NBESTS[0][:1]], table, 1.0) == [NBESTS[0][:1]]
    assert table.asked == []


def test_what_is_not_in_doubt_is_not_read_and_stays_as_far_behind() -> None:
    table = Table()
    nbest = [hypothesis("GO HOLM", -1.0, 0.0), hypothesis("GO HOME", -2.0, 0.0), hypothesis("GO", -4.0, 0.0)]
    (rescored,) = rescore_nbest([nbest], table, 0.5, threshold=2.0)
    assert [(one.text, one.score) for one in rescored] == [
        ("GO HOME", -2.0 - 0.5 * 4),
        ("GO HOLM", -1.0 - 0.5 * 9),
        ("GO", -4.0 - 0.5 * 9),
    ]
    assert table.asked == ["GO HOLM", "GO HOME"]
    assert rescore_nbest([nbest], table, 0.5, threshold=0.5) == [nbest]


def hypotheses(*shares: tuple[str, float]) -> list[Hypothesis]:
    return [Hypothesis((), (), math.log(share), 0.0, 0.0, text) for text, share in shares]


@pytest.mark.parametrize(
    ("nbest", "posteriors"),
    [
        ([("A B C", 0.5)], [1, 1, 1]),
        ([("A B C", 0.5), ("A X C", 0.3), ("A B", 0.2)], [1, 0.7, 0.8]),
        ([("A B", 0.6), ("Z A B", 0.4)], [1, 1]),
        ([("A B", 0.6), ("B A", 0.4)], [0.6, 1]),  # one of the two must give way; the fewest edits keep B
        ([("A", 0.75), ("", 0.25)], [0.75]),
        ([("", 0.9), ("A", 0.1)], []),
        ([], []),
    ],
)
def test_posteriors_literally(nbest, posteriors):
    result = word_posteriors(hypotheses(*nbest))
    if nbest[:1] == [("A B", 0.6)] and nbest[1][0] == "B A":
        assert sorted(result) == pytest.approx(posteriors)
    else:
        assert result == pytest.approx(posteriors)


def test_posteriors_of_scores_far_from_zero():
    nbest = [Hypothesis((), (), -1000.0 - rank, 0.0, 0.0, text) for rank, text in enumerate(("A B", "A C"))]
    assert word_posteriors(nbest) == pytest.approx([1, 1 / (1 + math.exp(-1))])


@pytest.mark.parametrize(
    ("others", "count", "expected"),
    [
        ([], 9, [("GO HOLM", -3.0), ("GO HOME", -4.0)]),
        ([hypothesis("GO HOME", -1.0, -1.0)], 9, [("GO HOME", -2.0), ("GO HOLM", -3.0)]),
        ([hypothesis("GO HOME", -9.0, 0.0)], 9, [("GO HOLM", -3.0), ("GO HOME", -4.0)]),
        ([hypothesis("GO", -3.5, 0.0), hypothesis("GO HOLM", -5.0, 0.0)], 2, [("GO HOLM", -3.0), ("GO", -3.5)]),
    ],
)
def test_lists_of_two_views_are_one(others: list[Hypothesis], count: int, expected: list[tuple[str, float]]) -> None:
    merged = merge_nbests([NBESTS[0], others], count)
    assert [(one.text, one.score) for one in merged] == expected
    assert merge_nbests([others, NBESTS[0]], count) == merged
