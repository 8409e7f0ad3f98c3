"""An n-gram model as the parts of the binary form, and back: codes and whole numbers, each with what foretells it.

How the form makes them small is told in `binary`. They are read in compiled passes, each through an order once, from
its first n-gram to its last.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.lm.ans import (
    COMPILER,
    LOWEST,
    Source,
    bit_length,
    check_end,
    decode,
    encode,
    encode_numbers,
    first_state,
    open_source,
    take_number,
)
from asr.lm.ngram import CONTROL_WORDS, Floats, Ints, NgramModel, block_starts, link

CODES = 64
LLOYD_ROUNDS = 30
HISTOGRAM_BINS = 4096
LENGTHS = 32
"""More than a whole number has bits."""

Array = NDArray[Any]
Codes = NDArray[np.uint8]
Contexts = NDArray[Any]
Parts = Mapping[str, bytes | memoryview]


def pack_parts(model: NgramModel) -> dict[str, bytes]:
    """The parts of the binary form of `model`, whose words are numbered anew."""
    model = likeliest_first(model)
    parts = {"words": zlib.compress("\n".join(model.words).encode(), 9)}
    log_prob, backoff = np.zeros(len(model.word), np.uint8), np.zeros(len(model.word), np.uint8)
    parent = model.parent
    children = np.zeros_like(model.word)
    children[: len(model.first_child) - 1] = np.diff(model.first_child)
    for order, block in enumerate(model.blocks[1:], start=1):
        above, suffix = parent[block], model.suffix[block]
        if order > 1:
            place = suffix - model.first_child[model.suffix[above]]
            rank = np.arange(block.start, block.stop) - model.first_child[above]
            parts[f"gap{order}"] = encode_numbers(*_gaps(place, rank, children[above], children[model.suffix[above]]))
        parts[f"log_prob{order}.book"] = _quantize(model.log_prob[block], log_prob[block])
        parts[f"log_prob{order}"] = encode(log_prob[block], log_prob_contexts(log_prob[suffix], backoff[above]))
        if order < model.order:
            parts[f"children{order}"] = encode_numbers(children[block], bit_length(children[suffix]))
            parts[f"backoff{order}.book"] = _quantize(model.backoff[block], backoff[block])
            parts[f"backoff{order}"] = encode(backoff[block], bit_length(children[block]))
    return parts


def likeliest_first(model: NgramModel) -> NgramModel:
    """The same model with its words, but for the special ones, numbered by their unigrams' probability."""
    unigrams = model.log_prob[model.blocks[1]]
    by_rank = np.concatenate(
        [np.arange(CONTROL_WORDS), CONTROL_WORDS + np.argsort(-unigrams[CONTROL_WORDS:], kind="stable")]
    )
    rank = np.argsort(by_rank)
    parent = model.parent
    new, old = np.zeros_like(model.word), np.zeros_like(model.word)
    for block in model.blocks[1:]:
        key = new[parent[block]].astype(np.int64) * len(rank) + rank[model.word[block]]
        old[block] = block.start + np.argsort(key)
        new[old[block]] = np.arange(block.start, block.stop)
    return link(
        [model.words[word] for word in by_rank],
        block_starts(model.counts),
        np.concatenate([[-1], rank[model.word[old[1:]]]]).astype(np.int32),
        model.log_prob[old],
        model.backoff[old],
        new[parent[old]],
        new[model.suffix[old]],
    )


def log_prob_contexts(suffix: Codes, backoff: Codes) -> Contexts:
    """What foretells a log-probability (N,): the code of the suffix's, and that of the context's back-off."""
    return (suffix >> 1).astype(np.int16) * (CODES >> 2) + (backoff >> 2)


def _gaps(place: Ints, rank: Ints, siblings: Ints, places: Ints) -> tuple[Ints, Contexts]:
    """Of each place (N,) how many are passed over since the sibling before; and what foretells it.

    That is how dense the siblings to come lie in what is left, and how much has been passed. Of each n-gram: which one
    of its `siblings` it is, from 0 on, and how many `places` there are.
    """
    passed = np.where(rank == 0, 0, np.roll(place, 1) + 1)
    left, to_come = places - passed, siblings - rank
    return place - passed, LENGTHS * (bit_length(left) - bit_length(to_come)) + bit_length(passed)


def _quantize(values: Floats, codes: Codes) -> bytes:
    """The code book of `values` (N,), whose places in it are written to `codes` (N,)."""
    book = fit_codebook(values)
    codes[:] = np.searchsorted((book[1:] + book[:-1]) / 2, values)
    return book.astype("<f4").tobytes()


def fit_codebook(values: Floats) -> Floats:
    """64 sorted values that stand for all of `values` with little squared error (Lloyd, 1982).

    0 is always among them when `values` holds it: it says that a node is no context, and must stay exact.
    """
    distinct = np.unique(values) if len(values) else np.zeros(1, np.float32)
    if len(distinct) <= CODES:
        return np.pad(distinct, (0, CODES - len(distinct)), mode="edge")
    ordered = np.sort(values[values != 0]).astype(np.float64)
    n_codes = CODES - int(0 in distinct)
    # For the smallest error codes lie as densely as the cube root of the values (Panter and Dite, 1951). Begin so, with
    # both extremes among them, then move each code to the mean of the values nearest to it.
    heights, edges = np.histogram(ordered, HISTOGRAM_BINS)
    share = np.concatenate([[0.0], np.cumsum(np.cbrt(heights))])
    codes = np.interp(np.linspace(0, share[-1], n_codes), share, edges)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(LLOYD_ROUNDS):
        edges = np.concatenate([[0], np.searchsorted(ordered, (codes[1:] + codes[:-1]) / 2), [len(ordered)]])
        members = np.diff(edges)
        codes = np.where(members > 0, np.diff(sums[edges]) / np.maximum(members, 1), codes)
    return np.sort(np.concatenate([codes, np.zeros(CODES - n_codes)])).astype(np.float32)


def unpack_parts(parts: Parts, counts: Sequence[int]) -> NgramModel:
    """The model of `counts` n-grams of orders 1, 2, …

    Raises `KeyError`, `ValueError`, `struct.error` or `zlib.error` for what `pack_parts` did not make.
    """
    starts = block_starts(counts)
    word, first_child, suffix = unigram_trie(starts)
    lengths = bit_length(np.arange(counts[0] + 1)).astype(np.uint8)  # of whatever number of children there may be
    log_prob, backoff = np.zeros(len(word), np.float32), np.zeros(len(word), np.float32)
    log_prob_code, backoff_code = np.zeros(len(word), np.uint8), np.zeros(len(word), np.uint8)

    def look_up(name: str, contexts: Contexts, codes: Codes, values: Floats) -> None:
        decode(parts[name], contexts, codes)
        np.take(_book(parts, name), codes, out=values, mode="clip")

    def unpack_weights(order: int) -> None:
        above, start, end = starts[order - 1 : order + 2]
        parents_backoff = np.repeat(backoff_code[above:start], np.diff(first_child[above : start + 1]))
        contexts = log_prob_contexts(log_prob_code[suffix[start:end]], parents_backoff)
        look_up(f"log_prob{order}", contexts, log_prob_code[start:end], log_prob[start:end])
        if order < len(counts):
            contexts = lengths[np.diff(first_child[start : end + 1])]
            look_up(f"backoff{order}", contexts, backoff_code[start:end], backoff[start:end])

    # How the n-grams hang together is a chain from order to order; what they weigh is unpacked beside it.
    with ThreadPoolExecutor(1) as beside:
        done = []
        for order, count in enumerate(counts, start=1):
            above, start, end = starts[order - 1 : order + 2]
            if order > 1:
                gaps = open_source(parts[f"gap{order}"])
                check_end(place_children(gaps, lengths, above, start, first_child, suffix, word), gaps)
            if order < len(counts):
                contexts = lengths[np.diff(first_child[above : start + 1])][suffix[start:end] - above]
                children = np.zeros(count, np.int32)
                decode(parts[f"children{order}"], contexts, children, numbers=True)
                set_children(children, order, starts, first_child)
            done.append(beside.submit(unpack_weights, order))
        for one in done:
            one.result()
    return NgramModel(len(counts), unpack_words(parts, counts[0]), word, log_prob, backoff, first_child, suffix)


def unigram_trie(starts: Sequence[int]) -> tuple[Ints, Ints, Ints]:
    """`word`, `first_child` and `suffix` of a model whose orders start there, filled as far as its unigrams are."""
    total = starts[-1]
    word = np.full(total, -1, np.int32)
    word[1 : starts[2]] = np.arange(starts[2] - 1)
    first_child = np.full(starts[-2] + 1, total, np.int32)
    first_child[:2] = starts[1:3]
    return word, first_child, np.zeros(total, np.int32)


def set_children(children: Ints, order: int, starts: Sequence[int], first_child: Ints) -> None:
    """Fill `first_child` of an order, and one further. Raises `ValueError` for other numbers than there are n-grams."""
    start, end = starts[order : order + 2]
    first_child[start + 1 : end + 1] = end + np.cumsum(children, dtype=np.int64)
    if children.min(initial=0) < 0 or first_child[end] != starts[order + 2]:
        raise ValueError("the children are not as many as there are n-grams")


def unpack_words(parts: Parts, count: int) -> list[str]:
    """The words. Raises `ValueError` where they are not `count`."""
    words = zlib.decompress(parts["words"]).decode().split("\n")
    if len(words) != count:
        raise ValueError("the words are not as many as there are unigrams")
    return words


def _book(parts: Parts, name: str) -> Floats:
    return np.frombuffer(parts[f"{name}.book"], "<f4").astype(np.float32)


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


def unpack_former(parts: Parts, counts: Sequence[int], deflated: bool) -> NgramModel:
    """The model of a file in one of the two former forms. Raises as `unpack_parts`.

    The second one deflates its code rows, and its numbers as four rows of bytes, lowest first, without those that are
    all zeros. The first one has places in place of gaps, numbers of one width, and deflates nothing.
    """
    starts = block_starts(counts)
    word, first_child, suffix = unigram_trie(starts)
    log_prob, backoff = np.zeros(len(word), np.float32), np.zeros(len(word), np.float32)
    numbers = _deflated_numbers if deflated else _wide_numbers
    for order, count in enumerate(counts, start=1):
        above, start, end = starts[order - 1 : order + 2]
        _former_floats(parts, f"log_prob{order}", log_prob[start:end])
        if order > 1:
            siblings = np.diff(first_child[above : start + 1])
            if deflated:
                passed = np.concatenate([[0], np.cumsum(numbers(parts, f"gap{order}", count).astype(np.int64) + 1)])
                place = passed[1:] - 1 - passed[np.repeat(np.cumsum(siblings) - siblings, siblings)]
            else:
                place = numbers(parts, f"place{order}", count)
            shorter = np.repeat(suffix[above:start], siblings)
            if (place < 0).any() or (place >= first_child[shorter + 1] - first_child[shorter]).any():
                raise ValueError("a place that is not there")
            suffix[start:end] = first_child[shorter] + place
            word[start:end] = word[suffix[start:end]]
        if order < len(counts):
            _former_floats(parts, f"backoff{order}", backoff[start:end])
            set_children(numbers(parts, f"children{order}", count), order, starts, first_child)
    return NgramModel(len(counts), unpack_words(parts, counts[0]), word, log_prob, backoff, first_child, suffix)


def _former_floats(parts: Parts, name: str, out: Floats) -> None:
    if f"{name}.book" not in parts:
        out[:] = np.frombuffer(parts[name], "<f4", len(out))
        return
    codes = zlib.decompress(parts[f"{name}.codes"]) if f"{name}.codes" in parts else parts[name]
    np.take(_book(parts, name), np.frombuffer(codes, np.uint8, len(out)), out=out, mode="clip")


def _deflated_numbers(parts: Parts, name: str, count: int) -> Ints:
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
