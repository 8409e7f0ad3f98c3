"""Count the n-grams of a text with a few sorts.

An n-gram of order n is known by two numbers: the rank of its first n - 1 words among the n-grams of order n - 1, and
its last word. Packed into one 64-bit key, all n-grams of an order are sorted at once; the ranks that come out make the
keys of the next order. The lists come out in the order of the trie, and since every position of the text carries the
ranks of the n-grams that end there, prefix and suffix of each n-gram are read off and need no search.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.lm.ngram import BEGIN_ID, Ints

Longs = NDArray[np.int64]


@dataclass
class OrderCounts:
    """All `M` distinct n-grams of one order, sorted by their words from the first on."""

    word: Ints  # (M,) last word
    prefix: Ints  # (M,) rank of the n-gram without its last word among those of the order below
    suffix: Ints  # (M,) rank of the n-gram without its first word, likewise
    count: Longs  # (M,) occurrences in the text
    begins: NDArray[np.bool_]  # (M,) whether its first word is `<s>`


def count_ngrams(ids: Ints, n_words: int, order: int) -> list[OrderCounts]:
    """The n-grams of orders 1 to `order` in a text of word ids (T,), where `<s>` begins each sentence.

    No n-gram reaches over the beginning of a sentence. Needs about 40 bytes of memory for each word at the peak,
    besides 25 bytes for each n-gram that it returns.
    """
    everything = np.arange(n_words, dtype=np.int32)
    nothing = np.zeros(n_words, np.int32)
    unigrams = OrderCounts(everything, nothing, nothing, np.bincount(ids, minlength=n_words), everything == BEGIN_ID)
    orders = [unigrams]
    # `rank[i]` is the rank of the n-gram that ends at the position `position[i]` of the text.
    position, rank = np.arange(len(ids), dtype=np.int32), ids
    for _ in range(2, order + 1):
        shorter = orders[-1]
        rank_at = np.full(len(ids), -1, np.int32)
        rank_at[position] = rank
        # An n-gram ends wherever a shorter one ends just before, unless a sentence begins here.
        position = position[position < len(ids) - 1] + 1
        position = position[ids[position] != BEGIN_ID]
        prefix_at = rank_at[position - 1]
        first, rank, count = _unique(prefix_at.astype(np.int64) * n_words + ids[position])
        example = position[first]
        prefix = prefix_at[first]
        orders.append(OrderCounts(ids[example], prefix, rank_at[example], count, shorter.begins[prefix]))
    return orders


def _unique(keys: Longs) -> tuple[Longs, Ints, Longs]:
    """For the distinct keys in rising order: where each first stands and how often; and the rank of every key.

    (`numpy.unique` does the same with a slower, stable sort.)
    """
    by_key = np.argsort(keys)
    ordered = keys[by_key]
    new = np.empty(len(keys), np.bool_)
    new[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    del ordered
    starts = np.flatnonzero(new)
    rank = np.empty(len(keys), np.int32)
    rank[by_key] = np.cumsum(new, dtype=np.int32) - 1
    return by_key[starts], rank, np.diff(starts, append=len(keys))


def adjusted_counts(orders: list[OrderCounts]) -> list[Longs]:
    """The counts that Kneser-Ney smoothing works on.

    At the highest order, and for n-grams that begin with `<s>` (nothing can stand before it), the occurrences; below,
    the number of different words that stand before the n-gram. `<s>` itself, never predicted, has none.
    """
    adjusted = []
    for own, longer in pairwise(orders):
        preceded = np.bincount(longer.suffix, minlength=len(own.word))
        adjusted.append(np.where(own.begins, own.count, preceded))
    adjusted.append(orders[-1].count.copy())
    adjusted[0][BEGIN_ID] = 0
    return adjusted


def kept_by_cutoffs(orders: list[OrderCounts], cutoffs: list[int]) -> list[NDArray[Any]]:
    """Which n-grams occur more often than the cut-off of their order (orders 2, 3, …; unigrams stay all).

    `cutoffs` must not fall from one order to the next: so the prefix and the suffix of what stays, stay.
    """
    kept: list[NDArray[Any]] = [np.ones(len(orders[0].word), np.bool_)]
    return kept + [own.count > cutoff for own, cutoff in zip(orders[1:], cutoffs, strict=True)]
