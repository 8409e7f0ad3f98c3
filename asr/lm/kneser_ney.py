"""Interpolated modified Kneser-Ney smoothing: from counts to an n-gram model.

Chen and Goodman, "An empirical study of smoothing techniques for language modeling", 1998, in the form of Heafield et
al., "Scalable modified Kneser-Ney language model estimation", ACL 2013. With `c` the adjusted count of an n-gram:

    p(w | h) = (c(h w) - D(c(h w))) / Σ_v c(h v) + γ(h) p(w | h')
    γ(h)     = (what the discounts took from the n-grams that begin with h) / Σ_v c(h v)

The unigrams are interpolated with the uniform distribution over all words but `<s>`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.errors import UsageError
from asr.lm.counts import Longs, OrderCounts, adjusted_counts, count_ngrams, kept_by_cutoffs
from asr.lm.ngram import BEGIN_ID, NgramModel, block_starts, minimal_states
from asr.lm.text import Tokens

# Taken where a text is too small or too odd for its counts of counts to give discounts.
FALLBACK = (0.5, 1.0, 1.5)
NEVER = -99 * math.log(10)  # by custom the log-probability of `<s>`, which is never predicted

Doubles = NDArray[np.float64]
Discounts = tuple[float, float, float]


@dataclass(frozen=True)
class Estimate:
    """A model, with what its training knew and the model itself does not say."""

    model: NgramModel
    discounts: list[Discounts]  # of each order, for counts of 1, 2, and 3 or more
    context_log_prob: Doubles  # (N,) natural log of how often each n-gram stands in the text, as a share of all words


def train_ngram(tokens: Tokens, order: int, cutoffs: list[int] | None = None) -> Estimate:
    """Estimate a model of `order` words from a text.

    `cutoffs`, for orders 2, 3, …: n-grams that occur so often or less are left out, and what they had goes to the
    back-off of their context. Raises `UsageError` when the cut-offs are too many, too few or falling.
    """
    cutoffs = cutoffs if cutoffs is not None else [0] * (order - 1)
    if len(cutoffs) != order - 1 or sorted(cutoffs) != cutoffs:
        raise UsageError(f"cut-offs {cutoffs}: give {order - 1} numbers, for orders 2 to {order}, that do not fall")
    if not len(tokens.ids):
        raise UsageError("the text to train on has no words")
    orders = count_ngrams(tokens.ids, len(tokens.words), order)
    adjusted = adjusted_counts(orders)
    kept = kept_by_cutoffs(orders, cutoffs)
    while not kept[-1].any():  # short sentences or high cut-offs: there is nothing of so many words
        kept.pop()
    discounts = [discounts_of(counts) for counts in adjusted]
    if tokens.unknown:
        discounts[0] = FALLBACK  # the vocabulary limit took away the rare words whose number the formula rests on
    probabilities, backoffs = _estimate(orders, adjusted, kept, discounts)
    return _assemble(tokens, orders, kept, probabilities, backoffs, discounts)


def discounts_of(counts: Longs) -> Discounts:
    """D(1), D(2), D(3+) from the counts of counts (Chen and Goodman's equation 26); `FALLBACK` where they give none."""
    n1, n2, n3, n4 = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].tolist()
    if not (n1 and n2 and n3):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    discounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    valid = all(0 <= discount <= count for count, discount in enumerate(discounts, start=1))
    return discounts if valid else FALLBACK


def _estimate(
    orders: list[OrderCounts], adjusted: list[Longs], kept: list[NDArray[Any]], discounts: list[Discounts]
) -> tuple[list[Doubles], list[Doubles]]:
    """Probabilities of the n-grams of each order, and γ of each as a context."""
    n_words = len(orders[0].word)
    lower = np.full(1, 1 / (n_words - 1))  # the uniform distribution, as if of order 0
    probabilities, backoffs = [], []
    for own, counts, stays, (one, two, more) in zip(orders, adjusted, kept, discounts, strict=False):
        n_contexts = len(lower)
        taken = np.where(stays, np.array([0.0, one, two, more])[np.minimum(counts, 3)], counts)
        total = np.bincount(own.prefix, counts, n_contexts)
        total[total == 0] = 1
        gamma = np.bincount(own.prefix, taken, n_contexts) / total
        probability = (counts - taken) / total[own.prefix] + gamma[own.prefix] * lower[own.suffix]
        probabilities.append(probability)
        backoffs.append(gamma)
        lower = probability
    return probabilities, backoffs[1:]


def _assemble(
    tokens: Tokens,
    orders: list[OrderCounts],
    kept: list[NDArray[Any]],
    probabilities: list[Doubles],
    gammas: list[Doubles],
    discounts: list[Discounts],
) -> Estimate:
    """Put the kept n-grams into the arrays of the trie."""
    starts = block_starts([int(np.sum(stays)) for stays in kept])
    total = starts[-1]
    word = np.full(total, -1, np.int32)
    log_prob, backoff = np.zeros(total, np.float32), np.zeros(total, np.float32)
    parent, suffix = np.zeros(total, np.int32), np.zeros(total, np.int32)
    occurrences = np.zeros(total)
    node_above = np.zeros(1, np.int32)
    for index, (own, stays) in enumerate(zip(orders, kept, strict=False)):
        block = slice(starts[index + 1], starts[index + 2])
        word[block] = own.word[stays]
        log_prob[block] = np.log(np.maximum(probabilities[index][stays], 1e-300))
        parent[block] = node_above[own.prefix[stays] if index else 0]
        suffix[block] = node_above[own.suffix[stays] if index else 0]
        occurrences[block] = own.count[stays]
        node_above = (block.start + np.cumsum(stays) - 1).astype(np.int32)
        if index + 1 < len(kept):
            # A context that no kept n-gram begins with backs off at no cost.
            contexts = np.bincount(orders[index + 1].prefix, minlength=len(stays)) > 0
            gamma = np.where(contexts, gammas[index], 1.0)[stays]
            backoff[block] = np.log(np.maximum(gamma, 1e-300))
    log_prob[1 + BEGIN_ID] = NEVER
    first_child = (np.searchsorted(parent[1:], np.arange(total + 1)) + 1).astype(np.int32)
    model = NgramModel(
        order=len(kept),
        words=tokens.words,
        word=word,
        log_prob=log_prob,
        backoff=backoff,
        first_child=first_child,
        suffix=suffix,
        state=minimal_states(starts, backoff, first_child, suffix),
    )
    occurrences[0] = np.sum(tokens.ids != BEGIN_ID)
    with np.errstate(divide="ignore"):
        context_log_prob = np.log(occurrences / occurrences[0])
    return Estimate(model, discounts, context_log_prob)
