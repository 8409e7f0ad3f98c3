"""The n-gram walk as compiled functions, for kernels that hold the arrays of an `NgramModel`.

These are the methods of `asr.lm.ngram.NgramModel` in a form that numba compiles and other kernels may call.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.lm.ngram import NgramModel
from asr.nn.numba_cache import Compiler

ROOT = 0
COMPILER = Compiler("language models", [Path(__file__)])

Array = NDArray[Any]
Ngrams = tuple[Array, Array, Array, Array, Array]
"""An `NgramModel`'s word, log_prob, backoff, first_child and suffix."""


@COMPILER.inner
def find_child(word: Array, first_child: Array, state: int, sought: int) -> int:
    """The node of the n-gram `state` + word id `sought`, or -1 where it is not listed."""
    if state == ROOT:
        return 1 + sought  # every word has its unigram
    return search_children(word, first_child, state, sought)


@COMPILER.inner
def search_children(key: Array, first_child: Array, node: int, sought: int) -> int:
    """The child of `node` whose `key` is `sought`, or -1; children stand in the order of their keys."""
    low, end = first_child[node], first_child[node + 1]
    high = end
    while low < high:
        middle = (low + high) >> 1
        if key[middle] < sought:
            low = middle + 1
        else:
            high = middle
    return low if low < end and key[low] == sought else -1


@COMPILER.inner
def score(ngrams: Ngrams, state: int, sought: int) -> tuple[float, int]:
    """Natural-log probability of the word id `sought` in `state`, and the state after it."""
    word, log_prob, backoff, first_child, suffix = ngrams
    total = 0.0
    node = find_child(word, first_child, state, sought)
    while node < 0:
        total += backoff[state]
        state = suffix[state]
        node = find_child(word, first_child, state, sought)
    total += log_prob[node]
    contexts = len(first_child) - 1
    while node >= contexts or (first_child[node + 1] == first_child[node] and backoff[node] == 0):
        node = suffix[node]  # see `NgramModel.state`
    return total, node


@COMPILER.kernel
def score_sequence(ngrams: Ngrams, begin: int, end_word: int, ids: Array, scores: Array) -> None:
    """Log-probability of each of the word `ids` (T,) in turn into `scores` (T,), float64.

    After every `end_word` the state is `begin` again.
    """
    state = begin
    for position in range(len(ids)):
        scores[position], state = score(ngrams, state, ids[position])
        if ids[position] == end_word:
            state = begin


def lookup_arrays(model: NgramModel) -> Ngrams:
    """What of `model` the walk needs, read-only: one type for the compiler, mapped from a file or not."""
    word, log_prob, backoff, first_child, suffix = map(
        read_only, (model.word, model.log_prob, model.backoff, model.first_child, model.suffix)
    )
    return word, log_prob, backoff, first_child, suffix


def read_only(array: Array) -> Array:
    """The same numbers, which cannot be written."""
    view: Array = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
