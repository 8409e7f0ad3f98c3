"""An n-gram model as the parts of the binary form: codes and whole numbers, each with what foretells it.

How the form makes them small is told in `binary`; `unpacking` reads them.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.lm.ans import bit_length, encode, encode_numbers
from asr.lm.ngram import CONTROL_WORDS, Floats, Ints, NgramModel, block_starts, link
from asr.lm.prune import parents

CODES = 64
LLOYD_ROUNDS = 30
HISTOGRAM_BINS = 4096
LENGTHS = 32
"""More than a whole number has bits."""

Codes = NDArray[np.uint8]
Contexts = NDArray[Any]


def pack_parts(model: NgramModel) -> dict[str, bytes]:
    """The parts of the binary form of `model`, whose words are numbered anew."""
    model = likeliest_first(model)
    parts = {"words": zlib.compress("\n".join(model.words).encode(), 9)}
    log_prob, backoff = np.zeros(len(model.word), np.uint8), np.zeros(len(model.word), np.uint8)
    parent = parents(model)
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
    parent = parents(model)
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
