"""The encoder: convolutions that hear short sounds, then a stack of recurrent layers that remembers them.

    features (B, T, F)
      → 3 convolutions, each halving time and frequency          local patterns: formants, bursts, transitions
      → linear to D                                              (B, T/8, D)
      → L × [x + dropout(recurrent(norm(x)))]                     memory of the past and the future
      → norm

Time shrinks 8-fold before the recurrence because a GRU's cost is proportional to its steps; word pieces keep the
remaining 12.5 frames a second enough for CTC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from asr.features.extractor import length_mask
from asr.nn.dropout import Dropout
from asr.nn.rnn import Memoryless, Packing, Recurrent


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes of the encoder."""

    rnn_type: Literal["bidirectional", "unidirectional", "none"] = "bidirectional"
    """GRU in both directions, past only, or no recurrence at all."""
    layers: int = 4
    width: int = 640
    """D: width of the residual path; a bidirectional layer has D/2 units in each direction."""
    dropout: float = 0.1
    channels: list[int] = field(default_factory=lambda: [16, 32, 64])
    """Output channels of the convolutions; the time resolution is divided by 2 for each stride of 2."""
    strides: list[int] = field(default_factory=lambda: [2, 2, 2])
    """Stride in time of each convolution (in frequency it is always 2)."""

    def __post_init__(self) -> None:
        if self.layers < 1 or self.width < 2 or self.width % 2:
            raise ValueError("layers must be positive and width positive and even")
        if not self.channels or len(self.channels) != len(self.strides):
            raise ValueError("channels and strides must be lists of the same length")
        if any(channel < 1 for channel in self.channels) or any(stride not in (1, 2, 3) for stride in self.strides):
            raise ValueError("channels must be positive and strides 1, 2 or 3")
        if not 0.0 <= self.dropout <= 0.99:
            raise ValueError("dropout must be from 0 to 0.99")


class Subsampling(nn.Module):
    """3 × 3 convolutions over time and frequency: (B, T, F) → (B, ⌈T/s⌉, D).

    Frames beyond an utterance are zeroed before every convolution: to the utterance, the padding of a batch is the
    same as the convolution's own.
    """

    def __init__(self, size: int, config: EncoderConfig) -> None:
        super().__init__()
        self.strides = config.strides
        channels = [1, *config.channels]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size=3, stride=(stride, 2), padding=1)
            for before, after, stride in zip(channels, config.channels, config.strides, strict=False)
        )
        for _ in config.channels:
            size = (size + 1) // 2
        self.project = nn.Linear(size * config.channels[-1], config.width)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, T, F) and lengths in frames → (B, T', D) and lengths in steps."""
        x = features.unsqueeze(1)
        for convolution, stride in zip(self.convolutions, self.strides, strict=True):
            x = x * length_mask(lengths, x.shape[2])[:, None, :, None].to(x.dtype)
            x = nn.functional.relu(convolution(x))
            lengths = (lengths + stride - 1) // stride
        return self.project(x.transpose(1, 2).flatten(2)), lengths


class RecurrentBlock(nn.Module):
    """x + dropout(recurrent(norm(x))), all rows (N, D) of packed utterances."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.width
        self.norm = nn.LayerNorm(width)
        both = config.rnn_type == "bidirectional"
        self.recurrent: Recurrent | Memoryless
        if config.rnn_type == "none":
            self.recurrent = Memoryless(width, 2 * width, width)
        else:
            self.recurrent = Recurrent(width, width // 2 if both else width, both)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """The residual path lets gradients pass the recurrence untouched, so that depth does not slow learning."""
        result: Tensor = x + self.dropout(self.recurrent(self.norm(x), packing))
        return result


class Encoder(nn.Module):
    """Features (B, T, F) and lengths (B,) → encodings (B, T', D) and their lengths."""

    def __init__(self, size: int, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.subsampling = Subsampling(size, config)
        self.dropout = Dropout(config.dropout)
        self.blocks = nn.ModuleList(RecurrentBlock(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    @property
    def subsampling_factor(self) -> int:
        """Feature frames per output step."""
        return math.prod(self.config.strides)

    def steps(self, frames: Tensor) -> Tensor:
        """Output steps for `frames` feature frames."""
        for stride in self.config.strides:
            frames = (frames + stride - 1) // stride
        return frames

    def forward(
        self, features: Tensor, lengths: Tensor, tap: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Encodings, lengths, and the encodings after `tap` blocks where an intermediate loss asks for them."""
        x, lengths = self.subsampling(features, lengths)
        packing = Packing(lengths, x.shape[1])
        x = self.dropout(packing.pack(x)).float()  # many layers add to it: too much for the eight digits of bfloat16
        tapped = None
        for number, block in enumerate(self.blocks, 1):
            x = block(x, packing)
            if number == tap:
                tapped = packing.unpack(x)
        return packing.unpack(self.norm(x)), lengths, tapped
