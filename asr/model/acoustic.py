"""The acoustic model: waveforms in, log-probabilities of word pieces out, and of phones where it has learned them.

    features (B, T, F)
      → 3 convolutions, each halving time and frequency          local patterns: formants, bursts, transitions
      → linear to D                                              (B, T/8, D)
      → L × [x + dropout(recurrent(norm(x)))]                     memory of the past and the future
      → norm                                                     encodings
      → linear to V, log-softmax                                 one score a step for each word piece, or phone

Time shrinks 8-fold before the recurrence because a GRU's cost is proportional to its steps; word pieces keep the
remaining 12.5 frames a second enough for CTC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from asr.features.extractor import FeatureConfig, FeatureExtractor, length_mask
from asr.lexicon.phones import VOCABULARY as PHONES
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


class Dropout(nn.Module):
    """Sets a share of the elements to zero while training, and scales the others to keep the mean.

    Srivastava et al. 2014. PyTorch draws a number for every element, which on a CPU takes longer than the layers' own
    arithmetic around it; here one draw of 64 bits serves eight elements. The share is rounded to the next 1/256.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.cut = round(share * 256)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; draws from PyTorch's own generator of the device."""
        if not self.training or not self.cut:
            return x
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        keep = (draws.view(torch.uint8)[: x.numel()] >= self.cut).view(x.shape)
        return x * keep.to(x.dtype).mul_(256 / (256 - self.cut))


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


@dataclass(frozen=True)
class AcousticConfig:
    """All that is needed to build the network; saved in a model folder's `config.json`."""

    features: FeatureConfig = field(default_factory=FeatureConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    phones: bool = False
    """Whether the network has an output of phones beside that of word pieces, for a search by the lexicon."""


class AcousticModel(nn.Module):
    """Waveforms (B, N) in [-1, 1] and lengths (B,) in samples → log-probabilities (B, T, V) and lengths (B,) in steps.

    The last dimension is the tokenizer's vocabulary with the CTC blank at index 0. Padding never changes a result.
    Where it has learned `phones`, the same encodings give their log-probabilities as well, in the order of
    `asr.lexicon.phones.VOCABULARY`.
    """

    def __init__(self, config: AcousticConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.features = FeatureExtractor(config.features)
        self.encoder = Encoder(self.features.size, config.encoder)
        self.vocabulary = vocabulary
        self.output = nn.Linear(config.encoder.width, vocabulary)
        self.phones = nn.Linear(config.encoder.width, len(PHONES)) if config.phones else None

    @property
    def frame_seconds(self) -> float:
        """Seconds from one output step to the next."""
        return self.features.shift_seconds * self.encoder.subsampling_factor

    def steps(self, lengths: Tensor) -> Tensor:
        """Output steps for signals of `lengths` samples."""
        return self.encoder.steps(self.features.frames(lengths))

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities (natural, float32). Steps beyond an utterance's length are unspecified."""
        return self.recognize(*self.features(waveforms, lengths))

    def recognize(self, features: Tensor, lengths: Tensor, phones: bool = False) -> tuple[Tensor, Tensor]:
        """The same from features (B, T, F) and their lengths, where training augments between the two.

        If `phones`, the log-probabilities of phones in place of word pieces.
        """
        encodings, lengths, _ = self.encoder(features, lengths)
        return self.log_probabilities(encodings, phones), lengths

    def log_probabilities(self, encodings: Tensor, phones: bool = False) -> Tensor:
        """Encodings (B, T, D) → (B, T, V), in float32 under any autocast: sums over many steps follow.

        Raises `ValueError` for phones where none have been learned.
        """
        output = self.phones if phones else self.output
        if output is None:
            raise ValueError("this network has not learned phones")
        log_probs: Tensor = output(encodings).float().log_softmax(dim=2)
        return log_probs


def parameters(module: nn.Module) -> int:
    """How many numbers the module learns."""
    return sum(parameter.numel() for parameter in module.parameters())
