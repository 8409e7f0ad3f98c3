"""The scribe: it writes down in word pieces what the acoustic model has heard in phones.

    phones (B, T, P)
      → linear, some steps together                              (B, T/s, D)
      → L × [x + dropout(recurrent(norm(x)))]                     memory of the words around
      → norm → linear, some steps together                       (B, T, V)

How English sounds, twenty hours of speech can teach; how it is written, they cannot. But a text says how it is written,
and a dictionary how it sounds, so that this part of the network can learn from as much text as there is
(`asr.writing`). It stays CTC: a token or a blank for every step, the best of which is the text.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from asr.features.extractor import length_mask
from asr.model.encoder import EncoderConfig, RecurrentBlock


@dataclass(frozen=True)
class ScribeConfig:
    """Sizes of the scribe."""

    layers: int = 2
    width: int = 432
    """D; a layer has D/2 units in each direction."""
    dropout: float = 0.1
    together: int = 2
    """Steps that are read, and written, at once: a phone lasts about two."""

    def __post_init__(self) -> None:
        if self.together < 1:
            raise ValueError("together must be at least 1")
        self.stack()  # checks the others

    def stack(self) -> EncoderConfig:
        """The recurrent layers, sized as those of an encoder."""
        return EncoderConfig("bidirectional", self.layers, self.width, self.dropout)


class Scribe(nn.Module):
    """Log-probabilities of phones (B, T, P) and lengths (B,) in steps → log-probabilities of tokens (B, T, V)."""

    def __init__(self, config: ScribeConfig, phones: int, vocabulary: int) -> None:
        super().__init__()
        self.config, self.vocabulary = config, vocabulary
        self.read = nn.Linear(config.together * phones, config.width)
        self.blocks = nn.ModuleList(RecurrentBlock(config.stack()) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.write = nn.Linear(config.width, config.together * vocabulary)

    def forward(self, heard: Tensor, lengths: Tensor) -> Tensor:
        """Natural logarithms in float32. Steps beyond a length are unspecified and never change those within."""
        batch, steps, _ = heard.shape
        together = self.config.together
        # Probabilities, for a network likes its inputs bounded; nothing at all beyond an utterance.
        x = heard.exp() * length_mask(lengths, steps).unsqueeze(2)
        x = F.pad(x, (0, 0, 0, -steps % together))
        x = self.read(x.reshape(batch, x.shape[1] // together, -1)).float()
        lengths = (lengths + together - 1) // together
        for block in self.blocks:
            x = block(x, lengths)
        logits = self.write(self.norm(x)).float()
        log_probs: Tensor = logits.reshape(batch, -1, self.vocabulary)[:, :steps].log_softmax(dim=2)
        return log_probs
