"""Build the trie of an `NgramModel` from tables of n-grams, and repair what pruned tables leave out.

The walk of `NgramModel` relies on two things: the prefix and the suffix of every listed n-gram are listed too.
Toolkits prune without keeping this promise, so missing n-grams are added with the probability that backing off gives
them, which changes no score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.lm.ngram import Floats, Ints, NgramModel, block_starts, link


@dataclass
class NgramTable:
    """All n-grams of one order, in any order of rows. `M` n-grams of `n` words."""

    ids: Ints  # (M, n) word ids
    log_prob: Floats  # (M,) natural log; NaN: to be filled in by backing off
    backoff: Floats  # (M,) natural log, 0 where the n-gram is no context


def build_model(words: list[str], tables: Sequence[NgramTable]) -> NgramModel:
    """The trie of `tables` (orders 1, 2, … in turn). The unigram table must hold every word id exactly once.

    A row listed twice counts once (the last one). Missing prefixes and suffixes are added.
    """
    tables = close(list(tables), len(words))
    counts = [len(table.ids) for table in tables]
    starts = block_starts(counts)
    total = starts[-1]
    word = np.full(total, -1, np.int32)
    log_prob, backoff = np.zeros(total, np.float32), np.zeros(total, np.float32)
    parent, suffix = np.zeros(total, np.int32), np.zeros(total, np.int32)
    for order, table in enumerate(tables, start=1):
        block = slice(starts[order], starts[order + 1])
        word[block] = table.ids[:, -1]
        log_prob[block], backoff[block] = table.log_prob, table.backoff
        if order > 1:
            shorter = tables[order - 2].ids
            keys, prefixes, suffixes = row_keys(len(words), shorter, table.ids[:, :-1], table.ids[:, 1:])
            parent[block] = starts[order - 1] + np.searchsorted(keys, prefixes)
            suffix[block] = starts[order - 1] + np.searchsorted(keys, suffixes)
            missing = starts[order] + np.flatnonzero(np.isnan(log_prob[block]))
            log_prob[missing] = backoff[parent[missing]] + log_prob[suffix[missing]]
    backoff[starts[-2] :] = 0
    return link(words, starts, word, log_prob, backoff, parent, suffix)


def close(tables: list[NgramTable], n_words: int) -> list[NgramTable]:
    """Sort every table by its rows, drop repeated rows and add the missing prefixes and suffixes."""
    for order in range(len(tables), 0, -1):
        table = tables[order - 1]
        needed = [table.ids]
        if order < len(tables):
            longer = tables[order].ids
            needed += [longer[:, :-1], longer[:, 1:]]
        own, *others = row_keys(n_words, *needed)
        # Of equal rows `unique` keeps the first, hence the reversal: the last row of a file wins.
        keys, last = np.unique(own[::-1], return_index=True)
        rows = len(own) - 1 - last
        extra_ids = [table.ids[:0]]
        for key, ids in zip(others, needed[1:], strict=True):
            fresh, index = np.unique(key, return_index=True)
            absent = ~np.isin(fresh, keys, assume_unique=True)
            extra_ids.append(ids[index[absent]])
            keys = np.union1d(keys, fresh[absent])
        extra = np.concatenate(extra_ids)
        merged = NgramTable(
            ids=np.concatenate([table.ids[rows], extra]),
            log_prob=np.concatenate([table.log_prob[rows], np.full(len(extra), np.nan, np.float32)]),
            backoff=np.concatenate([table.backoff[rows], np.zeros(len(extra), np.float32)]),
        )
        if len(extra):
            (merged_keys,) = row_keys(n_words, merged.ids)
            by_row = np.argsort(merged_keys)
            merged = NgramTable(merged.ids[by_row], merged.log_prob[by_row], merged.backoff[by_row])
        tables[order - 1] = merged
    return tables


def row_keys(n_words: int, *tables: NDArray[Any]) -> list[NDArray[np.int64]]:
    """One whole number for each row of word ids, sorted like the rows and comparable between the `tables`.

    Rows that do not fit into 63 bits are folded column by column: equal beginnings get the rank that they have among
    all the tables' beginnings.
    """
    bits = max(1, (n_words - 1).bit_length())
    keys = [table[:, 0].astype(np.int64) for table in tables]
    used = bits
    for column in range(1, tables[0].shape[1]):
        if used + bits > 63:
            ranks = np.unique(np.concatenate(keys), return_inverse=True)[1]
            keys = np.split(ranks.astype(np.int64), np.cumsum([len(key) for key in keys])[:-1])
            used = max(1, (len(ranks)).bit_length())
        keys = [(key << bits) | table[:, column] for key, table in zip(keys, tables, strict=True)]
        used += bits
    return keys
