"""The acoustic model: waveforms in, log-probabilities of word pieces out, and of phones where it has learned them."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from asr.features.extractor import FeatureConfig, FeatureExtractor
from asr.lexicon.phones import VOCABULARY as PHONES
from asr.model.encoder import Encoder, EncoderConfig


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
        if phones:
            return self.phone_log_probabilities(encodings), lengths
        return self.log_probabilities(encodings), lengths

    def log_probabilities(self, encodings: Tensor) -> Tensor:
        """Encodings (B, T, D) → (B, T, V), in float32 under any autocast: sums over many steps follow."""
        log_probs: Tensor = self.output(encodings).float().log_softmax(dim=2)
        return log_probs

    def phone_log_probabilities(self, encodings: Tensor) -> Tensor:
        """Encodings (B, T, D) → (B, T, phones), in float32. Raises `ValueError` where none have been learned."""
        if self.phones is None:
            raise ValueError("this network has not learned phones")
        log_probs: Tensor = self.phones(encodings).float().log_softmax(dim=2)
        return log_probs


def parameters(module: nn.Module) -> int:
    """How many numbers the module learns."""
    return sum(parameter.numel() for parameter in module.parameters())
