"""From waveforms to normalized features: the same module in training, evaluation and transcription."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from asr.features.filterbank import MEL_BANDS, SHIFT_MS, Filterbank, Mfcc

TINY = 1e-5


@dataclass(frozen=True)
class FeatureConfig:
    """What the network hears."""

    kind: Literal["filterbank", "mfcc"] = "filterbank"
    sample_rate: int = 16000
    size: int = 80
    """Mel bands, or cepstral coefficients before differences (13 is usual)."""
    shift_ms: float = SHIFT_MS
    """From one frame to the next. Below the usual 10, fast speech has steps enough; the cost grows in proportion."""
    deltas: bool = True
    """First and second differences (MFCC only)."""
    normalize: Literal["utterance", "global", "none"] = "utterance"
    """Zero mean and unit variance of each dimension, over the utterance or over the training set."""

    def __post_init__(self) -> None:
        if not 8000 <= self.sample_rate <= 192000:
            raise ValueError("sample_rate must lie between 8000 and 192000 Hz")
        if not 2.0 <= self.shift_ms <= 25.0:
            raise ValueError("shift_ms must lie between 2 and 25")
        most = MEL_BANDS if self.kind == "mfcc" else 256
        if not 1 <= self.size <= most:
            raise ValueError(f"size must lie between 1 and {most} for kind {self.kind}")


class FeatureExtractor(nn.Module):
    """Waveforms (B, N) in [-1, 1], lengths (B,) in samples → features (B, T, F) and lengths (B,) in frames.

    Frames beyond an utterance's length are zero. `mean` and `deviation` (F,) are used by global normalization and
    stored with the model.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        if config.kind == "filterbank":
            self.transform: Filterbank | Mfcc = Filterbank(config.sample_rate, config.size, config.shift_ms)
        else:
            self.transform = Mfcc(config.sample_rate, config.size, config.deltas, config.shift_ms)
        self.size = self.transform.size
        self.register_buffer("mean", torch.zeros(self.size))
        self.register_buffer("deviation", torch.ones(self.size))

    @property
    def shift_seconds(self) -> float:
        """Seconds from one frame to the next: whole samples, where `shift_ms` need not be any."""
        return self.transform.shift / self.config.sample_rate

    def frames(self, lengths: Tensor) -> Tensor:
        """Whole frames in signals of `lengths` samples."""
        return self.transform.frames(lengths)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features in float32 whatever the surrounding autocast: logarithms of energies need the range."""
        with torch.autocast(waveforms.device.type, enabled=False):
            features, frames = self.transform(waveforms.float(), lengths)
            mask = length_mask(frames, features.shape[1]).unsqueeze(2)
            if self.config.normalize == "utterance":
                mean, deviation = masked_statistics(features, mask)
                features = (features - mean) / deviation
            elif self.config.normalize == "global":
                features = (features - self.mean) / self.deviation
            return features * mask, frames


class RunningStatistics:
    """Mean and standard deviation of features over a corpus, gathered batch by batch in double precision."""

    def __init__(self, size: int) -> None:
        self._count = 0
        self._sum = torch.zeros(size, dtype=torch.float64)
        self._squares = torch.zeros(size, dtype=torch.float64)

    def add(self, features: Tensor, lengths: Tensor) -> None:
        """Features (B, T, F) whose frames beyond `lengths` (B,) are zero, as `FeatureExtractor` leaves them."""
        self._count += int(lengths.sum())
        self._sum += features.sum(dim=(0, 1), dtype=torch.float64)
        self._squares += features.double().square().sum(dim=(0, 1))

    def store(self, extractor: FeatureExtractor) -> None:
        """Set the extractor's `mean` and `deviation`."""
        mean = self._sum / max(1, self._count)
        variance = (self._squares / max(1, self._count) - mean.square()).clamp_min(0.0)
        extractor.mean.copy_(mean)
        extractor.deviation.copy_((variance + TINY).sqrt())


def length_mask(lengths: Tensor, steps: int) -> Tensor:
    """(B, steps), true where a step lies inside its utterance."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


def masked_statistics(features: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (B, 1, F) over the true steps of `mask` (B, T, 1)."""
    count = mask.sum(dim=1, keepdim=True).clamp_min(1)
    mean = (features * mask).sum(dim=1, keepdim=True) / count
    variance = ((features - mean) * mask).square().sum(dim=1, keepdim=True) / count
    return mean, (variance + TINY).sqrt()
