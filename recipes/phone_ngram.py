"""Count the phone n-gram of CTC-CRF: `phone_ngram.py TEXT... -o FILE --lexicon FOLDER [--order 3] [--every N]`.

The texts (plain, .gz, .bz2, or manifests) become phones by the lexicon of a model folder, each word as it is mostly
pronounced; sentences with a word that it does not list are left out. 200,000 sentences are plenty: `--every 8` takes
each eighth.

Each order is smoothed with pseudo-counts of the next lower, down to the uniform distribution,

    p(q | i, j) = (c(i, j, q) + d · p(q | j)) / (c(i, j) + d).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.cli.main import plain_errors
from asr.errors import UsageError
from asr.lexicon import Lexicon, load_lexicon
from asr.lexicon.phones import VOCABULARY
from asr.lm.text import read_sentences
from asr.model.crf import Doubles, PhoneNgram
from asr.text.normalize import get_normalizer

PSEUDO_COUNTS = 5.0


def phones_of(lexicon: Lexicon, text: Path, every: int) -> Iterator[list[int]]:
    """The phone ids of each `every`-th sentence of a text, if the lexicon lists all of its words."""
    for number, sentence in enumerate(read_sentences(text, get_normalizer("librispeech"))):
        words = sentence.split()
        if number % every == 0 and words and all(word in lexicon for word in words):
            yield lexicon.encode(sentence)


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


def main(arguments: Sequence[str] | None = None) -> None:
    """The script; its errors are printed as the command line prints them."""
    parser = argparse.ArgumentParser(description="Count the phone n-gram of CTC-CRF.")
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--lexicon", type=Path, required=True, help="a folder that holds lexicon/")
    parser.add_argument("--order", type=int, choices=(1, 2, 3), default=3)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth sentence")
    parser.add_argument("--pseudo-counts", type=float, default=PSEUDO_COUNTS)
    asked = parser.parse_args(arguments)
    lexicon = load_lexicon(asked.lexicon)
    if lexicon is None:
        raise UsageError(f"{asked.lexicon} has no lexicon", "Make one with `asr lexicon build`.")
    counts = np.zeros((len(VOCABULARY),) * 3)
    for text in asked.texts:
        counts += count_phones(phones_of(lexicon, text, asked.every), len(VOCABULARY))
    if not counts.any():
        raise UsageError("no sentence has only words of the lexicon", "Name other texts, or a larger lexicon.")
    ngram = estimate(counts, asked.order, asked.pseudo_counts)
    ngram.save(asked.output)
    entropy = -(counts * np.log(ngram.table)).sum() / counts.sum()
    sentences = counts[:, :, 0].sum()
    print(f"{sentences:,.0f} sentences, {counts.sum():,.0f} phones, boundaries and ends, {entropy:.3f} nats each")


if __name__ == "__main__":
    with plain_errors():
        main()
