"""One n-gram model out of several, each of its own kind of text, and how much each shall count.

    p(w | h) = Σ_i λ_i p_i(h) p_i(w | h) / Σ_i λ_i p_i(h)       for every n-gram (h w) that one of the models lists,

and the back-off weights make the rest sum to one. p_i(h), by the chain rule, is how likely the model finds the words
of h, so each kind of text counts most where one talks as it does (Allauzen and Riley, "Bayesian language model
interpolation for mobile speech input", Interspeech 2011). The weights λ are found by expectation maximization (Jelinek
and Mercer 1980), as those by which the models foretell a text best when contexts are disregarded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.errors import UsageError
from asr.lm.ngram import BEGIN_ID, UNKNOWN_ID, Doubles, Floats, Ints, NgramModel, block_starts, link
from asr.lm.perplexity import token_scores
from asr.lm.prune import chain_rule, normalized_backoffs

ROUNDS = 100


def interpolate(
    models: Sequence[NgramModel], weights: Sequence[float], context_log_probs: Sequence[Doubles]
) -> tuple[NgramModel, Doubles]:
    """The interpolation of models of the same words, and the weighted sum of how often each n-gram occurs.

    `context_log_probs`: of each model the natural log of how often its n-grams occur (N,), as `prune` takes it.
    Raises `UsageError` for models of different vocabularies and for weights that do not sum to one.
    """
    if any(model.words != models[0].words for model in models):
        raise UsageError("models of different vocabularies cannot be interpolated", "Train them with the same words.")
    if len(weights) != len(models) or min(weights) < 0 or not np.isclose(sum(weights), 1):
        raise UsageError(f"the weights {list(weights)} of {len(models)} models must be positive and sum to one")
    nodes, starts, word, parent, suffix = _union(models)
    joint, occurs = np.zeros(starts[-1]), np.zeros(starts[-1])
    for model, weight, context, node in zip(models, weights, context_log_probs, nodes, strict=True):
        if weight:
            log_prob = _log_probs(model, node, parent, suffix, starts)
            joint += weight * np.exp(chain_rule(log_prob, parent, starts))
            occurs[node] += weight * np.exp(context)
    with np.errstate(divide="ignore"):
        log_joint, occurs = np.log(joint), np.log(occurs)
    del joint
    conditional = (log_joint - log_joint[parent]).astype(np.float32)
    conditional[1 + BEGIN_ID] = models[0].log_prob[1 + BEGIN_ID]
    backoff = normalized_backoffs(conditional, parent, suffix, starts)
    return link(models[0].words, starts, word, conditional, backoff, parent, suffix), occurs


def fit_weights(scores: NDArray[Any]) -> list[float]:
    """The weights (K,) by which K models foretell best; `scores` (K, T) are natural-log probabilities of T words."""
    weights = np.full(len(scores), 1 / len(scores))
    probabilities = np.exp(scores - scores.max(0))
    for _ in range(ROUNDS):
        shares = weights[:, None] * probabilities
        weights = np.mean(shares / shares.sum(0), axis=1)
    return [float(weight) for weight in weights]


def word_scores(model: NgramModel, sentences: Iterable[str]) -> Doubles:
    """Natural-log probability (T,) of each known word and sentence end of a text."""
    predicted, scores = token_scores(model, sentences)
    return np.asarray(scores[predicted != UNKNOWN_ID])


def _union(models: Sequence[NgramModel]) -> tuple[list[Ints], list[int], Ints, Ints, Ints]:
    """Where each model's nodes are in a trie of all n-grams; its blocks, last words, parents and suffixes."""
    nodes = [np.zeros(len(model.word), np.int32) for model in models]
    n_words = len(models[0].words)
    counts: list[int] = []
    words, all_parents, suffixes = [np.full(1, -1, np.int32)], [np.zeros(1, np.int32)], [np.zeros(1, np.int32)]
    begin = 1
    for order in range(1, max(model.order for model in models) + 1):
        listing = [
            (model, model.blocks[order], node)
            for model, node in zip(models, nodes, strict=True)
            if order <= model.order
        ]
        keys = [
            node[model.parent[block]].astype(np.int64) * n_words + model.word[block] for model, block, node in listing
        ]
        union = np.unique(np.concatenate(keys))
        suffix = np.zeros(len(union), np.int32)
        for (model, block, node), own in zip(listing, keys, strict=True):
            place = np.searchsorted(union, own)
            node[block] = begin + place
            suffix[place] = node[model.suffix[block]]
        parent, word = np.divmod(union, n_words)
        words.append(word.astype(np.int32))
        all_parents.append(parent.astype(np.int32))
        suffixes.append(suffix)
        counts.append(len(union))
        begin += len(union)
    return nodes, block_starts(counts), np.concatenate(words), np.concatenate(all_parents), np.concatenate(suffixes)


def _log_probs(model: NgramModel, node: Ints, parent: Ints, suffix: Ints, starts: list[int]) -> Floats:
    """What `model`, whose nodes are at `node`, says of every n-gram of the union (N,)."""
    backoff = np.zeros(len(parent), np.float32)
    backoff[node] = model.backoff
    listed = np.zeros(len(parent), np.bool_)
    listed[node] = True
    log_prob = np.zeros(len(parent), np.float32)
    log_prob[node] = model.log_prob
    for start, end in pairwise(starts[2:]):
        missing = start + np.flatnonzero(~listed[start:end])
        log_prob[missing] = backoff[parent[missing]] + log_prob[suffix[missing]]
    return log_prob
