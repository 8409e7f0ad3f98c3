"""The parts of the binary form as the flat arrays of an n-gram model, in compiled passes.

Each pass goes through an order once, from its first n-gram to its last. `packing` writes the parts.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.lm.ans import COMPILER, LOWEST, Source, bit_length, check_end, decode, first_state, open_source, take_number
from asr.lm.ngram import Floats, Ints, NgramModel, block_starts
from asr.lm.packing import LENGTHS, Codes, Contexts, log_prob_contexts

Array = NDArray[Any]
Parts = Mapping[str, bytes | memoryview]
Lengths = NDArray[np.uint8]
"""The bits of 0, 1, 2, … up to the number of words."""


def unpack_parts(parts: Parts, counts: Sequence[int]) -> NgramModel:
    """The model of `counts` n-grams of orders 1, 2, …

    Raises `KeyError`, `ValueError`, `struct.error` or `zlib.error` for what `pack_parts` did not make.
    """
    starts = block_starts(counts)
    word, first_child, suffix = unigram_trie(starts)
    lengths = bit_length(np.arange(counts[0] + 1)).astype(np.uint8)
    weights = _Weights(parts, starts, first_child, suffix, lengths)
    # How the n-grams hang together is a chain from order to order; what they weigh is unpacked beside it.
    with ThreadPoolExecutor(1) as beside:
        done = []
        for order in range(1, len(counts) + 1):
            if order > 1:
                above, start = starts[order - 1 : order + 1]
                gaps = open_source(parts[f"gap{order}"])
                check_end(place_children(gaps, lengths, above, start, first_child, suffix, word), gaps)
            if order < len(counts):
                _unpack_children(parts, order, starts, first_child, suffix, lengths)
            done.append(beside.submit(weights.unpack, order))
        for one in done:
            one.result()
    words = unpack_words(parts, counts[0])
    return NgramModel(len(counts), words, word, weights.log_prob, weights.backoff, first_child, suffix)


def unigram_trie(starts: Sequence[int]) -> tuple[Ints, Ints, Ints]:
    """`word`, `first_child` and `suffix` of a model whose orders start there, filled as far as its unigrams are."""
    total = starts[-1]
    word = np.full(total, -1, np.int32)
    word[1 : starts[2]] = np.arange(starts[2] - 1)
    first_child = np.full(starts[-2] + 1, total, np.int32)
    first_child[0] = 1
    return word, first_child, np.zeros(total, np.int32)


def set_children(children: Ints, order: int, starts: Sequence[int], first_child: Ints) -> None:
    """Fill `first_child` of an order, and one further. Raises `ValueError` for other numbers than there are n-grams."""
    start, end = starts[order : order + 2]
    first_child[start] = end
    first_child[start + 1 : end + 1] = end + np.cumsum(children, dtype=np.int64)
    if children.min(initial=0) < 0 or first_child[end] != starts[order + 2]:
        raise ValueError("the children are not as many as there are n-grams")


def unpack_words(parts: Parts, count: int) -> list[str]:
    """The words. Raises `ValueError` where they are not `count`."""
    words = zlib.decompress(parts["words"]).decode().split("\n")
    if len(words) != count:
        raise ValueError("the words are not as many as there are unigrams")
    return words


def _unpack_children(
    parts: Parts, order: int, starts: Sequence[int], first_child: Ints, suffix: Ints, lengths: Lengths
) -> None:
    """Fill `first_child` of an order, and one further."""
    above, start, end = starts[order - 1 : order + 2]
    first_child[start] = end
    contexts = lengths[np.diff(first_child[above : start + 1])][suffix[start:end] - above]
    children = np.zeros(end - start, np.int32)
    decode(parts[f"children{order}"], contexts, children, numbers=True)
    set_children(children, order, starts, first_child)


class _Weights:
    """Log-probabilities and back-offs, unpacked order by order."""

    def __init__(self, parts: Parts, starts: Sequence[int], first_child: Ints, suffix: Ints, lengths: Lengths) -> None:
        total = starts[-1]
        self.log_prob, self.backoff = np.zeros(total, np.float32), np.zeros(total, np.float32)
        self._log_prob, self._backoff = np.zeros(total, np.uint8), np.zeros(total, np.uint8)
        self._parts, self._starts, self._first_child, self._suffix = parts, starts, first_child, suffix
        self._lengths = lengths

    def unpack(self, order: int) -> None:
        """Those of the n-grams of this order, whose places are known."""
        own, above = slice(*self._starts[order : order + 2]), slice(*self._starts[order - 1 : order + 1])
        parents_backoff = np.repeat(self._backoff[above], self._children(above))
        contexts = log_prob_contexts(self._log_prob[self._suffix[own]], parents_backoff)
        self._look_up(f"log_prob{order}", contexts, self._log_prob[own], self.log_prob[own])
        if order < len(self._starts) - 2:
            contexts = self._lengths[self._children(own)]
            self._look_up(f"backoff{order}", contexts, self._backoff[own], self.backoff[own])

    def _children(self, nodes: slice) -> Ints:
        return np.diff(self._first_child[nodes.start : nodes.stop + 1])

    def _look_up(self, name: str, contexts: Contexts, codes: Codes, values: Floats) -> None:
        decode(self._parts[name], contexts, codes)
        book = np.frombuffer(self._parts[f"{name}.book"], "<f4").astype(np.float32)
        np.take(book, codes, out=values, mode="clip")


@COMPILER.kernel
def place_children(
    gaps: Source, bit_length: Array, parents: int, start: int, first_child: Array, suffix: Array, word: Array
) -> int:
    """Fill `suffix` and `word` of the nodes from `start` on, the children of the nodes from `parents` on.

    The numbers are the gaps between the places of siblings among the children of their parent's suffix. Returns where
    the stream ended, -1 where it did not end well.
    """
    state, position = first_state(gaps[0])
    node = start
    for parent in range(parents, start):
        first = first_child[suffix[parent]]
        left = first_child[suffix[parent] + 1] - first
        passed = 0
        for to_come in range(first_child[parent + 1] - first_child[parent], 0, -1):
            context = LENGTHS * (bit_length[left] - bit_length[to_come]) + bit_length[passed]
            if context >= len(gaps[1]):
                return -1
            gap, state, position = take_number(gaps, context, state, position)
            if gap > left - to_come:
                return -1
            suffix[node] = first + passed + gap
            word[node] = word[first + passed + gap]
            passed += gap + 1
            left -= gap + 1
            node += 1
    return position if state == LOWEST else -1


@COMPILER.kernel
def place_by_gaps(gaps: Array, parents: int, start: int, first_child: Array, suffix: Array, word: Array) -> bool:
    """The same with the gaps at hand; returns whether all places are there."""
    node = start
    for parent in range(parents, start):
        child, end = first_child[suffix[parent]] - 1, first_child[suffix[parent] + 1]
        for _ in range(first_child[parent + 1] - first_child[parent]):
            gap = gaps[node - start]
            if gap < 0 or gap >= end - child - 1:
                return False
            child += gap + 1
            suffix[node] = child
            word[node] = word[child]
            node += 1
    return True
