"""The acoustic model: waveforms in, log-probabilities of word pieces out, and of phones where it has learned them."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from asr.features.extractor import FeatureConfig, FeatureExtractor
from asr.features.filterbank import SHIFT_SECONDS
from asr.model.encoder import Encoder, EncoderConfig
from asr.model.scribe import Scribe, ScribeConfig
from asr.pronunciation.phones import VOCABULARY as PHONES


@dataclass(frozen=True)
class AcousticConfig:
    """All that is needed to build the network; saved in a model folder's `config.json`."""

    features: FeatureConfig = field(default_factory=FeatureConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    outputs_per_step: int = 1
    """Tokens that each step of the encoder may write. Characters come faster than its steps, word pieces do not: with
    3 the recurrence stays as short as it is and the output has a step every 27 ms."""
    phones: bool = False
    """Whether the network also says which phones it hears, for a search that knows how words are spoken."""
    scribe: ScribeConfig | None = None
    """The part that writes down what was heard in phones; without one the encodings themselves say the tokens."""

    def __post_init__(self) -> None:
        if not 1 <= self.outputs_per_step <= 8:
            raise ValueError("outputs_per_step must lie between 1 and 8")
        if self.phones and self.outputs_per_step > 1:
            raise ValueError("phones are heard once a step: outputs_per_step must be 1")
        if self.scribe is not None and not self.phones:
            raise ValueError("a scribe writes down phones: phones must be true")


class AcousticModel(nn.Module):
    """Waveforms (B, N) in [-1, 1] and lengths (B,) in samples → log-probabilities (B, T, V) and lengths (B,) in steps.

    The last dimension is the tokenizer's vocabulary with the CTC blank at index 0. Padding never changes a result.
    Where it has learned `phones`, the same encodings give their log-probabilities as well, in the order of
    `asr.pronunciation.phones.VOCABULARY`.
    """

    def __init__(self, config: AcousticConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.features = FeatureExtractor(config.features)
        self.encoder = Encoder(self.features.size, config.encoder)
        self.vocabulary = vocabulary
        self.output = nn.Linear(config.encoder.width, config.outputs_per_step * vocabulary)
        self.phones = nn.Linear(config.encoder.width, len(PHONES)) if config.phones else None
        self.scribe = Scribe(config.scribe, len(PHONES), vocabulary) if config.scribe else None

    @property
    def frame_seconds(self) -> float:
        """Seconds from one output step to the next."""
        return SHIFT_SECONDS * self.encoder.subsampling_factor / self.config.outputs_per_step

    def steps(self, lengths: Tensor) -> Tensor:
        """Output steps for signals of `lengths` samples."""
        return self.output_steps(self.features.frames(lengths))

    def output_steps(self, frames: Tensor) -> Tensor:
        """Output steps for `frames` feature frames."""
        return self.config.outputs_per_step * self.encoder.steps(frames)

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities (natural, float32). Steps beyond an utterance's length are unspecified."""
        return self.recognise(*self.features(waveforms, lengths))

    def recognise(self, features: Tensor, lengths: Tensor, phones: bool = False) -> tuple[Tensor, Tensor]:
        """The same from features (B, T, F) and their lengths, where training augments between the two.

        If `phones`, the log-probabilities of phones in place of word pieces.
        """
        encodings, lengths, _ = self.encoder(features, lengths)
        if phones:
            return self.phone_log_probabilities(encodings), lengths
        if self.scribe is not None:
            return self.scribe(self.phone_log_probabilities(encodings), lengths), lengths
        return self.log_probabilities(encodings), self.config.outputs_per_step * lengths

    def log_probabilities(self, encodings: Tensor) -> Tensor:
        """Encodings (B, T, D) → (B, T · outputs, V), without a scribe's help.

        In float32 under any autocast: sums over many steps follow.
        """
        logits = self.output(encodings).float()
        log_probs: Tensor = logits.reshape(len(logits), -1, self.vocabulary).log_softmax(dim=2)
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
