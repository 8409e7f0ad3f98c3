"""Augmentation: what makes a little speech sound like more of it. Every draw comes from an explicit generator.

Waveforms: speed (Ko et al. 2015), gain, additive noise. Features: SpecAugment (Park et al. 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class WaveformAugmentConfig:
    """Changes to the signal before features are computed; each is off when its list or probability is empty."""

    speeds: list[float] = field(default_factory=list)
    """Factors drawn for each batch with equal chance, for instance [0.9, 1.0, 1.1]; pitch changes along."""
    gain_db: float = 0.0
    """Uniform in ± this many dB."""
    noise_probability: float = 0.0
    noise_snr_db: tuple[float, float] = (10.0, 40.0)
    """White to pink noise at a uniformly drawn signal-to-noise ratio."""

    def __post_init__(self) -> None:
        if any(not 0.5 <= speed <= 2 for speed in self.speeds):
            raise ValueError("speeds must lie between 0.5 and 2")
        if self.gain_db < 0 or not 0 <= self.noise_probability <= 1:
            raise ValueError("gain_db must not be negative, and noise_probability between 0 and 1")


@dataclass(frozen=True)
class SpecAugmentConfig:
    """Masks over features; a masked region is set to zero, the mean of normalized features."""

    frequency_masks: int = 2
    frequency_width: int = 27
    """At most this many bands each."""
    time_masks: int = 10
    time_share: float = 0.05
    """Each time mask covers at most this share of the utterance."""

    def __post_init__(self) -> None:
        if min(self.frequency_masks, self.frequency_width, self.time_masks) < 0 or not 0 <= self.time_share <= 1:
            raise ValueError("masks and frequency_width must not be negative, and time_share between 0 and 1")


def augment_batch(
    batch: Sequence[np.ndarray], sample_rate: int, config: WaveformAugmentConfig, generator: np.random.Generator
) -> list[np.ndarray]:
    """Altered copies of the waveforms of one batch, each (N,) float32.

    One speed serves the whole batch: its utterances are of like length and stay so, where speeds of their own would
    make a tenth of the batch padding. Over the epochs every utterance is heard at every speed all the same.
    """
    speed = float(generator.choice(config.speeds)) if config.speeds else 1.0
    return [augment_waveform(samples, speed, sample_rate, config, generator) for samples in batch]


def augment_waveform(
    samples: np.ndarray, speed: float, sample_rate: int, config: WaveformAugmentConfig, generator: np.random.Generator
) -> np.ndarray:
    """An altered copy of `samples` (N,), float32, at the given speed."""
    samples = change_speed(samples, sample_rate, speed)
    if config.gain_db:
        samples = samples * np.float32(10 ** (generator.uniform(-config.gain_db, config.gain_db) / 20))
    if config.noise_probability and generator.random() < config.noise_probability:
        samples = add_noise(samples, generator.uniform(*config.noise_snr_db), generator)
    return samples


def change_speed(samples: np.ndarray, sample_rate: int, speed: float) -> np.ndarray:
    """Play `samples` `speed` times as fast (fewer samples for a speed above 1)."""
    if speed == 1.0 or not len(samples):
        return samples
    import soxr

    # "Medium" quality keeps aliasing below −100 dB at a third of the cost; this is training data, not a master tape.
    return np.asarray(soxr.resample(samples, sample_rate * speed, sample_rate, quality="MQ"), dtype=np.float32)


def add_noise(samples: np.ndarray, snr_db: float, generator: np.random.Generator) -> np.ndarray:
    """Add noise whose spectrum falls with a random slope between white (0) and pink (−3 dB per octave)."""
    if not len(samples):
        return samples
    # Drawn as a spectrum, of a length that the transform is quick for: a long prime factor costs twenty times as much.
    size = 1 << (len(samples) - 1).bit_length()
    spectrum = generator.standard_normal((size // 2 + 1, 2), dtype=np.float32).view(np.complex64).squeeze(1)
    slope = generator.uniform(0.0, 0.5)
    spectrum *= np.arange(1, len(spectrum) + 1, dtype=np.float32) ** np.float32(-slope)
    noise = np.fft.irfft(spectrum, n=size)[: len(samples)].astype(np.float32, copy=False)
    signal_power, noise_power = float(np.mean(samples**2)), float(np.mean(noise**2))
    scale = np.sqrt(signal_power / max(noise_power, 1e-12) * 10 ** (-snr_db / 10))
    return np.asarray(samples + scale * noise, dtype=np.float32)


def spec_augment(features: Tensor, lengths: Tensor, config: SpecAugmentConfig, generator: torch.Generator) -> Tensor:
    """Mask bands and stretches of time in features (B, T, F), independently for each utterance."""
    batch, steps, size = features.shape
    if config.frequency_masks:
        widest = torch.full((batch, config.frequency_masks), min(config.frequency_width, size - 1))
        room = torch.full((batch, config.frequency_masks), size)
        bands = _covered(_intervals(widest, room, generator).to(features.device, non_blocking=True), size)
        features = features * ~bands.unsqueeze(1)
    if config.time_masks:
        room = lengths.cpu().unsqueeze(1).expand(batch, config.time_masks)
        stretches = _intervals((room.double() * config.time_share).long(), room, generator)
        covered = _covered(stretches.to(features.device, non_blocking=True), steps)
        features = features * ~covered.unsqueeze(2)
    return features


def _intervals(widest: Tensor, room: Tensor, generator: torch.Generator) -> Tensor:
    """Starts and ends (2, B, M) of intervals of random width ≤ `widest` (B, M) placed inside `room` (B, M)."""
    width = (torch.rand(widest.shape, generator=generator) * (widest + 1)).long()
    start = (torch.rand(room.shape, generator=generator) * (room - width + 1)).long()
    return torch.stack([start, start + width])


def _covered(intervals: Tensor, size: int) -> Tensor:
    """(B, size), true under any of the M intervals (2, B, M)."""
    start, end = intervals.unsqueeze(3)
    position = torch.arange(size, device=intervals.device)
    inside: Tensor = (position >= start) & (position < end)
    return inside.any(dim=1)
