"""Augmentation does what its configuration says, no more, and the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.features.augment import (
    SpecAugmentConfig,
    WaveformAugmentConfig,
    augment_batch,
    change_speed,
    spec_augment,
    warp_bands,
)

RATE = 16000
TONE = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32) / 4


def runs(row: torch.Tensor) -> list[int]:
    """Lengths of the stretches of true values."""
    text = "".join("x" if value else " " for value in row.tolist())
    return [len(part) for part in text.split()]


@settings(max_examples=40, deadline=None)
@given(
    masks=st.integers(0, 3),
    width=st.integers(0, 30),
    times=st.integers(0, 3),
    share=st.floats(0, 0.3),
    seed=st.integers(0, 99),
)
def test_masks_are_as_many_and_as_wide_as_configured(
    masks: int, width: int, times: int, share: float, seed: int
) -> None:
    config = SpecAugmentConfig(masks, width, times, share)
    lengths = torch.tensor([50, 20, 1, 0])
    features = torch.ones(4, 50, 100)
    masked = spec_augment(features, lengths, config, torch.Generator().manual_seed(seed)) == 0
    for row, length in enumerate(lengths.tolist()):
        bands = masked[row].all(dim=0)
        stretches = masked[row].all(dim=1)
        assert (masked[row] == (bands.unsqueeze(0) | stretches.unsqueeze(1))).all(), "whole bands and whole times only"
        assert int(bands.sum()) <= masks * width
        assert int(stretches.sum()) <= times * int(share * length)
        assert not stretches[length:].any(), "time masks lie inside the utterance"
        assert len(runs(bands)) <= masks
        assert len(runs(stretches)) <= times


def test_masking_is_reproducible_and_differs_between_utterances() -> None:
    features, lengths = torch.ones(2, 300, 80), torch.tensor([300, 300])
    one, again, other = (
        spec_augment(features, lengths, SpecAugmentConfig(), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])
    assert torch.equal(features, torch.ones(2, 300, 80)), "the input is left alone"


def test_what_is_not_masked_is_untouched() -> None:
    features = torch.randn(3, 40, 20)
    masked = spec_augment(features, torch.tensor([40, 30, 20]), SpecAugmentConfig(), torch.Generator().manual_seed(3))
    assert torch.equal(masked[masked != 0], features[masked != 0])


@pytest.mark.parametrize("speed", [0.9, 1.1, 1.25])
def test_speed_changes_length_and_pitch(speed: float) -> None:
    faster = change_speed(TONE, RATE, speed)
    assert len(faster) == pytest.approx(len(TONE) / speed, abs=2)
    peak = np.argmax(np.abs(np.fft.rfft(faster * np.hanning(len(faster))))) * RATE / len(faster)
    assert peak == pytest.approx(440 * speed, abs=2)
    assert faster.dtype == np.float32


def augment(samples: np.ndarray, config: WaveformAugmentConfig, generator: np.random.Generator) -> np.ndarray:
    return augment_batch([samples], RATE, config, generator)[0]


def test_one_speed_serves_a_batch() -> None:
    config = WaveformAugmentConfig([0.9, 1.0, 1.1])
    lengths = [
        {len(samples) for samples in augment_batch([TONE] * 5, RATE, config, np.random.default_rng(seed))}
        for seed in range(20)
    ]
    assert all(len(of_batch) == 1 for of_batch in lengths)
    assert len(set.union(*lengths)) == 3


def test_the_speed_of_one_and_silence_pass_through() -> None:
    assert change_speed(TONE, RATE, 1.0) is TONE
    empty = np.zeros(0, dtype=np.float32)
    config = WaveformAugmentConfig([1.1], 3.0, 1.0)
    assert len(augment(empty, config, np.random.default_rng(1))) == 0


def test_gain_stays_within_its_bounds_on_both_sides() -> None:
    config = WaveformAugmentConfig(gain_db=6.0)
    changes = [
        20 * np.log10(np.abs(augment(TONE, config, np.random.default_rng(seed))).max() / np.abs(TONE).max())
        for seed in range(40)
    ]
    assert -6.01 <= min(changes) < -3
    assert 3 < max(changes) <= 6.01


SWITCHES = ["noise", "babble", "hum", "music", "reverb", "stretch", "telephone", "codec"]


@pytest.mark.parametrize("switch", SWITCHES)
def test_each_distortion_has_its_switch_and_alone_changes_the_sound(switch: str) -> None:
    config = WaveformAugmentConfig(**{f"{switch}_probability": 1.0})  # type: ignore[arg-type]
    batch = [TONE, np.roll(TONE, 7) * 0.5]
    one, again, other = (augment_batch(batch, RATE, config, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, again)
    assert len(one) != len(TONE) or not np.allclose(one, TONE, atol=1e-3)
    assert switch == "telephone" or len(one) != len(other) or not np.array_equal(one, other)
    assert len(one) == len(TONE) or switch == "stretch"


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("length", [0, 1, 2, 37])
def test_the_shortest_and_the_silent_pass_through_every_distortion(switch: str, length: int) -> None:
    config = WaveformAugmentConfig(**{f"{switch}_probability": 1.0})  # type: ignore[arg-type]
    for batch in ([np.zeros(length, np.float32)] * 2, [np.full(length, 0.1, np.float32), np.zeros(0, np.float32)]):
        for altered in augment_batch(batch, RATE, config, np.random.default_rng(1)):
            assert np.isfinite(altered).all()
            assert altered.dtype == np.float32


def test_fastest_says_how_much_shorter_an_utterance_may_become() -> None:
    assert WaveformAugmentConfig().fastest == 1.0
    assert WaveformAugmentConfig([0.9, 1.1]).fastest == 1.1
    assert WaveformAugmentConfig([0.9, 1.1], stretch_probability=0.1, stretch_rates=(0.8, 1.2)).fastest == 1.1 * 1.2


@pytest.mark.parametrize(
    "wrong",
    [
        {"hum_probability": 1.5},
        {"speeds": [3.0]},
        {"gain_db": -1.0},
        {"noise_snr_db": (20.0, 10.0)},
        {"stretch_rates": (0.1, 1.0)},
        {"codecs": ["aac"]},
        {"reverb_rt60_s": (0.0, 1.0)},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|unknown"):
        WaveformAugmentConfig(**wrong)


def test_noise_comes_as_often_as_configured() -> None:
    config = WaveformAugmentConfig(noise_probability=0.25)
    changed = [
        not np.array_equal(augment(TONE[:400], config, np.random.default_rng(s)), TONE[:400]) for s in range(400)
    ]
    assert np.mean(changed) == pytest.approx(0.25, abs=0.07)


def test_nothing_configured_changes_nothing() -> None:
    assert augment(TONE, WaveformAugmentConfig(), np.random.default_rng(1)) is TONE


def test_the_same_generator_state_gives_the_same_sound() -> None:
    config = WaveformAugmentConfig([0.9, 1.0, 1.1], 6.0, 1.0)
    one, again, other = (augment(TONE, config, np.random.default_rng(seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, again)
    assert one.dtype == np.float32
    assert len(one) != len(other) or not np.array_equal(one, other)


def test_a_warp_moves_bands_and_leaves_time() -> None:
    features = torch.zeros(2, 5, 80)
    features[:, :, 40] = 1.0
    warped = warp_bands(features, torch.tensor([1.0, 1.15]))
    torch.testing.assert_close(warped[0], features[0])
    assert int(warped[1, 0].argmax()) < 40, "what is read higher up comes to lie lower"
    assert (warped[1] == warped[1, :1]).all()
    torch.testing.assert_close(warp_bands(torch.ones(1, 3, 80), torch.tensor([1.2])), torch.ones(1, 3, 80))


def test_spec_augment_warps_each_utterance_by_its_own_draw() -> None:
    features = torch.linspace(0, 1, 80).expand(3, 4, 80).contiguous()
    config = SpecAugmentConfig(frequency_masks=0, time_masks=0, warp=1.2)
    one = spec_augment(features, torch.tensor([4, 4, 4]), config, torch.Generator().manual_seed(1))
    other = spec_augment(features, torch.tensor([4, 4, 4]), config, torch.Generator().manual_seed(1))
    assert torch.equal(one, other)
    assert not torch.equal(one[0], one[1])
    with pytest.raises(ValueError, match="warp"):
        SpecAugmentConfig(warp=0.9)
