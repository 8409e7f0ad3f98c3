"""Lengths, normalization, and that padding never changes a feature."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.config import validate
from asr.errors import UsageError
from asr.features.extractor import FeatureConfig, FeatureExtractor, RunningStatistics, length_mask, masked_statistics
from asr.features.filterbank import Filterbank
from tests.features.signals import speechlike

CONFIGS = [
    FeatureConfig(size=20),
    FeatureConfig(size=20, normalize="none"),
    FeatureConfig(size=20, normalize="global"),
    FeatureConfig(size=20, shift_ms=8),
    FeatureConfig(kind="mfcc", size=13),
    FeatureConfig(kind="mfcc", size=13, deltas=False, normalize="none"),
]


@pytest.mark.parametrize(
    ("samples", "frames"),
    [(0, 0), (1, 0), (399, 0), (400, 1), (559, 1), (560, 2), (16000, 98), (16079, 98), (16080, 99)],
)
def test_frames_lie_wholly_inside_the_signal(samples: int, frames: int) -> None:
    assert Filterbank().frames(torch.tensor([samples])).tolist() == [frames]
    features, lengths = FeatureExtractor(FeatureConfig())(torch.ones(1, samples), torch.tensor([samples]))
    assert lengths.tolist() == [frames]
    assert features.shape == (1, max(1, frames), 80)
    assert torch.isfinite(features).all()


@pytest.mark.parametrize("kind", ["filterbank", "mfcc"])
def test_a_shorter_shift_takes_the_same_frames_more_often(kind: Literal["filterbank", "mfcc"]) -> None:
    waveform, length = speechlike(16000), torch.tensor([16000])
    usual, dense = (FeatureConfig(kind, size=13, deltas=False, normalize="none", shift_ms=ms) for ms in (10, 5))
    features, frames = FeatureExtractor(usual)(waveform, length)
    denser, more = FeatureExtractor(dense)(waveform, length)
    assert more.tolist() == [196]
    torch.testing.assert_close(denser[:, ::2][:, : int(frames)], features)
    with pytest.raises(ValueError, match="shift_ms"):
        FeatureConfig(shift_ms=1)


def deviation(config: FeatureConfig, waveform: torch.Tensor) -> torch.Tensor:
    """What normalization divides by: (F,), ones where it divides by nothing that depends on the utterance."""
    raw, frames = FeatureExtractor(replace(config, normalize="none"))(waveform, torch.tensor([waveform.shape[1]]))
    if config.normalize != "utterance":
        return torch.ones(raw.shape[2])
    return masked_statistics(raw, length_mask(frames, raw.shape[1]).unsqueeze(2))[1][0, 0]


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 6000), min_size=2, max_size=4),
    config=st.sampled_from(CONFIGS),
    rubbish=st.floats(-1, 1),
)
def test_padding_never_changes_features(lengths: list[int], config: FeatureConfig, rubbish: float) -> None:
    extractor = FeatureExtractor(config)
    extractor.mean.fill_(3.0)
    batch = torch.full((len(lengths), max(lengths) + 1000), rubbish)
    for row, length in enumerate(lengths):
        batch[row, :length] = speechlike(length, seed=row)[0]
    together, frames = extractor(batch, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone, count = extractor(batch[row : row + 1, :length], torch.tensor([length]))
        assert int(count) == int(frames[row])
        # Two frames may hardly differ: normalization then magnifies the last bit of their energies without bound.
        apart = (together[row, : int(count)] - alone[0, : int(count)]) * deviation(
            config, batch[row : row + 1, :length]
        )
        torch.testing.assert_close(apart, torch.zeros_like(apart), rtol=0, atol=1e-4)
        assert not together[row, int(count) :].any(), "frames beyond an utterance are zero"


@pytest.mark.parametrize("config", CONFIGS[:1] + CONFIGS[3:4])
def test_an_utterance_is_normalized_to_zero_mean_and_unit_variance(config: FeatureConfig) -> None:
    features, _ = FeatureExtractor(config)(speechlike(8000), torch.tensor([8000]))
    torch.testing.assert_close(features.mean(dim=1), torch.zeros(1, features.shape[2]), rtol=0, atol=1e-4)
    torch.testing.assert_close(features.std(dim=1, correction=0), torch.ones(1, features.shape[2]), rtol=0, atol=1e-3)


@pytest.mark.parametrize("gain", [0.01, 3.0])
def test_normalized_features_ignore_the_level(gain: float) -> None:
    extractor = FeatureExtractor(FeatureConfig(size=40))
    quiet, loud = (extractor(speechlike(8000) * g, torch.tensor([8000]))[0] for g in (gain, 1.0))
    torch.testing.assert_close(quiet, loud, rtol=0, atol=2e-2)


def test_features_stay_in_float32_under_autocast() -> None:
    extractor = FeatureExtractor(FeatureConfig())
    plain, _ = extractor(speechlike(4000), torch.tensor([4000]))
    with torch.autocast("cpu", torch.bfloat16):
        cast, _ = extractor(speechlike(4000), torch.tensor([4000]))
    assert torch.equal(plain, cast)


def test_running_statistics_are_those_of_all_frames() -> None:
    extractor = FeatureExtractor(FeatureConfig(size=4, normalize="global"))
    parts = [torch.randn(n, 4) * torch.tensor([1.0, 2.0, 3.0, 4.0]) + 5 for n in (7, 30, 12)]
    statistics = RunningStatistics(4)
    for part in parts:
        padded = torch.cat([part, torch.zeros(5, 4)]).unsqueeze(0)
        statistics.add(padded, torch.tensor([len(part)]))
    statistics.store(extractor)
    everything = torch.cat(parts)
    torch.testing.assert_close(extractor.mean, everything.mean(dim=0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(extractor.deviation, everything.std(dim=0, correction=0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"kind": "plp"}, "'filterbank' or 'mfcc'"),
        ({"kind": "mfcc", "size": 24}, "size must lie between 1 and 23"),
        ({"sample_rate": 10}, "sample_rate must lie between"),
        ({"normalize": "speaker"}, "'utterance', 'global' or 'none'"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        validate(FeatureConfig, wrong, "here")
