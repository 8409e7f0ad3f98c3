"""What is done to sound is what was asked for, measured from outside."""

from __future__ import annotations

import numpy as np
import pytest

from asr.features import distortion
from asr.features.distortion import BROWN, PINK, WHITE

RATE = 16000
TONE = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32) / 4


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def decibel(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


def band_db(samples: np.ndarray, low: float, high: float, rate: int = RATE) -> float:
    """The mean power density between two frequencies, in dB."""
    power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    return decibel(power[(hertz >= low) & (hertz < high)].mean())


@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0, 30.0])
def test_noise_is_mixed_at_the_asked_ratio(snr: float) -> None:
    noise = distortion.mix(TONE, distortion.colored_noise(len(TONE), PINK, rng()), snr) - TONE
    assert decibel(np.mean(TONE**2) / np.mean(noise**2)) == pytest.approx(snr, abs=0.1)


@pytest.mark.parametrize(("slope", "an_octave"), [(WHITE, 0.0), (PINK, -3.01), (BROWN, -6.02)])
def test_the_color_of_noise(slope: float, an_octave: float) -> None:
    noise = distortion.colored_noise(10 * RATE, slope, rng())
    levels = [band_db(noise, low, 2 * low) for low in (125, 250, 500, 1000, 2000, 4000)]
    assert np.polyfit(range(6), levels, 1)[0] == pytest.approx(an_octave, abs=0.2)
    assert np.mean(noise**2) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("length", [1, 2, 3, 1023, 1024, 16001])
def test_noise_of_any_length(length: int) -> None:
    noise = distortion.colored_noise(length, PINK, rng())
    assert noise.shape == (length,)
    assert noise.dtype == np.float32
    assert np.isfinite(noise).all()


@pytest.mark.parametrize("rt60", [0.2, 0.6])
def test_a_room_rings_as_long_as_asked(rt60: float) -> None:
    """By Schroeder's backward integration, over the fall from -5 to -35 dB."""
    tail = distortion.room(rt60, 0.0, RATE, rng())[1:].astype(np.float64)
    left = np.cumsum(tail[::-1] ** 2)[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    first, last = np.argmax(level < -5), np.argmax(level < -35)
    assert (last - first) / RATE * 2 == pytest.approx(rt60, rel=0.1)


@pytest.mark.parametrize("direct", [-3.0, 10.0])
def test_the_direct_path_stands_out_as_asked(direct: float) -> None:
    response = distortion.room(0.5, direct, RATE, rng())
    assert response[0] == 1
    assert decibel(1 / float(np.sum(response[1:] ** 2))) == pytest.approx(direct, abs=0.01)


def test_reverberation_keeps_length_level_and_place() -> None:
    click = np.zeros(RATE, np.float32)
    click[1000] = 0.5
    heard = distortion.reverberate(click, distortion.room(0.3, 6.0, RATE, rng()))
    assert len(heard) == len(click)
    assert np.argmax(np.abs(heard)) == 1000
    assert np.abs(heard[:1000]).max() < 1e-6
    assert np.mean(heard**2) == pytest.approx(np.mean(click**2), rel=1e-4)


def test_a_room_without_a_tail_changes_nothing() -> None:
    np.testing.assert_allclose(distortion.reverberate(TONE, np.array([1.0, 0.0], np.float32)), TONE, atol=1e-6)


def test_convolution_equals_the_sum_it_stands_for() -> None:
    samples, response = rng(2).standard_normal((2, 50)).astype(np.float32)
    expected = np.convolve(samples, response)[:50]
    expected *= np.sqrt(np.mean(samples**2) / np.mean(expected**2))
    np.testing.assert_allclose(distortion.reverberate(samples, response), expected, atol=1e-5)


def test_a_telephone_passes_its_band_alone() -> None:
    white = distortion.colored_noise(4 * RATE, WHITE, rng()) * np.float32(0.1)
    heard = distortion.telephone(white, RATE)
    assert len(heard) == len(white)
    inside = band_db(heard, 400, 3200)
    assert inside == pytest.approx(band_db(white, 400, 3200), abs=0.5)
    assert band_db(heard, 50, 250) < inside - 25
    assert band_db(heard, 3700, 8000) < inside - 25


@pytest.mark.parametrize("name", list(distortion.CODECS))
@pytest.mark.parametrize("compression", [0.0, 1.0])
def test_codecs_take_every_compression(name: str, compression: float) -> None:
    assert len(distortion.codec(TONE[:2000], RATE, name, compression)) == 2000


@pytest.mark.parametrize("name", list(distortion.CODECS))
def test_codecs_lose_something_and_keep_length_and_place(name: str) -> None:
    tone = TONE * np.hanning(len(TONE)).astype(np.float32)
    heard = distortion.codec(tone, RATE, name, 0.9)
    assert len(heard) == len(tone)
    assert 0 < np.abs(heard - tone).max() < 0.05


@pytest.mark.parametrize("rate", [0.85, 1.2])
@pytest.mark.parametrize("window", distortion.STRETCH_WINDOWS)
def test_stretching_changes_the_pace_and_not_the_pitch(rate: float, window: int) -> None:
    heard = distortion.stretch(TONE, rate, window)
    assert len(heard) == round(len(TONE) / rate)
    peak = np.argmax(np.abs(np.fft.rfft(heard * np.hanning(len(heard))))) * RATE / len(heard)
    assert peak == pytest.approx(440, abs=2)


def test_babble_is_the_voices_of_others() -> None:
    other = np.sin(2 * np.pi * 1000 * np.arange(RATE // 2) / RATE).astype(np.float32)
    noise = distortion.babble([other], RATE, 3, rng())
    assert noise.shape == (RATE,)
    assert band_db(noise, 950, 1050) > band_db(noise, 2000, 8000) + 40
    assert not distortion.babble([np.zeros(0, np.float32)], 10, 2, rng()).any()


def test_hum_is_harmonics_of_the_mains() -> None:
    noise = distortion.hum(10 * RATE, RATE, rng())
    power = np.abs(np.fft.rfft(noise.astype(np.float64))) ** 2
    hertz = np.fft.rfftfreq(len(noise), 0.1 / RATE * 10)
    strongest = hertz[np.argsort(power)[-5:]]
    assert all(min(f % 50, -f % 50) < 0.2 or min(f % 60, -f % 60) < 0.2 for f in strongest)


def test_chords_sound_to_the_end_at_unit_power() -> None:
    noise = distortion.chords(3 * RATE, RATE, rng())
    assert np.mean(noise**2) == pytest.approx(1, abs=1e-3)
    assert np.abs(noise[-RATE // 10 :]).max() > 1e-3


@pytest.mark.parametrize(("least", "quick"), [(1, 1), (7, 8), (11, 12), (127, 128), (1025, 1080), (167999, 168750)])
def test_quick_lengths_have_small_factors(least: int, quick: int) -> None:
    assert distortion._quick_length(least) == quick
