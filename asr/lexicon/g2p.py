"""From letters to phones: a recurrent network (G2P) for words that no dictionary lists.

The letters go through bidirectional GRU layers and CTC reads the phones off, as Rao et al. 2015 ("Grapheme-to-phoneme
conversion using long short-term memory recurrent neural networks") do with LSTMs. Every letter has two steps, so that
an X can be two phones; CTC's blank lets a silent letter be none. Nothing is searched: the best phone of each step
counts, which makes tens of thousands of predictions a matter of seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
from torch import Tensor, nn

from asr.errors import ModelError
from asr.lexicon.phones import LETTERS, SYMBOLS, letters_of
from asr.nn.rnn import Packing, Recurrent, batches_by_length
from asr.weights import read_weights, write_weights

BLANK = 0
STEPS = 2
"""Steps of each letter."""
LONGEST = 100
"""Letters; what is longer is no word of a language, and would only cost memory."""
LETTERS_AT_ONCE = 8192

_IDS = {letter: number for number, letter in enumerate(f" {LETTERS}")}  # what fills up shorter words comes first


@dataclass(frozen=True)
class G2PConfig:
    """Sizes of the network."""

    hidden: int = 160
    """Units each way."""
    layers: int = 2
    embedding: int = 128
    dropout: float = 0.1


class G2P(nn.Module):
    """Letters (B, L) → log-probabilities of phones (B, 2 L, 40): 0 is CTC's blank, then the phones of `PHONES`."""

    def __init__(self, config: G2PConfig) -> None:
        super().__init__()
        self.config = config
        width = 2 * config.hidden
        self.letters = nn.Embedding(1 + len(LETTERS), config.embedding)
        self.spread = nn.Linear(config.embedding, STEPS * width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(config.layers))
        self.layers = nn.ModuleList(Recurrent(width, config.hidden) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        self.phones = nn.Linear(width, 1 + len(SYMBOLS))

    def forward(self, letters: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities and the lengths (B,) in steps, of words as `pad_words` gives them.

        Steps beyond a word's length are unspecified; padding never changes those within.
        """
        x: Tensor = self.spread(self.letters(letters))
        x = x.reshape(len(letters), STEPS * letters.shape[1], -1)
        lengths = STEPS * lengths
        packing = Packing(lengths, x.shape[1])
        x = packing.pack(x)
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + self.dropout(layer(norm(x), packing))
        return packing.unpack(self.phones(x).log_softmax(-1)), lengths

    @torch.inference_mode()
    def predict(self, words: Sequence[str]) -> list[str]:
        """How each of `words` is spoken, in symbols of `PHONES`; "" where that cannot be told.

        Only the letters of `letters_of` count. A word without any of A–Z, one of more than 100 letters, and one in
        which the network finds no phone get "". A prediction does not depend on the other words.
        """
        spelled = [letters_of(word) for word in words]
        predictions = [""] * len(words)
        was_training = self.training
        self.eval()
        readable = [n for n, word in enumerate(spelled) if word.strip("'") and len(word) <= LONGEST]
        for chosen in batches_by_length([len(spelled[index]) for index in readable], LETTERS_AT_ONCE):
            batch = [readable[place] for place in chosen]
            letters, lengths = pad_words([spelled[index] for index in batch])
            log_probs, lengths = self(letters.to(self.phones.weight.device), lengths.to(self.phones.weight.device))
            best = log_probs.argmax(-1).tolist()
            for index, path, steps in zip(batch, best, lengths.tolist(), strict=True):
                predictions[index] = "".join(SYMBOLS[phone - 1] for phone, _ in groupby(path[:steps]) if phone != BLANK)
        self.train(was_training)
        return predictions

    def save(self, path: Path) -> None:
        """Write the weights as a safetensors file of float16."""
        write_weights(path, self.state_dict())


def load_g2p(path: Path) -> G2P:
    """Read a G2P model of any size, in evaluation mode and float32.

    Raises `ModelError` naming the file when it is missing, torn or holds another network.
    """
    weights = {name: tensor.float() for name, tensor in read_weights(path).items()}
    try:
        embedding, width = weights["letters.weight"].shape[1], weights["phones.weight"].shape[1]
        layers = sum(name.startswith("norms.") and name.endswith(".weight") for name in weights)
        # The sizes are the file's claim: nothing of them is laid out in memory before the weights are seen to fit.
        with torch.device("meta"):
            g2p = G2P(G2PConfig(width // 2, layers, embedding))
        g2p.load_state_dict(weights, assign=True)
    except (KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path} does not hold a G2P model: {error}") from error
    return g2p.eval()


def pad_words(words: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids (B, L) of words in `LETTERS`, the shorter ones filled up, and their lengths (B,)."""
    lengths = list(map(len, words))
    longest = max(lengths)
    ids = [[_IDS[letter] for letter in word.ljust(longest)] for word in words]
    return torch.tensor(ids, dtype=torch.long), torch.tensor(lengths)
