"""Segments, the matched-pairs test and the sentence that says what may be concluded."""

from __future__ import annotations

import math
import random

import pytest

from asr.errors import DataError
from asr.scoring import ScoredUtterance, score
from asr.scoring.significance import compare, conclude, holm, matched_pairs, segments


def one(reference: str, hypothesis: str) -> ScoredUtterance:
    (utterance,) = score(reference, hypothesis).utterances
    return utterance


@pytest.mark.parametrize(
    ("reference", "first", "second", "expected"),
    [
        ("a b c d", "a b c d", "a b c d", []),
        ("a b c d", "x b c d", "a b c d", [(1, 0)]),
        ("a b c d", "x b c y", "a b c d", [(1, 0), (1, 0)]),  # two right words part the segments
        ("a b c", "x b y", "a b c", [(2, 0)]),  # one does not
        ("a b c d e", "x b c d e", "a b c d y", [(1, 0), (0, 1)]),
        ("a b c d", "a b x c d", "a b c d", [(1, 0)]),  # an insertion
        ("a b c d", "x b u c d", "a b c d", [(2, 0)]),  # an insertion between two right words joins
        ("a b", "a b u v", "a b", [(2, 0)]),
        ("a b", "a b", "a b u", [(0, 1)]),
        ("a", "", "", [(1, 1)]),
        ("", "u", "u v", [(1, 2)]),
    ],
)
def test_segments(reference: str, first: str, second: str, expected: list[tuple[int, int]]) -> None:
    left, right = one(reference, first), one(reference, second)
    assert list(segments(left, right)) == expected


def test_every_error_is_in_one_segment() -> None:
    generator = random.Random(2)
    for _ in range(300):
        sides = [" ".join(generator.choices("abcd", k=generator.randint(0, 12))) for _ in range(3)]
        left, right = one(sides[0], sides[1]), one(sides[0], sides[2])
        found = list(segments(left, right))
        assert sum(errors for errors, _ in found) == left.words.errors
        assert sum(errors for _, errors in found) == right.words.errors


def test_matched_pairs_by_hand() -> None:
    references = ["a b c"] * 10
    first = score(references, ["x b c"] * 6 + ["a b c"] * 4)
    second = score(references, ["a b c"] * 7 + ["a b x"] * 3)
    result = matched_pairs(first, second)
    differences = [-1] * 6 + [1] * 3
    mean = sum(differences) / 9
    deviation = math.sqrt(sum((value - mean) ** 2 for value in differences) / 8)
    assert (result.segments, result.mean, result.deviation) == pytest.approx((9, mean, deviation))
    assert result.z == pytest.approx(mean / (deviation / 3))
    assert result.p_value == pytest.approx(math.erfc(abs(result.z) / math.sqrt(2)))


def test_turning_the_systems_round_turns_the_signs() -> None:
    references, first, second = ["a b c d"] * 3, ["a x c d", "a b", "a b c d"], ["a b c d", "a b c", "u a b c d"]
    forth, back = (
        matched_pairs(score(references, first), score(references, second)),
        matched_pairs(score(references, second), score(references, first)),
    )
    assert (forth.mean, forth.z, forth.p_value) == pytest.approx((-back.mean, -back.z, back.p_value))


def _systems(better: float, worse: float, utterances: int = 600) -> tuple[object, str]:
    generator = random.Random(8)
    references = [" ".join(generator.choices("abcdefgh", k=12)) for _ in range(utterances)]

    def hear(rate: float) -> list[str]:
        return [" ".join("x" if generator.random() < rate else word for word in text.split()) for text in references]

    comparison = compare(score(references, hear(worse)), score(references, hear(better)))
    return comparison, conclude(comparison, "old", "new")


def test_a_clear_difference_is_called_one() -> None:
    comparison, sentence = _systems(0.05, 0.15)
    assert comparison.significant  # type: ignore[attr-defined]
    assert sentence.startswith("new makes fewer errors than old by ")
    assert "chance does not explain that" in sentence
    assert "p < 0.001" in sentence


def test_no_difference_is_not_called_one() -> None:
    comparison, sentence = _systems(0.1, 0.1)
    assert not comparison.significant  # type: ignore[attr-defined]
    assert "that may be chance" in sentence


def test_too_little_data_conclude_nothing() -> None:
    _, sentence = _systems(0.05, 0.25, utterances=5)
    assert "nothing may be concluded: too few errors (matched-pairs test p" in sentence


def test_a_large_difference_on_few_utterances_is_a_conclusion_without_the_interval() -> None:
    comparison, sentence = _systems(0.05, 0.24, utterances=60)
    assert comparison.significant  # type: ignore[attr-defined]
    assert "chance does not explain that: matched-pairs test p < 0.001 over" in sentence
    assert "interval" not in sentence


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # the textbook's: 3 x 0.01, 2 x 0.03, and none below the one before
        ([0.5, 0.6, 0.001], [1.0, 1.0, 0.003]),
    ],
)
def test_holm(p_values: list[float], expected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(expected)


def test_equal_systems() -> None:
    same = score(["a b"] * 200, ["a c"] * 200)
    assert conclude(compare(same, same)).startswith("Both make the same number of errors")


def test_systems_on_other_utterances_are_refused() -> None:
    with pytest.raises(DataError, match="not scored on the same utterances"):
        compare(score(["a"], ["a"], ids=["1"]), score(["a"], ["a"], ids=["2"]))
    with pytest.raises(DataError, match="same normalizer and aligner"):
        compare(score(["a"], ["a"]), score(["a"], ["a"], aligner="nist"))


def test_a_difference_that_is_the_same_everywhere_is_no_chance() -> None:
    references = ["a b c d"] * 40
    right, wrong = score(references, references), score(references, ["a b c d."] * 40)
    comparison = compare(wrong, right)
    assert (comparison.matched_pairs.mean, comparison.matched_pairs.p_value) == (-1, 2.0**-39)
    assert comparison.over_utterances.p_value < 0.001
    assert comparison.significant
    assert compare(right, right).matched_pairs.p_value == 1


def test_two_alike_are_not_called_perfect() -> None:
    same = score(["a b"] * 200, ["a c"] * 200)
    assert compare(same, same).over_utterances.note == (
        "no difference was seen, so the interval has no width; it does not prove that there is none"
    )


def test_other_references_under_the_same_ids_are_refused() -> None:
    with pytest.raises(DataError, match="same utterances"):
        compare(score(["a b"], ["a b"]), score(["a c"], ["a b"]))
