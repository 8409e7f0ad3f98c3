"""Mel-frequency cepstral coefficients with first and second differences, equal to Kaldi's `compute-mfcc-feats`."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from asr.features.filterbank import SHIFT_MS, Filterbank, cosine_transform

MEL_BANDS = 23
LIFTER = 22.0
DELTA_REACH = 2


class Mfcc(nn.Module):
    """Waveforms (B, N) and lengths in samples → (B, T, coefficients) or, with differences, (B, T, 3 × coefficients).

    The zeroth coefficient is the cepstral one (Kaldi's `--use-energy=false`); cepstra are liftered with 22.
    """

    transform: Tensor

    def __init__(
        self, sample_rate: int = 16000, coefficients: int = 13, deltas: bool = True, shift_ms: float = SHIFT_MS
    ) -> None:
        super().__init__()
        self.filterbank = Filterbank(sample_rate, MEL_BANDS, shift_ms)
        self.deltas = deltas
        self.size = coefficients * (3 if deltas else 1)
        k = torch.arange(coefficients)
        lifter = 1.0 + 0.5 * LIFTER * torch.sin(math.pi * k / LIFTER)
        self.register_buffer("transform", cosine_transform(MEL_BANDS, coefficients) * lifter, persistent=False)

    def frames(self, lengths: Tensor) -> Tensor:
        """Whole frames in signals of `lengths` samples."""
        return self.filterbank.frames(lengths)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Cepstra (B, T, F), float32, and the number of frames of each utterance."""
        energies, frames = self.filterbank(waveforms, lengths)
        cepstra = energies @ self.transform
        if not self.deltas:
            return cepstra, frames
        first = differences(cepstra, frames)
        return torch.cat([cepstra, first, differences(first, frames)], dim=2), frames


def differences(features: Tensor, lengths: Tensor) -> Tensor:
    """Regression slope over ±2 frames (B, T, F), each utterance's own first and last frame repeated at its edges.

    Σ n (x[t+n] − x[t−n]) / (2 Σ n²), Furui 1986.
    """
    steps = torch.arange(features.shape[1], device=features.device)
    last = (lengths - 1).clamp_min(0).unsqueeze(1)
    total = torch.zeros_like(features)
    for n in range(1, DELTA_REACH + 1):
        later = torch.minimum(steps + n, last)
        earlier = torch.minimum((steps - n).clamp_min(0), last)
        total += n * (_pick(features, later) - _pick(features, earlier))
    return total / (2 * sum(n * n for n in range(1, DELTA_REACH + 1)))


def _pick(features: Tensor, index: Tensor) -> Tensor:
    return features.gather(1, index.unsqueeze(2).expand(-1, -1, features.shape[2]))
