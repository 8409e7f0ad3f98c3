"""Count the n-grams of a text of any length: sorted in parts that fit into memory, merged from files.

An n-gram of order n is known by two numbers: the rank of its first n - 1 words among all n-grams of order n - 1, and
its last word, packed into one 64-bit key. Each part of the text gives a sorted run of distinct keys with their counts;
the runs are merged range by range, and the ranks that come out, one for each position of the text, make the keys of
the next order. So the n-grams come out in the order of the trie, and the suffix of each is read off at any position
where it ends.

Most n-grams of a long text occur once. Those that the cut-offs leave out are never held in memory together: of them
smoothing wants only sums over each context.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.errors import UsageError
from asr.lm.ngram import BEGIN_ID, Ints
from asr.lm.text import Column, Tokens, spans

Longs = NDArray[np.int64]
PART = 1 << 25
"""Positions or n-grams in memory at once, some 40 bytes each."""
MOST_POSITIONS = 2**31 - 1
COUNTS_OF_COUNTS = 6  # of 0, 1, 2, 3, 4 and more


@dataclass
class OrderCounts:
    """The `M` n-grams of one order that the cut-off leaves, sorted by their words, and sums over their `C` contexts.

    A context is an n-gram of the order below that stays; that of all unigrams is the empty one. The sums are over all
    n-grams that begin with it, also over those left out.
    """

    word: Ints  # (M,) last word
    prefix: Ints  # (M,) the n-gram without its last word, as its place in the order below
    suffix: Ints  # (M,) the n-gram without its first word, likewise
    count: Longs  # (M,) occurrences in the text
    adjusted: Longs  # (M,) the count that Kneser-Ney smoothing works on
    total: Longs  # (C,) sum of the adjusted counts
    seen: Longs  # (3, C) how many that stay have an adjusted count of 1, 2, and 3 or more
    left_out: Longs  # (C,) sum of the adjusted counts of those that are left out
    counts_of_counts: Longs  # (6,) how many n-grams, left out or not, have an adjusted count of 0, 1, 2, 3, 4, more


def count_ngrams(tokens: Tokens, order: int, cutoffs: Sequence[int], part: int = PART) -> list[OrderCounts]:
    """The n-grams of orders 1 to `order` in a text.

    No n-gram reaches over the beginning of a sentence. N-grams that occur as often as the cut-off of their order (2,
    3, …) or less are left out; cut-offs must not fall from one order to the next, so that prefix and suffix of what
    stays, stay. The adjusted count is that of occurrences at the highest order and for n-grams that begin with `<s>`
    (nothing can stand before it), and else the number of different words that stand before the n-gram; `<s>` itself,
    never predicted, has none.

    Works with `part` positions or n-grams at once, on temporary files of some 60 bytes for each word; the result does
    not depend on it. Raises `UsageError` for a text of 2^31 words.
    """
    ids, n_words = tokens.ids, len(tokens.words)
    if len(ids) > MOST_POSITIONS:
        raise UsageError(f"a text of {len(ids):,} words is too long", f"At most {MOST_POSITIONS:,} can be counted.")
    with TemporaryDirectory(prefix="asr-counts-") as name:
        folder = Path(name)
        table, nothing = _Table.new(folder, 1), np.zeros(n_words, np.int32)
        _append(table, nothing, np.arange(n_words, dtype=np.int32), nothing, tokens.counts.astype(np.int32))
        place, rank_at = np.zeros(1, np.int32), ids
        orders: list[OrderCounts] = []
        for cutoff in [-1, *cutoffs[: order - 1]]:
            longer, preceded, own = None, None, len(orders) + 1
            if own < order:
                longer, preceded, rank_at = _next_order(ids, rank_at, own + 1, len(table.word), n_words, part, folder)
            counts, place = _reduce(table, place, preceded, own, cutoff, part)
            orders.append(counts)
            _remove(table)
            table = longer or table
    return orders


class _Table(NamedTuple):
    """All distinct n-grams of one order, sorted, in files."""

    prefix: Column  # its rank
    word: Column  # the last one
    suffix: Column  # its rank
    counts: Column

    @classmethod
    def new(cls, folder: Path, order: int) -> _Table:
        return cls(*(Column(folder / f"{order}.{name}") for name in cls._fields))


class _Run(NamedTuple):
    """The distinct n-grams of a part of the text, sorted, in files; `rank` grows while they are merged."""

    key: Column
    counts: Column
    suffix: Column
    rank: Column

    @classmethod
    def new(cls, folder: Path, name: str) -> _Run:
        return cls(
            *(Column(folder / f"{name}.{each}", np.int64 if each == "key" else np.int32) for each in cls._fields)
        )


def _append(columns: Sequence[Column], *values: NDArray[Any]) -> None:
    for column, part in zip(columns, values, strict=True):
        column.append(part)


def _remove(columns: Sequence[Column]) -> None:
    for column in columns:
        column.remove()


def _next_order(
    ids: Ints | Column, rank_at: Ints | Column, order: int, shorter: int, n_words: int, part: int, folder: Path
) -> tuple[_Table, Ints, Column]:
    """The n-grams of `order`, from the `shorter` ones of the order below, whose ranks `rank_at` (T,) has at their ends.

    Also how many different words stand before each of the latter, and the ranks (T,) of the former, -1 where none ends.
    """
    table = _Table.new(folder, order)
    preceded = np.zeros(shorter, np.int32)
    in_run = Column(folder / f"{order}.in_run")
    runs: list[_Run] = []
    for span in spans(len(ids), part):
        runs.append(_Run.new(folder, f"{order}.run{len(runs)}"))
        in_run.append(_fill_run(runs[-1], ids, rank_at, span, n_words))
    for keys, counts, suffixes in _merged(runs, part):
        prefixes, words = np.divmod(keys, n_words)
        _append(table, prefixes.astype(np.int32), words.astype(np.int32), suffixes, counts)
        np.add.at(preceded, suffixes, 1)
    rank = Column(folder / f"{order}.rank")
    for span, run in zip(spans(len(ids), part), runs, strict=True):
        places, ranks = in_run[span], run.rank[:]
        rank.append(np.where(places < 0, -1, ranks[places]) if len(ranks) else places)
        _remove(run)
    in_run.remove()
    if isinstance(rank_at, Column) and rank_at is not ids:
        rank_at.remove()
    return table, preceded, rank


def _fill_run(run: _Run, ids: Ints | Column, rank_at: Ints | Column, span: slice, n_words: int) -> Ints:
    """Find the n-grams that end inside `span`; for each position of it the place in the run, -1 where none ends."""
    words = ids[span]
    # An n-gram ends wherever a shorter one ends just before, unless a sentence begins here.
    before = rank_at[max(0, span.start - 1) : span.stop - 1]
    if span.start == 0:
        before = np.concatenate([np.full(1, -1, np.int32), before])
    here = np.flatnonzero((before >= 0) & (words != BEGIN_ID))
    keys = before[here].astype(np.int64) * n_words + words[here]
    by_key = np.argsort(keys)
    starts, places = _distinct(keys[by_key], by_key)
    example = by_key[starts]
    _append(run[:3], keys[example], np.diff(starts, append=len(keys)), rank_at[span][here[example]])
    in_run = np.full(len(words), -1, np.int32)
    in_run[here] = places
    return in_run


def _distinct(ordered: Longs, by_key: Longs) -> tuple[Longs, Ints]:
    """Where each distinct key of the sorted ones begins, and the place of every key before the sorting among these."""
    new = np.empty(len(ordered), np.bool_)
    new[:1] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    place = np.empty(len(ordered), np.int32)
    place[by_key] = np.cumsum(new, dtype=np.int32) - 1
    return np.flatnonzero(new), place


def _merged(runs: Sequence[_Run], part: int) -> Iterator[tuple[Longs, Ints, Ints]]:
    """Keys, counts and suffixes of the distinct n-grams of all runs, in sorted blocks of about `part` at most.

    Fills the runs' ranks on the way.
    """
    done = 0
    for ranges in _ranges(runs, part):
        keys = np.concatenate([run.key[span] for run, span in zip(runs, ranges, strict=True)])
        by_key = np.argsort(keys)
        starts, place = _distinct(keys[by_key], by_key)
        if not len(starts):
            continue
        counts = np.concatenate([run.counts[span] for run, span in zip(runs, ranges, strict=True)])
        suffixes = np.concatenate([run.suffix[span] for run, span in zip(runs, ranges, strict=True)])
        example = by_key[starts]
        yield keys[example], np.add.reduceat(counts[by_key], starts), suffixes[example]
        place += done
        done += len(starts)
        taken = 0
        for run, span in zip(runs, ranges, strict=True):
            run.rank.append(place[taken : taken + span.stop - span.start])
            taken += span.stop - span.start


def _ranges(runs: Sequence[_Run], part: int) -> Iterator[list[slice]]:
    """Slices of all runs that hold the same range of keys, together about `part` n-grams or less."""
    step = max(1, part // (4 * max(1, len(runs))))
    samples = np.sort(np.concatenate([run.key[:][step - 1 :: step] for run in runs]))
    bounds = samples[max(1, part // (2 * step)) - 1 :: max(1, part // (2 * step))]
    cuts = [np.searchsorted(run.key[:], bounds, side="right") for run in runs]
    edges = [[0, *cut.tolist(), len(run.key)] for run, cut in zip(runs, cuts, strict=True)]
    for index in range(len(bounds) + 1):
        yield [slice(edge[index], edge[index + 1]) for edge in edges]


def _reduce(
    table: _Table, below: Ints, preceded: Ints | None, order: int, cutoff: int, part: int
) -> tuple[OrderCounts, Ints]:
    """What stays of a table, and the place of each of its n-grams in what stays, -1 where it is left out.

    `below` is the same of the order below; `preceded` the number of different words before each n-gram, None at the
    highest order.
    """
    contexts = int(np.sum(below >= 0))
    sums = np.zeros((5, contexts), np.int64)  # total, seen (3), left out
    counts_of_counts = np.zeros(COUNTS_OF_COUNTS, np.int64)
    place = np.empty(len(table.word), np.int32)
    kept: list[list[NDArray[np.integer]]] = [[np.zeros(0, np.int32)] for _ in range(5)]
    done = 0
    for span in spans(len(table.word), part):
        prefix, word, suffix, count = (column[span] for column in table)
        adjusted = count
        if preceded is not None:
            adjusted = np.where(preceded[span] == 0, count, preceded[span])
        if order == 1:
            adjusted = np.where(word == BEGIN_ID, 0, adjusted)
        stays = count > cutoff
        counts_of_counts += np.bincount(np.minimum(adjusted, COUNTS_OF_COUNTS - 1), minlength=COUNTS_OF_COUNTS)
        context = below[prefix]
        listed = context >= 0
        _add(sums, context[listed], adjusted[listed], stays[listed])
        place[span] = np.where(stays, done + np.cumsum(stays) - 1, -1)
        done += int(np.sum(stays))
        for column, values in zip(kept, (word, context, below[suffix], count, adjusted), strict=True):
            column.append(values[stays])
    word, prefix, suffix, count, adjusted = (np.concatenate(column) for column in kept)
    counts = OrderCounts(
        word=word,
        prefix=prefix,
        suffix=suffix,
        count=count.astype(np.int64),
        adjusted=adjusted.astype(np.int64),
        total=sums[0],
        seen=sums[1:4],
        left_out=sums[4],
        counts_of_counts=counts_of_counts,
    )
    return counts, place


def _add(sums: Longs, context: Ints, adjusted: Ints, stays: NDArray[np.bool_]) -> None:
    """Add the n-grams of a block, sorted by context, to the sums over contexts."""
    if not len(context):
        return
    first, last = int(context[0]), int(context[-1]) + 1
    where, size = context - first, last - first
    sums[0, first:last] += np.bincount(where, adjusted, size).astype(np.int64)
    for index in (1, 2, 3):
        alike = stays & (adjusted == index if index < 3 else adjusted >= 3)
        sums[index, first:last] += np.bincount(where[alike], minlength=size)
    sums[4, first:last] += np.bincount(where[~stays], adjusted[~stays], size).astype(np.int64)
