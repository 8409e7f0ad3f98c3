"""Augmentation: what makes a little speech sound like more of it. Every draw comes from an explicit generator.

Waveforms: speed (Ko et al. 2015), gain, and what `asr.features.distortion` does. Features: SpecAugment (Park et al.
2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from asr.features import distortion
from asr.features.filterbank import LOWEST_HZ, mel


@dataclass(frozen=True)
class WaveformAugmentConfig:
    """Changes to the signal before features are computed; each is off when its list or probability is empty."""

    speeds: list[float] = field(default_factory=list)
    """Factors drawn for each batch with equal chance, for instance [0.9, 1.0, 1.1]; pitch changes along."""
    gain_db: float = 0.0
    """Uniform in ± this many dB."""
    noise_probability: float = 0.0
    noise_snr_db: tuple[float, float] = (10.0, 40.0)
    noise_slope: tuple[float, float] = (distortion.WHITE, distortion.PINK)
    """White to pink noise at a uniformly drawn signal-to-noise ratio; 1 is brown."""
    babble_probability: float = 0.0
    babble_snr_db: tuple[float, float] = (5.0, 25.0)
    babble_voices: tuple[int, int] = (1, 5)
    """Other utterances of the batch behind this one, from so many to so many."""
    hum_probability: float = 0.0
    hum_snr_db: tuple[float, float] = (5.0, 30.0)
    music_probability: float = 0.0
    music_snr_db: tuple[float, float] = (5.0, 25.0)
    reverb_probability: float = 0.0
    reverb_rt60_s: tuple[float, float] = (0.1, 0.8)
    reverb_direct_db: tuple[float, float] = (-3.0, 12.0)
    """How far the direct path stands above the room."""
    stretch_probability: float = 0.0
    stretch_rates: tuple[float, float] = (0.8, 1.2)
    """Spoken faster or slower at the same pitch, with the smear of a phase vocoder."""
    telephone_probability: float = 0.0
    codec_probability: float = 0.0
    codecs: list[str] = field(default_factory=lambda: ["mp3", "vorbis"])
    codec_compression: tuple[float, float] = (0.3, 1.0)
    """From 0, the highest bit rate, to 1, the lowest."""

    @property
    def fastest(self) -> float:
        """The highest factor by which an utterance may become shorter."""
        return max(self.speeds, default=1.0) * (max(1.0, self.stretch_rates[1]) if self.stretch_probability else 1.0)

    def __post_init__(self) -> None:
        if any(not 0.5 <= speed <= 2 for speed in self.speeds):
            raise ValueError("speeds must lie between 0.5 and 2")
        if self.gain_db < 0:
            raise ValueError("gain_db must not be negative")
        for name, value in vars(self).items():
            if name.endswith("_probability") and not 0 <= value <= 1:
                raise ValueError(f"{name} must lie between 0 and 1")
            if isinstance(value, tuple) and value[0] > value[1]:
                raise ValueError(f"{name} must go from the smaller number to the larger")
        if not 0.5 <= self.stretch_rates[0] <= self.stretch_rates[1] <= 2:
            raise ValueError("stretch_rates must lie between 0.5 and 2")
        if self.reverb_rt60_s[0] <= 0 or self.babble_voices[0] < 1 or self.noise_slope[0] < 0:
            raise ValueError("reverb_rt60_s, babble_voices and noise_slope must be positive")
        if unknown := set(self.codecs) - set(distortion.CODECS):
            raise ValueError(f"unknown codecs {sorted(unknown)}; known are {', '.join(distortion.CODECS)}")
        if self.codec_probability and not self.codecs:
            raise ValueError("codec_probability needs codecs")


@dataclass(frozen=True)
class SpecAugmentConfig:
    """Masks over features; a masked region is set to zero, the mean of normalized features."""

    frequency_masks: int = 2
    frequency_width: int = 27
    """At most this many bands each."""
    time_masks: int = 10
    time_share: float = 0.05
    """Each time mask covers at most this share of the utterance."""
    warp: float = 1.0
    """Formants move by up to this factor either way, as with other speakers (vocal tract length perturbation, Jaitly
    and Hinton 2013); 1 leaves them. For filterbanks."""

    def __post_init__(self) -> None:
        if min(self.frequency_masks, self.frequency_width, self.time_masks) < 0 or not 0 <= self.time_share <= 1:
            raise ValueError("masks and frequency_width must not be negative, and time_share between 0 and 1")
        if not 1 <= self.warp <= 2:
            raise ValueError("warp must lie between 1 and 2")


def augment_batch(
    batch: Sequence[np.ndarray], sample_rate: int, config: WaveformAugmentConfig, generator: np.random.Generator
) -> list[np.ndarray]:
    """Altered copies of the waveforms of one batch, each (N,) float32.

    One speed serves the whole batch: its utterances are of like length and stay so, where speeds of their own would
    make a tenth of the batch padding. Over the epochs every utterance is heard at every speed all the same.
    """
    speed = float(generator.choice(config.speeds)) if config.speeds else 1.0
    return [
        augment_waveform(samples, speed, sample_rate, config, generator, [*batch[:place], *batch[place + 1 :]])
        for place, samples in enumerate(batch)
    ]


def augment_waveform(
    samples: np.ndarray,
    speed: float,
    sample_rate: int,
    config: WaveformAugmentConfig,
    generator: np.random.Generator,
    others: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """An altered copy of `samples` (N,), float32, at the given speed; `others` babble behind it.

    In the order of the way that sound takes: the voice, the room, what else sounds there, the line.
    """

    def drawn(probability: float) -> bool:
        return bool(probability) and generator.random() < probability

    samples = change_speed(samples, sample_rate, speed)
    if drawn(config.stretch_probability):
        window = int(generator.choice(distortion.STRETCH_WINDOWS))
        samples = distortion.stretch(samples, generator.uniform(*config.stretch_rates), window)
    if drawn(config.reverb_probability):
        rt60, direct = generator.uniform(*config.reverb_rt60_s), generator.uniform(*config.reverb_direct_db)
        samples = distortion.reverberate(samples, distortion.room(rt60, direct, sample_rate, generator))
    if config.gain_db:
        samples = samples * np.float32(10 ** (generator.uniform(-config.gain_db, config.gain_db) / 20))
    length = len(samples)
    if others and drawn(config.babble_probability):
        voices = int(generator.integers(config.babble_voices[0], config.babble_voices[1] + 1))
        noise = distortion.babble(others, length, voices, generator)
        samples = distortion.mix(samples, noise, generator.uniform(*config.babble_snr_db))
    if drawn(config.noise_probability):
        noise = distortion.colored_noise(length, generator.uniform(*config.noise_slope), generator)
        samples = distortion.mix(samples, noise, generator.uniform(*config.noise_snr_db))
    if drawn(config.hum_probability):
        noise = distortion.hum(length, sample_rate, generator)
        samples = distortion.mix(samples, noise, generator.uniform(*config.hum_snr_db))
    if drawn(config.music_probability):
        noise = distortion.chords(length, sample_rate, generator)
        samples = distortion.mix(samples, noise, generator.uniform(*config.music_snr_db))
    if drawn(config.telephone_probability):
        samples = distortion.telephone(samples, sample_rate)
    if drawn(config.codec_probability):
        name = config.codecs[int(generator.integers(len(config.codecs)))]
        samples = distortion.codec(samples, sample_rate, name, generator.uniform(*config.codec_compression))
    return samples


def change_speed(samples: np.ndarray, sample_rate: int, speed: float) -> np.ndarray:
    """Play `samples` `speed` times as fast (fewer samples for a speed above 1)."""
    if speed == 1.0 or not len(samples):
        return samples
    import soxr

    # "Medium" quality keeps aliasing below −100 dB at a third of the cost; this is training data, not a master tape.
    return np.asarray(soxr.resample(samples, sample_rate * speed, sample_rate, quality="MQ"), dtype=np.float32)


def spec_augment(features: Tensor, lengths: Tensor, config: SpecAugmentConfig, generator: torch.Generator) -> Tensor:
    """Warp, then mask bands and stretches of time in features (B, T, F), independently for each utterance.

    torchaudio's masks take no generator and know no lengths, by which a mask's share of the time is meant here.
    """
    batch, steps, size = features.shape
    if config.warp > 1:
        factors = torch.exp((2 * torch.rand(batch, generator=generator) - 1) * math.log(config.warp))
        features = warp_bands(features, factors)
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


def warp_bands(features: Tensor, factors: Tensor) -> Tensor:
    """Stretch the frequency axis of log-mel features (B, T, F) by factors (B,): band f becomes what was at factor · f.

    Between bands it is interpolated, beyond the last one that is repeated. Bands are those of 16 kHz.
    """
    size = features.shape[2]
    places = torch.linspace(mel(LOWEST_HZ), mel(8000.0), size + 2)[1:-1]
    hertz = 700.0 * torch.expm1(places / 1127.0)
    source = 1127.0 * torch.log1p(hertz * factors.unsqueeze(1) / 700.0)
    position = ((source - places[0]) / (places[1] - places[0])).clamp(0, size - 1)
    distance = (torch.arange(size).unsqueeze(1) - position.unsqueeze(1)).abs()
    return torch.bmm(features, (1 - distance).clamp_min(0).to(features))


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
