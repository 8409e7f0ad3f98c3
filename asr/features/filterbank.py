"""Log-mel filterbank energies and cepstra, equal to Kaldi's (`compute-fbank-feats`, `compute-mfcc-feats`, dither 0).

Each frame of 25 ms is freed of its mean, pre-emphasized (0.97), multiplied by Povey's window (a Hann window to the
power 0.85), transformed (power spectrum of the next power of two), summed in triangular mel bands and logged.
Frames start every 10 ms unless told otherwise, and lie wholly inside the signal (`snip_edges`), so that padding never
enters one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

FRAME_SECONDS = 0.025
SHIFT_MS = 10.0
PREEMPHASIS = 0.97
POVEY_POWER = 0.85
LOWEST_HZ = 20.0
# Kaldi floors energies at the machine epsilon of float32 before the logarithm.
FLOOR = torch.finfo(torch.float32).eps
# Frames that are transformed at once. On a CPU a few seconds stay in its cache, which is several times faster than
# more. A GPU wants many, of all utterances together; these take half a gigabyte of its memory.
CPU_BLOCK = 512
GPU_BLOCK = 65536
# Of cepstral coefficients.
MEL_BANDS = 23
LIFTER = 22.0
DELTA_REACH = 2


class Filterbank(nn.Module):
    """Waveforms (B, N) in [-1, 1] and lengths (B,) in samples → log energies (B, T, bands) and lengths (B,) in frames.

    Values of frames beyond an utterance's length are unspecified; later stages mask them.
    """

    window: Tensor
    mel: Tensor

    def __init__(self, sample_rate: int = 16000, bands: int = 80, shift_ms: float = SHIFT_MS) -> None:
        super().__init__()
        self.size = bands
        self.frame = round(FRAME_SECONDS * sample_rate)
        self.shift = round(shift_ms / 1000 * sample_rate)
        self.fft = 1 << (self.frame - 1).bit_length()
        window = torch.hann_window(self.frame, periodic=False, dtype=torch.float64).pow(POVEY_POWER)
        self.register_buffer("window", window.float(), persistent=False)
        self.register_buffer("mel", mel_bands(bands, self.fft, sample_rate), persistent=False)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel energies (B, T, bands), float32, natural log; and the number of frames of each utterance."""
        if waveforms.shape[1] < self.frame:
            waveforms = nn.functional.pad(waveforms, (0, self.frame - waveforms.shape[1]))
        frames = waveforms.unfold(1, self.frame, self.shift)
        if waveforms.is_cuda:
            energies = self.in_blocks(frames, len(frames), max(1, GPU_BLOCK // len(frames)))
        else:
            energies = self.in_blocks(frames, 1, CPU_BLOCK)
        return energies, self.frames(lengths)

    def in_blocks(self, frames: Tensor, utterances: int, steps: int) -> Tensor:
        """Log-mel energies (B, T, bands) of frames (B, T, samples), so many `utterances` and `steps` at once."""
        result = torch.empty(*frames.shape[:2], self.size, device=frames.device)
        for start in range(0, frames.shape[1], steps):
            here = slice(start, start + steps)
            for part, block in zip(result[:, here].split(utterances), frames[:, here].split(utterances), strict=True):
                part.copy_(self.energies(block))
        return result

    def energies(self, frames: Tensor) -> Tensor:
        """Log-mel energies (…, bands) of raw frames (…, samples)."""
        # Kaldi's convention is 16-bit integers; the scale only shifts the logarithm, but the floor depends on it.
        frames = frames * 32768.0
        frames -= frames.mean(dim=-1, keepdim=True)
        emphasized = frames.clone()
        emphasized[..., 1:] -= PREEMPHASIS * frames[..., :-1]
        emphasized[..., 0] -= PREEMPHASIS * frames[..., 0]
        spectrum = torch.fft.rfft(emphasized.mul_(self.window), n=self.fft)
        power = spectrum.real.square().add_(spectrum.imag.square())
        energies: Tensor = power @ self.mel
        return energies.clamp_min_(FLOOR).log_()

    def frames(self, lengths: Tensor) -> Tensor:
        """Whole frames in signals of `lengths` samples; none in those shorter than one frame."""
        return ((lengths - self.frame).div(self.shift, rounding_mode="floor") + 1).clamp_min(0)


def mel(hertz: float) -> float:
    """1127 ln(1 + Hz/700)."""
    return 1127.0 * math.log1p(hertz / 700.0)


def mel_bands(bands: int, fft: int, sample_rate: int) -> Tensor:
    """Triangles (fft/2 + 1, bands), equally spaced in mel = 1127 ln(1 + Hz/700), from 20 Hz to half the sample rate."""
    edges = torch.linspace(mel(LOWEST_HZ), mel(sample_rate / 2), bands + 2, dtype=torch.float64)
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    hertz = torch.arange(fft // 2 + 1, dtype=torch.float64) * sample_rate / fft
    bins = (1127.0 * torch.log1p(hertz / 700.0)).unsqueeze(1)
    triangles = torch.minimum((bins - left) / (center - left), (right - bins) / (right - center)).clamp_min(0.0)
    triangles[-1] = 0.0  # Kaldi leaves the Nyquist bin out
    return triangles.float()


class Mfcc(nn.Module):
    """Mel-frequency cepstral coefficients, with first and second differences where `deltas` says so.

    Waveforms (B, N) and lengths in samples → (B, T, coefficients) or, with differences, (B, T, 3 × coefficients).
    The zeroth coefficient is the cepstral one (Kaldi's `--use-energy=false`); cepstra are liftered with 22.
    """

    transform: Tensor

    def __init__(
        self, sample_rate: int = 16000, coefficients: int = 13, deltas: bool = True, shift_ms: float = SHIFT_MS
    ) -> None:
        super().__init__()
        self.filterbank = Filterbank(sample_rate, MEL_BANDS, shift_ms)
        self.shift = self.filterbank.shift
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


def cosine_transform(bands: int, coefficients: int) -> Tensor:
    """Orthonormal DCT-II matrix (bands, coefficients)."""
    n = torch.arange(bands, dtype=torch.float64).unsqueeze(1) + 0.5
    k = torch.arange(coefficients, dtype=torch.float64)
    matrix = torch.cos(math.pi / bands * n * k) * math.sqrt(2.0 / bands)
    matrix[:, 0] = math.sqrt(1.0 / bands)
    return matrix.float()


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
