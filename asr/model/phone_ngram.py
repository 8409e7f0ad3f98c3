"""The phone language model of CTC-CRF's denominator: a trigram of phones and word boundaries, dense and exact.

Every string has a probability above zero; `recipes/phone_ngram.py` makes it from texts. Index 0 is the start of a
sentence in a history, and its end as what follows: the place that the blank has among the network's outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from asr.errors import ModelError
from asr.weights import read_weights, write_weights

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
