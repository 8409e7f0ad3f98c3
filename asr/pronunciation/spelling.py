"""From letters to phones: a recurrent network that guesses how a word is spoken which no dictionary lists.

The letters go through bidirectional GRU layers and CTC reads the phones off, as Rao et al. 2015 ("Grapheme-to-phoneme
conversion using long short-term memory recurrent neural networks") do with LSTMs. Every letter has two steps, so that
an X can be two phones; CTC's blank lets a silent letter be none. Nothing is searched: the best phone of each step
counts, which makes tens of thousands of guesses a matter of seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from asr.errors import ModelError
from asr.pronunciation.letters import LETTERS, letters_of
from asr.pronunciation.phones import SIGNS
from asr.recurrence.directions import Bidirectional
from asr.weights import read_weights, write_weights

PADDING = 0
BLANK = 0
STEPS = 2
"""Steps of each letter."""
LONGEST = 100
"""Letters; what is longer is no word of a language, and would only cost memory."""
LETTERS_AT_ONCE = 8192

_LETTER_IDS = {letter: number for number, letter in enumerate(LETTERS, 1)}
_PHONE_IDS = {sign: number for number, sign in enumerate(SIGNS, 1)}


class Speller(nn.Module):
    """Letters (B, L) → log-probabilities of phones (B, 2 L, 40): 0 is CTC's blank, then the phones of `PHONES`."""

    def __init__(self, hidden: int = 160, layers: int = 2, embedding: int = 128, dropout: float = 0.1) -> None:
        super().__init__()
        width = 2 * hidden
        self.letters = nn.Embedding(1 + len(LETTERS), embedding)
        self.spread = nn.Linear(embedding, STEPS * width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.layers = nn.ModuleList(Bidirectional(width, hidden) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.phones = nn.Linear(width, 1 + len(SIGNS))

    def forward(self, letters: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities and the lengths (B,) in steps, of words as `pad_words` gives them.

        Steps beyond a word's length are unspecified; padding never changes those within.
        """
        x: Tensor = self.spread(self.letters(letters))
        x = x.reshape(len(letters), STEPS * letters.shape[1], -1)
        lengths = STEPS * lengths
        for norm, layer in zip(self.norms, self.layers, strict=True):
            x = x + self.dropout(layer(norm(x), lengths))
        return self.phones(x).log_softmax(-1), lengths

    @torch.inference_mode()
    def guess(self, words: Sequence[str]) -> list[str]:
        """How each of `words` is spoken, in signs of `PHONES`; "" where that cannot be told.

        Only the letters of `letters_of` count. A word without any of A–Z, one of more than 100 letters, and one in
        which the network hears nothing get "". A guess does not depend on the other words.
        """
        spelled = [letters_of(word) for word in words]
        guesses = [""] * len(words)
        was_training = self.training
        self.eval()
        for batch in _batches(spelled):
            log_probs, lengths = self(*pad_words([spelled[index] for index in batch]))
            best = log_probs.argmax(-1).tolist()
            for index, path, steps in zip(batch, best, lengths.tolist(), strict=True):
                guesses[index] = _collapse(path[:steps])
        self.train(was_training)
        return guesses

    def save(self, path: Path) -> None:
        """Write the weights as a safetensors file of float16."""
        write_weights(path, self.state_dict())


def load_speller(path: Path) -> Speller:
    """Read a speller of any size, in evaluation mode and float32.

    Raises `ModelError` naming the file when it is missing, torn or holds another network.
    """
    weights = {name: tensor.float() for name, tensor in read_weights(path).items()}
    try:
        embedding, width = weights["letters.weight"].shape[1], weights["phones.weight"].shape[1]
        layers = sum(name.startswith("norms.") and name.endswith(".weight") for name in weights)
        # The sizes are the file's claim: nothing of them is laid out in memory before the weights are seen to fit.
        with torch.device("meta"):
            speller = Speller(width // 2, layers, embedding)
        speller.load_state_dict(weights, assign=True)
    except (KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
        raise ModelError(f"{path} does not hold a speller: {error}") from error
    return speller.eval()


def pad_words(words: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Ids (B, L) of words in `LETTERS`, the shorter ones filled up, and their lengths (B,)."""
    return _pad(words, _LETTER_IDS)


def pad_phones(pronunciations: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Targets (B, U) for CTC of pronunciations in signs, the shorter ones filled up, and their lengths (B,)."""
    return _pad(pronunciations, _PHONE_IDS)


def _pad(strings: Sequence[str], ids: dict[str, int]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, strings))
    rows = [[ids[sign] for sign in string] + [PADDING] * (longest - len(string)) for string in strings]
    return torch.tensor(rows, dtype=torch.long), torch.tensor([len(string) for string in strings])


def _batches(words: Sequence[str]) -> Iterator[list[int]]:
    """Indices of the words that can be read, those of like length together."""
    batch: list[int] = []
    readable = (index for index, word in enumerate(words) if word.strip("'") and len(word) <= LONGEST)
    for index in sorted(readable, key=lambda index: len(words[index])):
        # Lengths rise, so the newest word decides the padding of its batch.
        if (len(batch) + 1) * len(words[index]) > LETTERS_AT_ONCE:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _collapse(path: Sequence[int]) -> str:
    """What CTC reads off a path: repetitions are one phone, blanks are none."""
    before = [BLANK, *path[:-1]]
    return "".join(SIGNS[now - 1] for now, last in zip(path, before, strict=True) if now not in (BLANK, last))
