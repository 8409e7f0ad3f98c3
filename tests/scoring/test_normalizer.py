"""The normalizer is named, applied to both sides, and the score without it is kept."""

from __future__ import annotations

import pytest

from asr.errors import DataError, UsageError
from asr.scoring import score
from asr.scoring.alignment import Aligner


def test_both_sides_are_normalized_and_the_raw_score_is_kept() -> None:
    result = score(["The well-known map."], ["the WELL KNOWN map"], normalizer="librispeech")
    assert (result.wer, result.normalizer) == (0, "librispeech")
    assert result.raw_words is not None
    assert result.raw_words.errors == 4


def test_without_a_normalizer_there_is_no_second_score() -> None:
    assert score(["a"], ["A"]).raw_words is None


def test_a_reference_that_cannot_be_written_is_named() -> None:
    with pytest.raises(DataError, match="reference of utterance u7"):
        score(["ten 7"], ["ten"], ids=["u7"], normalizer="librispeech")


def test_a_hypothesis_word_that_cannot_be_written_counts_as_wrong() -> None:
    result = score(["the map is torn"], ["the 地図 is torn"], normalizer="librispeech")
    assert (result.words.substitutions, result.words.errors) == (1, 1)


@pytest.mark.parametrize("aligner", ["levenshtein", "nist"])
def test_a_normalizer_sees_the_letters_as_they_are_written(aligner: Aligner) -> None:
    assert score(["IN THE 1960S"], ["in the nineteen sixty s"], normalizer="ljspeech", aligner=aligner).wer == 0


def test_unknown_normalizer() -> None:
    with pytest.raises(UsageError, match="unknown normalizer 'magic'"):
        score(["a"], ["a"], normalizer="magic")
