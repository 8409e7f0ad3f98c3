"""How well marks and capitals are restored in held-out books, by a model or by a trigram.

    python recipes/punctuation/evaluate.py MODEL|trigram TEXT_DIR [--words 300000] [--pauses CONF.yaml]

TEXT_DIR is what build_text.py wrote; its `test` books are read without their marks and capitals, as one long text,
without pauses, or with such as people make behind those marks (`--pauses recipes/punctuation/conf/bigru.yaml`).
Prints precision, recall and F1 of each mark and of capitals (all words that begin with one, also where sentences
begin).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.cli.main import plain_errors
from asr.config import read_yaml
from asr.punctuation import LOWER, MARKS, PAUSES, STOP, load_punctuation
from asr.training.punctuation_data import Words, read_vocabulary

Numbers = NDArray[np.int64]
SECONDS = (0.0, *PAUSES)
"""A pause of each class."""
NAMES = {1: "comma", 2: "full stop", 3: "question mark"}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text", type=Path)
    parser.add_argument("--words", type=int, default=300_000)
    parser.add_argument("--train-words", type=int, default=20_000_000)
    parser.add_argument("--split", default="test")
    parser.add_argument("--pauses", type=Path, help="a configuration by which pauses are drawn for the words")
    options = parser.parse_args()
    test = Words.load(options.text / options.split)
    words, labels = test.words[: options.words].astype(np.int64), test.labels[: options.words].astype(np.int64)
    began = time.process_time()
    if options.model == "trigram":
        train = Words.load(options.text / "train")
        size = options.train_words
        marks, capitals = Trigram(train.words[:size].astype(np.int64), train.labels[:size].astype(np.int64)).read(words)
    else:
        names = read_vocabulary(options.text)
        pauses = None
        if options.pauses:
            pauses = draw_pauses(read_yaml(options.pauses)["pauses"], labels & 3).tolist()
        tags = load_punctuation(options.model).tags([names[number] for number in words.tolist()], pauses)
        marks = np.array([tag.mark for tag in tags])
        capitals = np.array([tag.case != LOWER for tag in tags])
    spent = time.process_time() - began
    print(table(marks, capitals, labels & 3, labels >> 2 != LOWER))
    print(f"{len(words):,} words, {spent:.1f} s of processor time")


def draw_pauses(shares: Mapping[str, Sequence[float]], marks: Numbers) -> NDArray[np.float64]:
    """Seconds of silence behind each word, by the shares of the classes behind its mark."""
    random = np.random.default_rng(1)
    kinds = np.zeros(len(marks), np.int64)
    for mark, sign in enumerate(MARKS):
        row = np.array(shares[sign or "none"], np.float64)
        own = np.flatnonzero(marks == mark)
        kinds[own] = random.choice(len(SECONDS), size=len(own), p=row / row.sum())
    return np.array(SECONDS)[kinds]


def table(marks: Numbers, capitals: NDArray[np.bool_], true_marks: Numbers, true_capitals: NDArray[np.bool_]) -> str:
    """Precision, recall and F1, a line each."""
    lines = [f"{'':16}precision  recall  F1     in the text"]
    for mark, name in NAMES.items():
        lines.append(_line(name, marks == mark, true_marks == mark))
    lines.append(_line("sentence end", marks >= STOP, true_marks >= STOP))
    lines.append(_line("capital", capitals, true_capitals))
    return "\n".join(lines)


class Trigram:
    """The mark e between words b and c behind a: P(e | a, b) · P(c | b, e), a hidden-event trigram (Stolcke 1996).

    Both are interpolated with the shorter context (weight of five counts). Capitals are those that the word has most
    often within sentences.
    """

    def __init__(self, words: Numbers, marks_and_cases: Numbers, weight: float = 5.0) -> None:
        marks, cases = marks_and_cases & 3, marks_and_cases >> 2
        self.size, self.weight = int(words.max()) + 2, weight
        a, b, c, e = words[:-2], words[1:-1], words[2:], marks[1:-1]
        self.abe, self.ab = _counts((a * self.size + b) * 4 + e), _counts(a * self.size + b)
        self.be, self.b = _counts(b * 4 + e), _counts(b)
        self.bec, self.ec, self.e = _counts((b * 4 + e) * self.size + c), _counts(c * 4 + e), _counts(e)
        self.total = len(b)
        inside = np.append(False, marks[:-1] < STOP)
        capital = np.bincount(words[inside & (cases > 0)], minlength=self.size)
        self.capital = capital * 2 > np.bincount(words[inside], minlength=self.size)

    def read(self, words: Numbers) -> tuple[Numbers, NDArray[np.bool_]]:
        """The marks and capitals of a text."""
        words = np.minimum(words, self.size - 1)
        a, b, c = np.append(0, words[:-1]), words, np.append(words[1:], 0)
        scores = np.stack([self._score(a, b, c, mark) for mark in range(len(MARKS))])
        marks = scores.argmax(axis=0)
        starts = np.append(True, marks[:-1] >= STOP)
        return marks, starts | self.capital[words]

    def _score(self, a: Numbers, b: Numbers, c: Numbers, mark: int) -> NDArray[np.float64]:
        k = self.weight
        e = np.full_like(b, mark)
        usual = (_look(self.e, e) + 0.1) / (self.total + 0.1 * len(MARKS))
        after_b = (_look(self.be, b * 4 + e) + k * usual) / (_look(self.b, b) + k)
        after_ab = (_look(self.abe, (a * self.size + b) * 4 + e) + k * after_b) / (
            _look(self.ab, a * self.size + b) + k
        )
        c_usual = (_look(self.ec, c * 4 + e) + 0.1) / (_look(self.e, e) + 0.1 * self.size)
        c_next = (_look(self.bec, (b * 4 + e) * self.size + c) + k * c_usual) / (_look(self.be, b * 4 + e) + k)
        return np.asarray(np.log(after_ab) + np.log(c_next))


def _counts(keys: Numbers) -> tuple[Numbers, Numbers]:
    found, counts = np.unique(keys, return_counts=True)
    return found, counts


def _look(counts: tuple[Numbers, Numbers], keys: Numbers) -> NDArray[np.float64]:
    known, values = counts
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, values[place], 0).astype(np.float64)


def _line(name: str, found: NDArray[np.bool_], true: NDArray[np.bool_]) -> str:
    both = int((found & true).sum())
    precision, recall = both / max(1, int(found.sum())), both / max(1, int(true.sum()))
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    return f"{name:16}{precision:.3f}      {recall:.3f}   {f1:.3f}  {int(true.sum()):,}"


if __name__ == "__main__":
    with plain_errors():
        main()
