"""Punctuation and capitals by a bidirectional GRU: a tagger of words (Tilk and Alumäe 2016, with piece embeddings).

A word is the sum of the embeddings of its pieces and of the pause that follows it; two recurrent layers read the words
in both directions, and two linear layers say of each the mark behind it and its case. Pieces are summed, so that the
network takes one step a word, and a word it never saw is still made of pieces that it knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from asr.config import validate
from asr.errors import ModelError, UsageError
from asr.io import parse_json, write_text
from asr.nn.rnn import Packing, Recurrent
from asr.text.case import capitalize
from asr.text.tokenizer import Tokenizer, load_tokenizer
from asr.weights import load_weights, write_weights

MARKS = ("", ",", ".", "?")
NONE, COMMA, STOP, QUESTION = range(4)
CASES = ("lower", "capitalized", "upper")
LOWER, CAPITALIZED, UPPER = range(3)


@dataclass(frozen=True)
class Tag:
    """The mark behind a word, an index in `MARKS`, and its case, an index in `CASES`."""

    mark: int
    case: int

    @property
    def ends_sentence(self) -> bool:
        """Whether a sentence ends with this word."""
        return self.mark in (STOP, QUESTION)


def write_words(words: Sequence[str], tags: Sequence[Tag], mixed: Mapping[str, str]) -> list[str]:
    """Each word as a reader sees it, its mark behind it; `mixed` spells words like McDonald, by their upper case."""
    written = []
    for word, tag in zip(words, tags, strict=True):
        if tag.case == LOWER:
            shown = word.lower()
        elif tag.case == UPPER:
            shown = word.upper()
        else:
            shown = mixed.get(word.upper()) or capitalize(word.lower())
        written.append(shown + MARKS[tag.mark])
    return written


KIND = "punctuation"
PIECES = 6
"""Pieces of a word that are read; what a longer one has beyond them is left out."""
PAUSES = (0.06, 0.15, 0.3, 0.5, 0.9)
"""Seconds that part the classes of pauses, of which class 0 is not known."""
UNKNOWN_PAUSE = 0
LONGEST_PAUSE = len(PAUSES) + 1
COARSE_PAUSE = 5
"""From this class on, of half a second, a pause parts segments, and is known without the times of words."""
WINDOW = 256
MARGIN = 32
"""Words that a window of a long text has beyond its own on either side."""
WORDS_KEPT = 1 << 16
"""Words whose pieces are remembered."""
WINDOWS = 16
"""Windows that are read together: of ten hours of speech all at once would take a gigabyte."""


@dataclass(frozen=True)
class TaggerConfig:
    """Sizes of the network."""

    embedding: int = 128
    hidden: int = 160
    layers: int = 2
    rnn_type: Literal["bidirectional", "unidirectional"] = "bidirectional"
    dropout: float = 0.0


class Tagger(nn.Module):
    """Pieces (B, T, P) and pause classes (B, T) of words → logits of marks (B, T, 4) and of cases (B, T, 3)."""

    def __init__(self, config: TaggerConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        # Piece 0, the tokenizer's blank, fills up short words; pause 0 is not known. Both add nothing.
        self.pieces = nn.Embedding(vocabulary, config.embedding, padding_idx=0)
        self.pauses = nn.Embedding(LONGEST_PAUSE + 1, config.embedding, padding_idx=UNKNOWN_PAUSE)
        both = config.rnn_type == "bidirectional"
        sizes = [config.embedding, *[config.hidden * (1 + both)] * config.layers]
        self.layers = nn.ModuleList(Recurrent(size, config.hidden, both) for size in sizes[:-1])
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in sizes)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(sizes[-1], len(MARKS) + len(CASES))

    def forward(self, pieces: Tensor, pauses: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Words beyond a row's length (B,) are unspecified."""
        words = nn.functional.embedding_bag(pieces.flatten(0, 1), self.pieces.weight, mode="sum", padding_idx=0)
        packing = Packing(lengths, pauses.shape[1])
        x = packing.pack(words.view(*pauses.shape, -1) + self.pauses(pauses))
        x = self.dropout(self.norms[0](x))
        for layer, norm in zip(self.layers, self.norms[1:], strict=True):
            x = self.dropout(norm(layer(x, packing).float()))
        logits = packing.unpack(self.output(x).float())
        return logits[..., : len(MARKS)], logits[..., len(MARKS) :]


class PunctuationModel:
    """A tagger with the tokenizer of its pieces, ready to use."""

    def __init__(self, network: Tagger, tokenizer: Tokenizer, mixed: Mapping[str, str], bias: Sequence[float]) -> None:
        """`mixed` spells words like McDonald; `bias` (4,) is added to the log-probabilities of the marks."""
        self.network, self.tokenizer = network, tokenizer
        self.mixed = dict(mixed)
        self.bias = torch.tensor(bias)
        self.facts: dict[str, Any] = {}
        """What it was trained on and how; free-form, for the reader."""
        self._pieces = lru_cache(WORDS_KEPT)(partial(word_pieces, tokenizer))

    def tags(
        self,
        words: Sequence[str],
        pauses: Sequence[float | None] | None = None,
        finished: bool = True,
        given: Sequence[Tag] = (),
    ) -> list[Tag]:
        """The tag of each word; `pauses` are the seconds of silence behind each, None where they are not known.

        The last word of a `finished` text ends a sentence. `given` are the tags of the first words, which stay.
        """
        if not words:
            return []
        pieces = np.array([self._pieces(word) for word in words], dtype=np.int64)
        classes = np.zeros(len(words), np.int64) if pauses is None else pause_classes(pauses)
        marks, cases = self.log_probs(pieces, classes)
        marks += self.bias
        if finished:
            marks[-1, :STOP] = -torch.inf
        tags = list(given)
        for mark, case in torch.stack([marks.argmax(dim=1), cases.argmax(dim=1)], dim=1)[len(given) :].tolist():
            # Of the first word of a sentence the network learned no case: it follows from the mark.
            starts = not tags or tags[-1].ends_sentence
            tags.append(Tag(mark, CAPITALIZED if starts and case == LOWER else case))
        return tags

    def log_probs(self, pieces: NDArray[np.int64], pauses: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Marks (N, 4) and cases (N, 3) of words (N, P), pauses (N,): a long text in windows that overlap."""
        together = WINDOW * WINDOWS
        parts = [self._log_probs(pieces, pauses, at, at + together) for at in range(0, len(pieces), together)]
        return torch.cat([marks for marks, _ in parts]), torch.cat([cases for _, cases in parts])

    def _log_probs(
        self, pieces: NDArray[np.int64], pauses: NDArray[np.int64], first: int, last: int
    ) -> tuple[Tensor, Tensor]:
        """`log_probs` of the words `first : last`, in one batch."""
        starts = range(first, min(last, len(pieces)), WINDOW)
        spans = [(max(0, at - MARGIN), min(len(pieces), at + WINDOW + MARGIN)) for at in starts]
        lengths = torch.tensor([end - start for start, end in spans])
        rows, silence = (
            pad_sequence([torch.from_numpy(each[start:end]) for start, end in spans], batch_first=True)
            for each in (pieces, pauses)
        )
        with torch.inference_mode():
            logits = self.network(rows, silence, lengths)
        own = [(row, at - start) for row, ((start, _), at) in enumerate(zip(spans, starts, strict=True))]
        marks, cases = (
            torch.cat([each[row, start : min(start + WINDOW, lengths[row])] for row, start in own]) for each in logits
        )
        return marks.log_softmax(dim=1), cases.log_softmax(dim=1)


def word_pieces(tokenizer: Tokenizer, word: str) -> list[int]:
    """The first `PIECES` pieces of a word, filled up with zeros; letters that the tokenizer lacks are passed over."""
    letters = "".join(letter for letter in word.upper() if letter == "'" or "A" <= letter <= "Z")
    ids = tokenizer.encode(letters)[:PIECES] if letters else []
    return ids + [0] * (PIECES - len(ids))


def pause_classes(seconds: Sequence[float | None]) -> NDArray[np.int64]:
    """The class of each pause, from 1; of an unknown one 0."""
    known = np.array([pause is not None for pause in seconds])
    values = np.array([pause or 0.0 for pause in seconds])
    return np.where(known, np.searchsorted(PAUSES, values, side="right") + 1, UNKNOWN_PAUSE)


def save_punctuation(
    folder: Path,
    model: PunctuationModel,
    weights: Mapping[str, Tensor] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> None:
    """Write a model folder, weights in half precision; `config.json` comes last."""
    model.tokenizer.save(folder)
    write_weights(folder / "model.safetensors", model.network.state_dict() if weights is None else weights)
    description = {
        "kind": KIND,
        "network": asdict(model.network.config),
        "bias": [round(value, 3) for value in model.bias.tolist()],
        "training": dict(facts or {}),
        "mixed": model.mixed,
    }
    write_text(folder / "config.json", json.dumps(description, ensure_ascii=False, indent=1) + "\n")


def load_punctuation(folder: Path | str) -> PunctuationModel:
    """Load a model folder. Raises `ModelError` naming the file that is missing or damaged."""
    path = Path(folder) / "config.json"
    try:
        description = parse_json(path.read_text(encoding="utf-8"))
        if description["kind"] != KIND:
            raise ModelError(f"{path} describes a {description['kind']}, not punctuation")
        config = validate(TaggerConfig, description["network"], str(path))
        mixed = {str(word): str(form) for word, form in description["mixed"].items()}
        bias = [float(value) for value in description["bias"]]
        if len(bias) != len(MARKS):
            raise ValueError(f"bias has {len(bias)} numbers")
        facts = dict(description.get("training", {}))
        tokenizer = load_tokenizer(folder)
        network = Tagger(config, len(tokenizer.vocabulary))
    except FileNotFoundError as error:
        raise ModelError(f"{folder} holds no punctuation (no config.json)") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, UsageError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    load_weights(network, Path(folder) / "model.safetensors")
    model = PunctuationModel(network.eval(), tokenizer, mixed, bias)
    model.facts = facts
    return model
