"""The phone language model of CTC-CRF's denominator: a trigram of phones and word boundaries, dense and exact.

Counts come from texts that a lexicon turns into phones. Each order is smoothed with pseudo-counts of the next lower,

    p(q | i, j) = (c(i, j, q) + d · p(q | j)) / (c(i, j) + d),

down to the uniform distribution, so that every string has a probability above zero. Index 0 is the start of a sentence
in a history, and its end as what follows: the place that the blank has among the network's outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from asr.errors import ModelError
from asr.weights import read_weights, write_weights

PSEUDO_COUNTS = 5.0

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PhoneNgram:
    """`table[i, j, q]` (V, V, V) is p(q | i, j), float32; each row sums to 1."""

    table: Floats

    def __post_init__(self) -> None:
        size = len(self.table)
        if self.table.shape != (size, size, size) or not np.allclose(self.table.sum(axis=2), 1.0, atol=1e-3):
            raise ValueError("a phone n-gram is a cube whose rows are probabilities")
        if not (self.table > 0).all():
            raise ValueError("a phone n-gram must give every phone a probability above zero")

    @property
    def size(self) -> int:
        """V: the blank's place and the labels."""
        return len(self.table)

    def log_probabilities(self, targets: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Doubles:
        """log p of each of the padded label strings (B, U), its end included → (B,), natural log."""
        batch, longest = targets.shape
        places = np.arange(longest + 1)
        ids = np.zeros((batch, longest + 3), np.int64)
        ids[:, 2:-1] = np.where(places[:-1] < lengths[:, None], targets, 0)
        each = np.log(self.table[ids[:, :-2], ids[:, 1:-1], ids[:, 2:]].astype(np.float64))
        total: Doubles = np.where(places <= lengths[:, None], each, 0.0).sum(axis=1)
        return total

    def save(self, path: Path | str) -> None:
        """Write what `load_phone_ngram` reads."""
        write_weights(Path(path), {"phone_ngram": torch.from_numpy(self.table)}, half=False)


def load_phone_ngram(path: Path | str) -> PhoneNgram:
    """Read a file of `PhoneNgram.save`. Raises `ModelError` naming the file when it is damaged or another kind."""
    weights = read_weights(Path(path))
    try:
        return PhoneNgram(weights["phone_ngram"].float().numpy())
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} is not a phone n-gram: {error}", "Build it with recipes/phone_ngram.py.") from error


def count_phones(sentences: Iterable[Sequence[int]], size: int) -> Doubles:
    """How often label q followed i and j in `sentences` of label ids: (V, V, V), with 0 as start and end."""
    counts = np.zeros(size**3, np.int64)
    rest: list[int] = []
    for sentence in sentences:
        rest += [0, 0, *sentence, 0]
        if len(rest) > 1 << 20:
            counts += _trigrams(rest, size)
            rest = []
    if rest:
        counts += _trigrams(rest, size)
    return counts.reshape(size, size, size).astype(np.float64)


def estimate(counts: Doubles, order: int = 3, pseudo_counts: float = PSEUDO_COUNTS) -> PhoneNgram:
    """The smoothed n-gram of `order` 1, 2 or 3 from trigram `counts` (V, V, V)."""
    size = len(counts)
    probability = np.full(size, 1.0 / size)
    for level in range(1, order + 1):
        seen = counts.sum(axis=tuple(range(3 - level)))
        probability = (seen + pseudo_counts * probability) / (seen.sum(axis=-1, keepdims=True) + pseudo_counts)
    return PhoneNgram(np.broadcast_to(probability, counts.shape).astype(np.float32))


def _trigrams(ids: Sequence[int], size: int) -> npt.NDArray[np.int64]:
    flat = np.array(ids, np.int64)
    first, second, third = flat[:-2], flat[1:-1], flat[2:]
    # A history that holds an end belongs to the sentence before: 0 after another label is one, before it a start.
    inside = ~((second == 0) & (first != 0)) & ~((first == 0) & (second == 0) & (third == 0))
    code = (first * size + second) * size + third
    return np.bincount(code[inside], minlength=size**3)
