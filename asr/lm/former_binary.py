"""Former binary forms of an n-gram model, read only.

The second one deflates its code rows, and its numbers as four rows of bytes, lowest first, without those that are all
zeros. The first one has places in place of gaps, numbers of one width, and deflates nothing.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asr.lm.ngram import Floats, Ints, NgramModel, block_starts

if TYPE_CHECKING:
    from asr.lm.unpacking import Parts

FIRST, SECOND = b"ASR-NGRAM 1\n", b"ASR-NGRAM 2\n"
FORMER_MAGIC = (FIRST, SECOND)


def unpack_former(parts: Parts, counts: list[int], magic: bytes) -> NgramModel:
    """The model of `counts` n-grams, from a file that began with `magic`. Raises as `unpack_parts`."""
    from asr.lm.ans import COMPILER
    from asr.lm.unpacking import place_by_gaps, set_children, unigram_trie, unpack_words

    COMPILER.announce()
    starts, highest = block_starts(counts), len(counts)
    word, first_child, suffix = unigram_trie(starts)
    log_prob, backoff = np.zeros(len(word), np.float32), np.zeros(len(word), np.float32)
    for order, count in enumerate(counts, start=1):
        above, start, end = starts[order - 1 : order + 2]
        _floats(parts, f"log_prob{order}", log_prob[start:end])
        if order > 1:
            sizes = np.diff(first_child[above : start + 1])
            gaps = _numbers(parts, f"gap{order}", count) if magic == SECOND else _place_gaps(parts, order, sizes)
            if not place_by_gaps(gaps, above, start, first_child, suffix, word):
                raise ValueError("a place that is not there")
        if order < highest:
            _floats(parts, f"backoff{order}", backoff[start:end])
            name = f"children{order}"
            children = _numbers(parts, name, count) if magic == SECOND else _wide_numbers(parts, name, count)
            set_children(children, order, starts, first_child)
    return NgramModel(highest, unpack_words(parts, counts[0]), word, log_prob, backoff, first_child, suffix)


def _floats(parts: Parts, name: str, out: Floats) -> None:
    if f"{name}.book" not in parts:
        out[:] = np.frombuffer(parts[name], "<f4", len(out))
        return
    book = np.frombuffer(parts[f"{name}.book"], "<f4").astype(np.float32)
    codes = zlib.decompress(parts[f"{name}.codes"]) if f"{name}.codes" in parts else parts[name]
    np.take(book, np.frombuffer(codes, np.uint8, len(out)), out=out, mode="clip")


def _numbers(parts: Parts, name: str, count: int) -> Ints:
    """Whole numbers of four rows of bytes."""
    values = np.zeros((count, 4), np.uint8)
    for place in range(4):
        if (row := f"{name}.{place}") in parts:
            values[:, place] = np.frombuffer(zlib.decompress(parts[row]), np.uint8)
    return values.view("<i4")[:, 0]


def _wide_numbers(parts: Parts, name: str, count: int) -> NDArray[Any]:
    """Whole numbers of one width, 1 to 4 bytes; the larger ones stand in a list."""
    width = next(width for width in range(1, 5) if f"{name}.{width}" in parts)
    rows = np.zeros((count, 4), np.uint8)
    rows[:, :width] = np.frombuffer(parts[f"{name}.{width}"], np.uint8).reshape(count, width)
    values = rows.view("<i4")[:, 0]
    large, exact = np.frombuffer(parts[f"{name}.large"], "<u4").reshape(2, -1)
    values[large] = exact
    return values


def _place_gaps(parts: Parts, order: int, sizes: Ints) -> Ints:
    """Of each place how many are passed over since the sibling before; `sizes` are the siblings of each parent."""
    place = _wide_numbers(parts, f"place{order}", int(sizes.sum()))
    gaps = place.copy()
    gaps[1:] -= place[:-1] + 1
    begins = (np.cumsum(sizes) - sizes)[sizes > 0]
    gaps[begins] = place[begins]
    return np.asarray(gaps)
