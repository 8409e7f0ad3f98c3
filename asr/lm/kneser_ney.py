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

import numpy as np

from asr.errors import UsageError
from asr.lm.counts import PART, Longs, OrderCounts, count_ngrams
from asr.lm.ngram import BEGIN_ID, Doubles, NgramModel, block_starts, link
from asr.lm.text import Tokens

# Taken where a text is too small or too odd for its counts of counts to give discounts.
FALLBACK = (0.5, 1.0, 1.5)
NEVER = -99 * math.log(10)  # by custom the log-probability of `<s>`, which is never predicted

Discounts = tuple[float, float, float]


@dataclass(frozen=True)
class Estimate:
    """A model, with what its training knew and the model itself does not say."""

    model: NgramModel
    discounts: list[Discounts]  # of each order, for counts of 1, 2, and 3 or more
    context_log_prob: Doubles  # (N,) natural log of how often each n-gram stands in the text, as a share of all words


def train_ngram(tokens: Tokens, order: int, cutoffs: list[int] | None = None, part: int = PART) -> Estimate:
    """Estimate a model of `order` words from a text.

    `cutoffs`, for orders 2, 3, …: n-grams that occur so often or less are left out, and what they had goes to the
    back-off of their context. `part` bounds the memory and changes nothing else, see `count_ngrams`. Raises
    `UsageError` as `check_cutoffs` does, and for a text without words.
    """
    cutoffs = cutoffs if cutoffs is not None else [0] * (order - 1)
    check_cutoffs(cutoffs, order)
    if not len(tokens.ids):
        raise UsageError("the text to train on has no words")
    orders = count_ngrams(tokens, order, cutoffs, part)
    while not len(orders[-1].word):  # short sentences or high cut-offs: there is nothing of so many words
        orders.pop()
    discounts = [discounts_of(own.counts_of_counts) for own in orders]
    if tokens.unknown:
        discounts[0] = FALLBACK  # the vocabulary limit took away the rare words whose number the formula rests on
    return _estimate(tokens, orders, discounts)


def check_cutoffs(cutoffs: list[int], order: int) -> None:
    """Raises `UsageError` for cut-offs that are too many, too few or falling."""
    if len(cutoffs) != order - 1 or sorted(cutoffs) != cutoffs:
        raise UsageError(f"cut-offs {cutoffs}: give {order - 1} numbers, for orders 2 to {order}, that do not fall")


def discounts_of(counts_of_counts: Longs) -> Discounts:
    """D(1), D(2), D(3+) from how many n-grams have a count of 0, 1, 2, 3, 4 … (Chen and Goodman's equation 26).

    `FALLBACK` where they give none.
    """
    n1, n2, n3, n4 = counts_of_counts[1:5].tolist()
    if not (n1 and n2 and n3):
        return FALLBACK
    y = n1 / (n1 + 2 * n2)
    discounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    valid = all(0 <= discount <= count for count, discount in enumerate(discounts, start=1))
    return discounts if valid else FALLBACK


def _estimate(tokens: Tokens, orders: list[OrderCounts], discounts: list[Discounts]) -> Estimate:
    """Probabilities and back-offs (γ; 1 where nothing follows) of the n-grams of each order, in the trie's arrays."""
    starts = block_starts([len(own.word) for own in orders])
    total = starts[-1]
    word = np.full(total, -1, np.int32)
    log_prob, backoff = np.zeros(total, np.float32), np.zeros(total, np.float32)
    parent, suffix = np.zeros(total, np.int32), np.zeros(total, np.int32)
    occurrences = np.zeros(total)
    probability = np.full(1, 1 / (len(orders[0].word) - 1))  # the uniform distribution, as if of order 0
    for index, (own, by_count) in enumerate(zip(orders, discounts, strict=True)):
        above, start, end = starts[index : index + 3]
        seen = np.maximum(own.total, 1)
        taken = np.array(by_count) @ own.seen + own.left_out
        gamma = np.where(own.total > 0, taken / seen, 1.0)
        discount = np.array([0.0, *by_count])[np.minimum(own.adjusted, 3)]
        lower = probability[own.suffix]
        probability = (own.adjusted - discount) / seen[own.prefix] + gamma[own.prefix] * lower
        backoff[above:start] = np.log(np.maximum(gamma, 1e-300))
        word[start:end] = own.word
        log_prob[start:end] = np.log(np.maximum(probability, 1e-300))
        parent[start:end] = above + own.prefix
        suffix[start:end] = above + own.suffix
        occurrences[start:end] = own.count
    backoff[0] = 0
    log_prob[1 + BEGIN_ID] = NEVER
    model = link(tokens.words, starts, word, log_prob, backoff, parent, suffix)
    occurrences[0] = np.sum(orders[0].count) - orders[0].count[BEGIN_ID]
    with np.errstate(divide="ignore"):
        context_log_prob = np.log(occurrences / occurrences[0])
    return Estimate(model, discounts, context_log_prob)
