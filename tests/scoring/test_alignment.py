"""Counts against literal tables, against jiwer to the last error, and invariants of every alignment."""

from __future__ import annotations

import random

import jiwer
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import asr
from asr.errors import DataError, UsageError
from asr.scoring import Counts, Score, score

words = st.lists(st.sampled_from(["a", "b", "c", "dd", "ee", "fff", "the", "of", "I"]), max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("the cat sat", "the cat sat", Counts(3, 0, 0, 0)),
        ("the cat sat", "the hat sat", Counts(2, 1, 0, 0)),
        ("the cat sat", "the sat", Counts(2, 0, 1, 0)),
        ("the cat sat", "the big cat sat", Counts(3, 0, 0, 1)),
        ("the cat sat", "", Counts(0, 0, 3, 0)),
        ("", "the cat sat", Counts(0, 0, 0, 3)),
        ("", "", Counts(0, 0, 0, 0)),
        ("a", "b", Counts(0, 1, 0, 0)),
        ("a", "", Counts(0, 0, 1, 0)),
        ("  the   cat ", "the cat", Counts(2, 0, 0, 0)),
        ("ёлка стоит", "елка стоит", Counts(1, 1, 0, 0)),
    ],
)
def test_counts_of_words(reference: str, hypothesis: str, expected: Counts) -> None:
    assert score(reference, hypothesis).words == expected


@pytest.mark.parametrize(
    ("reference", "hypothesis", "characters", "letters"),
    [
        ("ab cd", "abcd", Counts(4, 0, 1, 0), Counts(4, 0, 0, 0)),
        ("ab cd", "ab ce", Counts(4, 1, 0, 0), Counts(3, 1, 0, 0)),
        ("", "a b", Counts(0, 0, 0, 3), Counts(0, 0, 0, 2)),
    ],
)
def test_counts_of_characters_with_and_without_spaces(
    reference: str, hypothesis: str, characters: Counts, letters: Counts
) -> None:
    result = score(reference, hypothesis)
    assert (result.characters, result.letters) == (characters, letters)


def test_rates_are_of_the_corpus_not_means_of_utterances() -> None:
    result = score(["one", "a b c d e f g h i"], ["two", "a b c d e f g h i"])
    assert result.wer == pytest.approx(1 / 10)
    assert result.utterance_error_rate == pytest.approx(1 / 2)


def _equal_to_jiwer(references: list[str], hypotheses: list[str]) -> None:
    ours, theirs = score(references, hypotheses), jiwer.process_words(references, hypotheses)
    assert ours.words == Counts(theirs.hits, theirs.substitutions, theirs.deletions, theirs.insertions)
    assert (ours.wer, ours.mer, ours.wil) == pytest.approx((theirs.wer, theirs.mer, theirs.wil))
    letters = jiwer.process_characters(references, hypotheses)
    assert ours.characters == Counts(letters.hits, letters.substitutions, letters.deletions, letters.insertions)
    assert ours.cer == pytest.approx(letters.cer)


def noisy(generator: random.Random, sentence: list[str], vocabulary: list[str], rate: float) -> list[str]:
    """Replace, drop and add words, each at a third of `rate`."""
    result = []
    for word in sentence:
        dice = generator.random() / rate
        if dice < 1 / 3:
            result.append(generator.choice(vocabulary))
        elif dice < 2 / 3:
            continue
        elif dice < 1:
            result += [word, generator.choice(vocabulary)]
        else:
            result.append(word)
    return result


def test_equal_to_jiwer_on_a_thousand_random_pairs() -> None:
    generator = random.Random(4)
    vocabulary = ["".join(generator.choices("abcdefgh'", k=generator.randint(1, 7))) for _ in range(300)]
    references, hypotheses = [], []
    for _ in range(1000):
        sentence = generator.choices(vocabulary, k=generator.randint(0, 30))
        references.append(" ".join(sentence))
        hypotheses.append(" ".join(noisy(generator, sentence, vocabulary, generator.choice([0.1, 0.4, 0.9]))))
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        _equal_to_jiwer([reference], [hypothesis])
    _equal_to_jiwer(references, hypotheses)


@settings(deadline=None)
@given(words, words)
def test_equal_to_jiwer_on_any_pair(reference: str, hypothesis: str) -> None:
    _equal_to_jiwer([reference], [hypothesis])


@settings(deadline=None)
@given(words, words)
def test_the_alignment_spells_both_sides_and_agrees_with_the_counts(reference: str, hypothesis: str) -> None:
    (utterance,) = score(reference, hypothesis).utterances
    pairs = utterance.pairs
    assert [pair.reference for pair in pairs if pair.reference is not None] == reference.split()
    assert [pair.hypothesis for pair in pairs if pair.hypothesis is not None] == hypothesis.split()
    kinds = [pair.kind for pair in pairs]
    counted = Counts(*(kinds.count(kind) for kind in ("equal", "replace", "delete", "insert")))
    assert counted == utterance.words
    assert all((pair.reference == pair.hypothesis) == (pair.kind == "equal") for pair in pairs)


def test_lists_of_unequal_length_are_refused() -> None:
    with pytest.raises(DataError, match="2 references but 1 hypotheses"):
        score(["a", "b"], ["a"])
    with pytest.raises(DataError, match="1 speakers for 2 references"):
        score(["a", "b"], ["a", "b"], speakers=["x"])


def test_unknown_aligner_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="unknown aligner 'magic'"):
        score(["a"], ["a"], aligner="magic")  # type: ignore[arg-type]


def test_the_package_offers_score() -> None:
    assert isinstance(asr.score(["the cat sat"], ["the cat sad"]), Score)
    assert asr.score(["the cat sat"], ["the cat sad"]).wer == pytest.approx(1 / 3)
