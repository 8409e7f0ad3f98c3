"""Entropy pruning: leave out the n-grams that the model misses least.

Stolcke, "Entropy-based pruning of backoff language models", 1998: removing the n-gram (h w) raises the relative
entropy between the pruned and the full model by

    D(h w) = -p(h) { p(w|h) [log p(w|h') + log α' - log p(w|h)] + (log α' - log α) (1 - Σ_v p(v|h)) }

where the sum goes over the listed n-grams (h v), α = (1 - Σ_v p(v|h)) / (1 - Σ_v p(v|h')) is the back-off weight of
h, and α' the weight after (h w) is gone. The perplexity rises by the factor exp(D).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.errors import UsageError
from asr.lm.ngram import BEGIN_ID, END_ID, Doubles, Ints, NgramModel, block_starts, link

TINY = 1e-12
BISECTIONS = 18


def prune(model: NgramModel, threshold: float, context_log_prob: Doubles | None = None) -> NgramModel:
    """Leave out every n-gram whose absence raises the perplexity by less than the factor 1 + `threshold`.

    An n-gram stays while a longer one needs it as prefix or suffix. `context_log_prob` (N,) is the natural log of how
    often each node's n-gram occurs; from the training text it serves better than what the model itself says
    (Chelba et al., "Study on interaction between entropy pruning and Kneser-Ney smoothing", 2010).
    """
    return _select(model, _kept(model, divergences(model, context_log_prob), np.log1p(threshold)))


def prune_to_size(
    model: NgramModel, fits: Callable[[list[int]], bool], loss: Doubles | None = None
) -> tuple[NgramModel, float]:
    """The largest pruned model whose numbers of n-grams, order by order, please `fits`; and its threshold.

    `loss` is what `divergences` says of the model. Raises `UsageError` when not even the unigrams fit.
    """
    if fits(model.counts):
        return model, 0.0
    loss = divergences(model) if loss is None else loss
    low, high = -30.0, 0.0  # natural log of the divergence
    if not fits(_counts(model, _kept(model, loss, np.exp(high)))):
        raise UsageError("the vocabulary alone is larger than that size", "Ask for a larger size or fewer words.")
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if fits(_counts(model, _kept(model, loss, np.exp(middle)))) else (middle, high)
    return _select(model, _kept(model, loss, np.exp(high))), float(np.expm1(np.exp(high)))


def divergences(model: NgramModel, context_log_prob: Doubles | None = None) -> Doubles:
    """D (N,) of every n-gram from order 2; infinite for the root and the unigrams, which always stay."""
    longer = slice(model.blocks[1].stop, None)
    history = model.parent[longer]
    log_prob = model.log_prob[longer].astype(np.float64)
    lower_log_prob = model.log_prob[model.suffix[longer]].astype(np.float64)
    prob, lower = np.exp(log_prob), np.exp(lower_log_prob)
    n_nodes = len(model.word)
    left = np.maximum(1 - np.bincount(history, prob, n_nodes), TINY)
    lower_left = np.maximum(1 - np.bincount(history, lower, n_nodes), TINY)
    log_alpha = (np.log(left) - np.log(lower_left))[history]
    log_alpha_after = np.log(left[history] + prob) - np.log(lower_left[history] + lower)
    if context_log_prob is None:
        context_log_prob = chain_rule(model.log_prob, model.parent, block_starts(model.counts))
    change = prob * (lower_log_prob + log_alpha_after - log_prob) + (log_alpha_after - log_alpha) * left[history]
    result = np.full(n_nodes, np.inf)
    result[longer] = -np.exp(context_log_prob[history]) * change
    return result


def chain_rule(log_prob: NDArray[Any], parent: Ints, starts: Sequence[int]) -> Doubles:
    """Natural log of the probability of each n-gram, by the model itself; `<s>` is as frequent as `</s>`."""
    joint = log_prob.astype(np.float64)
    joint[1 + BEGIN_ID] = joint[1 + END_ID]
    for start, end in pairwise(starts[2:]):
        joint[start:end] += joint[parent[start:end]]
    return joint


def _kept(model: NgramModel, loss: Doubles, threshold: float) -> NDArray[np.bool_]:
    kept = loss >= threshold
    for block in reversed(model.blocks[2:]):
        stays = block.start + np.flatnonzero(kept[block])
        kept[model.parent[stays]] = True
        kept[model.suffix[stays]] = True
    return kept


def _counts(model: NgramModel, kept: NDArray[np.bool_]) -> list[int]:
    return [int(np.sum(kept[block])) for block in model.blocks[1:]]


def _select(model: NgramModel, kept: NDArray[np.bool_]) -> NgramModel:
    """The model of the kept nodes alone, with back-off weights that make it sum to one again."""
    counts = _counts(model, kept)
    while len(counts) > 1 and counts[-1] == 0:
        counts.pop()
    starts = block_starts(counts)
    new_node = (np.cumsum(kept) - 1).astype(np.int32)
    parent = new_node[model.parent[kept]]
    suffix = new_node[model.suffix[kept]]
    log_prob = model.log_prob[kept]
    backoff = normalized_backoffs(log_prob, parent, suffix, starts)
    return link(model.words, starts, model.word[kept], log_prob, backoff, parent, suffix)


def normalized_backoffs(log_prob: NDArray[Any], parent: Ints, suffix: Ints, starts: list[int]) -> NDArray[np.float32]:
    """log α (N,) of every context such that its probabilities sum to one; 0 for n-grams that are no context."""
    longer = slice(starts[2], None)
    n_nodes = len(log_prob)
    left = 1 - np.bincount(parent[longer], np.exp(log_prob[longer].astype(np.float64)), n_nodes)
    lower = np.exp(log_prob[suffix[longer]].astype(np.float64))
    lower_left = 1 - np.bincount(parent[longer], lower, n_nodes)
    backoff = np.log(np.maximum(left, TINY)) - np.log(np.maximum(lower_left, TINY))
    has_children = np.bincount(parent[longer], minlength=n_nodes) > 0
    return np.where(has_children, backoff, 0).astype(np.float32)
