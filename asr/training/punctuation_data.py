"""Windows of packed text, made to look like what a recognizer gives: errors in the words, pauses between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.errors import DataError
from asr.punctuation import CAPITALIZED, COARSE_PAUSE, LONGEST_PAUSE, MARKS, NONE, QUESTION, STOP, UNKNOWN_PAUSE

MIXED = 3
MIXED_SHARE = 0.6
MIXED_COUNT = 20
"""A word is spelled in mixed case that was read so in this share of its places, and so often."""
IGNORED = -100
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Words:
    """A text as numbers of words (N,), from 1, and labels (N,): mark + 4 × case (lower, capital, upper, mixed)."""

    words: NDArray[np.uint32]
    labels: NDArray[np.uint8]

    @classmethod
    def load(cls, folder: Path) -> Words:
        """Map `words.npy` and `labels.npy`. Raises `DataError` when they are missing or do not fit together."""
        with _reading(folder):
            words, labels = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("words", "labels"))
        if len(words) != len(labels):
            raise DataError(f"{folder}: {len(words)} words but {len(labels)} labels")
        return cls(words, labels)


def read_vocabulary(folder: Path) -> list[str]:
    """The words of the packed text in `folder`, each at its number; "" at 0. Raises `DataError` as `Words.load`."""
    with _reading(folder):
        return ["", *(folder / "vocabulary.txt").read_text(encoding="utf-8").splitlines()]


def read_mixed(folder: Path) -> dict[str, str]:
    """Spellings of the words that are mostly written in mixed case, by their upper case. Errors as `Words.load`."""
    with _reading(folder):
        rows = [line.split("\t") for line in (folder / "mixed.tsv").read_text(encoding="utf-8").splitlines()]
        kept = [form for form, mixed, total in rows if int(mixed) >= max(MIXED_COUNT, MIXED_SHARE * int(total))]
    return {form.upper(): form for form in kept}


@contextmanager
def _reading(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, ValueError) as error:
        hint = "recipes/punctuation/build_text.py makes it."
        raise DataError(f"{folder} holds no packed text: {error}", hint) from error


@dataclass(frozen=True)
class NoiseConfig:
    """What is done to the words of a window; rates are drawn for each window from 0 to these."""

    clean_share: float = 0.4
    """Windows that are left as they are written."""
    replaced: float = 0.2
    """Share of words replaced by words that sound alike (words that nothing sounds like stay)."""
    dropped: float = 0.05
    doubled: float = 0.03
    """Share of words that are said or heard twice."""
    pauses_share: float = 0.5
    """Windows in which the pauses are known."""
    coarse_share: float = 0.3
    """Of them those in which only pauses of the longest classes are known, as from segments without words."""
    blurred: float = 0.5
    """How far the pauses of a window may forget the marks: 1 is all the way."""
    sentence_share: float = 0.3
    """Windows that begin and end with a sentence, as recordings do."""


@dataclass(frozen=True)
class Batch:
    """Words (B, T), pause classes, marks and cases to learn (B, T), and lengths (B,)."""

    words: Tensor
    pauses: Tensor
    marks: Tensor
    cases: Tensor
    lengths: Tensor


class Noise:
    """Imitates a recognizer on windows of words."""

    def __init__(
        self, config: NoiseConfig, alike: NDArray[np.int32], pauses: Mapping[str, Sequence[float]] | None
    ) -> None:
        """`alike` (W, K) has words that sound alike, 0 where there is none; `pauses` by mark the shares of the classes.

        Without `pauses` none is ever known.
        """
        self.config, self.alike = config, alike
        self.pauses = None if pauses is None else np.array([pauses[mark or "none"] for mark in MARKS], np.float64)
        if self.pauses is not None:
            self.pauses /= self.pauses.sum(axis=1, keepdims=True)

    def errors(
        self, words: Numbers, marks: Numbers, cases: Numbers, random: np.random.Generator
    ) -> tuple[Numbers, ...]:
        """One window with errors: a dropped word's mark goes to the word before, a doubled word bears it once."""
        if random.random() < self.config.clean_share:
            return words, marks, cases
        replaced, dropped, doubled = random.random(3) * (self.config.replaced, self.config.dropped, self.config.doubled)
        chance = random.random(len(words))
        other = self.alike[words, random.integers(self.alike.shape[1], size=len(words))]
        words = np.where((chance < replaced) & (other > 0), other, words)
        chance = random.random(len(words))
        gone = np.flatnonzero(chance < dropped)
        gone = gone[gone > 0]
        marks = marks.copy()
        heirs = gone - 1
        marks[heirs] = np.where(marks[heirs] == NONE, marks[gone], marks[heirs])
        times = np.where(chance < dropped, 0, np.where(chance > 1 - doubled, 2, 1))
        times[0] = 1
        order = np.repeat(np.arange(len(words)), times)
        again = np.append(order[1:] == order[:-1], False)
        return words[order], np.where(again, NONE, marks[order]), cases[order]

    def silence(self, marks: Numbers, random: np.random.Generator) -> Numbers:
        """Classes of the pauses behind words with these marks, or all unknown."""
        if self.pauses is None or random.random() >= self.config.pauses_share:
            return np.full(len(marks), UNKNOWN_PAUSE)
        blur = random.random() * self.config.blurred
        usual = self.pauses[NONE] * 0.85 + self.pauses[1:].mean(axis=0) * 0.15
        sums = np.cumsum((1 - blur) * self.pauses + blur * usual, axis=1)[marks]
        drawn = (random.random(len(marks))[:, None] > sums).sum(axis=1)
        classes = np.minimum(drawn, LONGEST_PAUSE - 1) + 1
        coarse = random.random() < self.config.coarse_share
        return np.where(classes < COARSE_PAUSE, UNKNOWN_PAUSE, classes) if coarse else classes


def make_batch(text: Words, starts: Numbers, width: int, noise: Noise | None, random: np.random.Generator) -> Batch:
    """Windows of `width` words from each of `starts`, with errors and pauses if there is noise.

    The case of a word behind a full stop is not learned: it follows from the mark. Nor is the mark of a window's last
    word, unless a sentence ends there.
    """
    rows = []
    for start in starts.tolist():
        words = text.words[start : start + width].astype(np.int64)
        labels = text.labels[start : start + width].astype(np.int64)
        whole = noise is None or random.random() < noise.config.sentence_share
        if whole:
            words, labels = _sentences(words, labels)
        marks, cases = labels & 3, labels >> 2
        cases = np.where(cases == MIXED, CAPITALIZED, cases)
        cases = np.where(np.append(False, marks[:-1] == STOP), IGNORED, cases)
        cases[0] = IGNORED
        if noise is not None:
            words, marks, cases = noise.errors(words, marks, cases, random)
        pauses = np.full(len(words), UNKNOWN_PAUSE) if noise is None else noise.silence(marks, random)
        if not whole:
            marks = np.append(marks[:-1], IGNORED)
        rows.append((words, pauses, marks, cases))
    lengths = [len(row[0]) for row in rows]
    padded = (
        pad_sequence(list(map(torch.from_numpy, column)), batch_first=True, padding_value=fill)
        for column, fill in zip(zip(*rows, strict=True), (0, UNKNOWN_PAUSE, IGNORED, IGNORED), strict=True)
    )
    return Batch(*[*padded, torch.tensor(lengths)])


def _sentences(words: Numbers, labels: Numbers) -> tuple[Numbers, Numbers]:
    """The whole sentences of a window, or all of it where there is none."""
    ends = np.flatnonzero(np.isin(labels & 3, (STOP, QUESTION)))
    if len(ends) < 2:
        return words, labels
    return words[ends[0] + 1 : ends[-1] + 1], labels[ends[0] + 1 : ends[-1] + 1]


def sound_alikes(
    words: Sequence[str], counts: NDArray[np.int64], phones_of: Mapping[str, Sequence[str]], most: int = 8
) -> NDArray[np.int32]:
    """Words that sound like each of `words` (W,), numbered from 1 → (W + 1, most), the more usual first, 0 for none.

    Two words sound alike when they are the same after a phone is left out of either; `phones_of` gives the phones of a
    word, for the words that something is known of.
    """
    near: dict[tuple[str, ...], list[int]] = {}
    keys: dict[int, list[tuple[str, ...]]] = {}
    order = np.argsort(-counts, kind="stable").tolist()
    for index in order:
        if words[index] not in phones_of:
            continue
        phones = tuple(phones_of[words[index]])
        keys[index + 1] = (
            [phones, *(phones[:at] + phones[at + 1 :] for at in range(len(phones)))] if len(phones) > 1 else [phones]
        )
        for key in keys[index + 1]:
            near.setdefault(key, []).append(index + 1)
    table = np.zeros((len(words) + 1, most), np.int32)
    for number, own in keys.items():
        others = sorted(
            {other for key in own for other in near[key][: 2 * most]} - {number}, key=lambda n: -counts[n - 1]
        )
        table[number, : len(others[:most])] = others[:most]
    return table
