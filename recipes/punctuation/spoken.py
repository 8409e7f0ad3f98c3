"""The marks of transcripts that are read from books, found in the packed text of the books."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from held_out import eight_grams, word_hash
from numpy.typing import NDArray

from asr.training.punctuation_data import Words, read_vocabulary

UNKNOWN = -1
CHUNK = 4_000_000


def find_labels(transcripts: Sequence[Sequence[str]], folders: Sequence[Path]) -> list[NDArray[np.int64]]:
    """Labels (mark + 4 × case) of the words of each transcript, `UNKNOWN` where the books do not tell them.

    A word's label is known where eight words in a row, itself among them, stand in one of the packed texts `folders`,
    whose parent holds their vocabulary.
    """
    labels = [np.full(len(words), UNKNOWN) for words in transcripts]
    grams = [eight_grams(np.array([word_hash(word) for word in words], np.uint64)) for words in transcripts]
    where = [(number, place) for number, own in enumerate(grams) for place in range(len(own))]
    flat = np.concatenate(grams)
    order = np.argsort(flat, kind="stable")
    sought = flat[order]
    for folder in folders:
        text = Words.load(folder)
        hashes = np.array([0, *map(word_hash, read_vocabulary(folder.parent)[1:])], np.uint64)
        for first in range(0, len(text.words), CHUNK):
            found = eight_grams(hashes[text.words[first : first + CHUNK + 7]])
            for place in np.flatnonzero(np.isin(found, sought)).tolist():
                match = np.searchsorted(sought, found[place])
                while match < len(sought) and sought[match] == found[place]:
                    number, at = where[order[match]]
                    labels[number][at : at + 8] = text.labels[first + place : first + place + 8]
                    match += 1
    return labels
