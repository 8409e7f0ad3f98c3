"""What must not be learned from: hashes of eight words in a row of the evaluation speech's texts.

    python recipes/punctuation/held_out.py OUT.npy TEXT…

TEXT is a manifest, or a text with a sentence a line. The hashes tell which books hold a text without the text itself.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.cli.main import plain_errors
from asr.io import write_whole
from asr.lm.text import read_sentences
from asr.text.normalize import librispeech

M = 0x9E3779B97F4A7C15
U = np.uint64


def main() -> None:
    """Write the sorted hashes of all texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("texts", type=Path, nargs="+")
    options = parser.parse_args()
    sentences = [sentence.split() for path in options.texts for sentence in read_sentences(path, librispeech)]
    hashes = {word: word_hash(word) for sentence in sentences for word in sentence}
    grams = [eight_grams(np.array([hashes[word] for word in sentence], U)) for sentence in sentences]
    distinct = np.unique(np.concatenate([np.zeros(0, U), *grams]))
    with write_whole(options.output, "wb") as file:
        np.save(file, distinct)
    print(f"{len(sentences):,} sentences, {len(distinct):,} different eight-grams")


def word_hash(word: str) -> int:
    """BLAKE2b, eight bytes, of the letters of an upper-case word."""
    return int.from_bytes(hashlib.blake2b(word.replace("'", "").encode(), digest_size=8).digest(), "little")


def eight_grams(hashes: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hashes of eight words in a row from those of words: a polynomial in M, finished by two shifts and a product."""
    if len(hashes) < 8:
        return np.zeros(0, U)
    count = len(hashes) - 7
    total = hashes[:count].copy()
    for offset in range(1, 8):
        total = total * U(M) + hashes[offset : offset + count]
    total = (total ^ (total >> U(29))) * U(0xBF58476D1CE4E5B9)
    return np.asarray(total ^ (total >> U(32)), U)


if __name__ == "__main__":
    with plain_errors():
        main()
