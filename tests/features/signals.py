"""Signals that several tests listen to."""

from __future__ import annotations

import torch
from torch import Tensor


def speechlike(samples: int, seed: int = 0) -> Tensor:
    """Harmonics under a slow envelope, in noise: (1, samples)."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(samples) / 16000
    voice = sum(torch.sin(2 * torch.pi * 120 * k * time) / k for k in range(1, 20))
    envelope = 0.5 + 0.5 * torch.sin(2 * torch.pi * 3 * time)
    return (0.1 * voice * envelope + 0.01 * torch.randn(samples, generator=generator)).unsqueeze(0)
