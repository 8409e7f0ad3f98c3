"""Intervals keep their promise on simulated data with a known error rate, and say so where they cannot."""

from __future__ import annotations

import numpy as np
import pytest

from asr.scoring import score
from asr.scoring.bootstrap import ENOUGH, difference_interval, error_rate_interval, ratio_interval

WER = 0.12


def coverage_over_speakers(trials: int, speakers: int, spread: float, seed: int = 0) -> float:
    """How often the interval holds the true rate; skill is lognormal with `spread`, words come in 40 utterances."""
    generator = np.random.default_rng(seed)
    covered = 0
    for trial in range(trials):
        rates = WER * generator.lognormal(-spread * spread / 2, spread, speakers)
        words = generator.poisson(40, speakers) * 18 + 20
        errors = generator.binomial(words, np.minimum(rates, 1))
        interval = ratio_interval(errors, words, "speakers", resamples=600, seed=trial)
        covered += interval.low <= WER <= interval.high
    return covered / trials


def coverage_over_utterances(trials: int, utterances: int, seed: int = 0) -> float:
    """The same for independent utterances of unequal difficulty."""
    generator = np.random.default_rng(seed)
    covered = 0
    for trial in range(trials):
        words = generator.integers(3, 35, utterances)
        rates = WER * generator.gamma(1.5, 1 / 1.5, utterances)
        errors = generator.binomial(words, np.minimum(rates, 1))
        interval = ratio_interval(errors, words, "utterances", resamples=600, seed=trial)
        covered += interval.low <= WER <= interval.high
    return covered / trials


@pytest.mark.slow
@pytest.mark.parametrize("speakers", [20, 26, 40, 100])
@pytest.mark.parametrize("spread", [0.2, 0.4])
def test_speaker_interval_covers_the_truth(speakers: int, spread: float) -> None:
    assert 0.93 <= coverage_over_speakers(3000, speakers, spread) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("utterances", [500, 1000])
def test_utterance_interval_covers_the_truth(utterances: int) -> None:
    assert 0.93 <= coverage_over_utterances(2000, utterances) <= 0.97


def test_coverage_in_short() -> None:
    assert 0.90 <= coverage_over_speakers(150, 40, 0.3) <= 0.99
    assert 0.85 <= coverage_over_utterances(40, 500) <= 1.0


def test_equal_units_drawn_by_kind_spread_like_units_drawn_one_by_one() -> None:
    generator = np.random.default_rng(3)
    words = generator.integers(5, 30, 400)
    errors = generator.binomial(words, WER)
    interval = ratio_interval(errors, words, "utterances", resamples=4000)
    draws = generator.integers(0, 400, (4000, 400))
    rates = errors[draws].sum(axis=1) / words[draws].sum(axis=1)
    low, high = np.quantile(rates, [0.025, 0.975])
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.1 * (high - low))


def test_the_same_data_give_the_same_interval() -> None:
    errors, words = np.arange(200) % 4, np.full(200, 10)
    assert ratio_interval(errors, words, "utterances") == ratio_interval(errors, words, "utterances")


@pytest.mark.parametrize("speakers", [2, 10, ENOUGH["speakers"] - 1])
def test_too_few_speakers_are_said_to_be_too_few(speakers: int) -> None:
    interval = ratio_interval(np.arange(speakers) + 3, np.full(speakers, 100), "speakers")
    assert not interval.trusted
    assert f"too few speakers ({speakers}" in interval.note


def test_without_errors_nothing_is_promised() -> None:
    interval = ratio_interval(np.zeros(500, int), np.full(500, 10), "utterances")
    assert (interval.low, interval.high, interval.trusted) == (0, 0, False)
    assert "does not prove perfection" in interval.note


def test_rare_errors_are_not_trusted() -> None:
    errors = np.zeros(500, int)
    errors[:7] = 1
    interval = ratio_interval(errors, np.full(500, 10), "utterances")
    assert not interval.trusted
    assert "only 7 utterances" in interval.note


def test_unknown_speakers_give_no_interval() -> None:
    assert error_rate_interval(score(["a", "b"], ["a", "c"], speakers=["x", None]), "speakers") is None
    interval = error_rate_interval(score(["a", "b"], ["a", "c"], speakers=["x", "y"]), "speakers")
    assert interval is not None
    assert interval.units == 2


def test_paired_interval_is_narrower_than_the_systems_apart() -> None:
    generator = np.random.default_rng(5)
    references = [" ".join(map(str, range(12)))] * 400
    first, second = [], []
    for difficulty in generator.gamma(1, 0.2, 400):
        wrong = generator.random(12) < difficulty
        first.append(" ".join("x" if bad else str(index) for index, bad in enumerate(wrong)))
        wrong &= generator.random(12) < 0.8
        second.append(" ".join("x" if bad else str(index) for index, bad in enumerate(wrong)))
    left, right = score(references, first), score(references, second)
    paired, alone = difference_interval(left, right), error_rate_interval(left)
    assert paired is not None
    assert alone is not None
    assert paired.high < 0
    assert paired.p_value < 0.01
    assert paired.high - paired.low < alone.high - alone.low
