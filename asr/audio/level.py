"""What the level of a recording says about it: offset, clipping, near silence."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Below −80 dBFS there is nothing but the last bits of a 16-bit converter.
SILENCE = 1e-4
_DC_OFFSET = 0.02  # of full scale: a sound card's fault, not a voice
_CLIPPED_SHARE = 1e-3
_LOW_RMS_DB = -55.0


@dataclass
class Level:
    """Running statistics of mono samples in [-1, 1]."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    peak: float = 0.0
    clipped: int = 0

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """Take in the next (N,) samples."""
        if not samples.size:
            return
        self.count += samples.size
        self.total += float(samples.sum(dtype=np.float64))
        self.squares += float(np.square(samples, dtype=np.float64).sum())
        low, high = float(samples.min()), float(samples.max())
        self.peak = max(self.peak, high, -low)
        if self.peak >= 0.999:
            self.clipped += int(np.count_nonzero(np.abs(samples) >= 0.999))

    @property
    def rms_db(self) -> float:
        """Root mean square, dB relative to full scale; −inf for nothing at all."""
        return 10 * math.log10(self.squares / self.count) if self.squares > 0 else -math.inf

    @property
    def is_silent(self) -> bool:
        """No sample that a microphone would have made."""
        return self.peak < SILENCE

    def notices(self) -> list[str]:
        """What a person should know before trusting the transcript, a phrase each."""
        if not self.count:
            return ["holds no sound"]
        if self.is_silent:
            return ["is silent"]
        notices = []
        if abs(self.total / self.count) > _DC_OFFSET:
            notices.append(f"has a DC offset of {100 * self.total / self.count:.0f} % of full scale")
        if self.clipped > _CLIPPED_SHARE * self.count:
            notices.append(f"is clipped ({100 * self.clipped / self.count:.1f} % of its samples)")
        if self.rms_db < _LOW_RMS_DB:
            notices.append(f"is very quiet ({self.rms_db:.0f} dBFS)")
        return notices
