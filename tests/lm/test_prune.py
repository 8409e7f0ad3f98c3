"""Entropy pruning: the loss is what the definition says, and the pruned model is still a model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import UsageError
from asr.lm.kneser_ney import train_ngram
from asr.lm.ngram import BEGIN_ID, NgramModel, block_starts
from asr.lm.prune import chain_rule, divergences, prune, prune_to_size
from asr.lm.text import tokenize
from tests.lm.test_kneser_ney import assert_sums_to_one, texts
from tests.lm.test_ngram import ngrams_of

TEXT = ["a b c", "a b d", "a b c", "b c a", "d a b", "c c", "b a c d", "a d"] * 2


def distribution(model: NgramModel, node: int) -> np.ndarray:
    """p(w | context of the node) for every word but `<s>`, by the walk."""
    state = model.state(node)
    return np.exp([model.score(state, word)[0] for word in range(len(model.words)) if word != BEGIN_ID])


def without(model: NgramModel, node: int) -> NgramModel:
    """The model without that one n-gram, through the public road: everything else has infinite weight."""
    only = np.full(len(model.word), np.inf)
    only[node] = -np.inf
    from asr.lm.prune import _kept, _select

    return _select(model, _kept(model, only, 0.0))


def test_the_loss_of_an_ngram_is_the_relative_entropy_that_its_removal_brings() -> None:
    model = train_ngram(tokenize(TEXT), order=2).model
    parent = model.parent
    weight = np.exp(chain_rule(model.log_prob, parent, block_starts(model.counts)))
    loss = divergences(model)
    listed = {ngram: node for ngram, (_, _, node) in ngrams_of(model).items() if len(ngram) == 2}
    for (first, _), node in listed.items():
        smaller = without(model, node)
        assert smaller.counts[1] == model.counts[1] - 1
        full, pruned = distribution(model, parent[node]), distribution(smaller, 1 + first)
        entropy = weight[parent[node]] * float(np.sum(full * np.log(full / pruned)))
        assert loss[node] == pytest.approx(entropy, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(sentences=texts, order=st.integers(2, 4), threshold=st.sampled_from([1e-6, 1e-3, 1e-2, 1.0]))
def test_a_pruned_model_sums_to_one(sentences: list[str], order: int, threshold: float) -> None:
    estimate = train_ngram(tokenize(sentences), order)
    pruned = prune(estimate.model, threshold, estimate.context_log_prob)
    assert_sums_to_one(pruned)
    listed = ngrams_of(pruned)
    assert all(ngram[:-1] in listed and ngram[1:] in listed for ngram in listed if ngram)


def test_nothing_is_lost_at_threshold_zero_and_everything_but_words_at_a_large_one() -> None:
    model = train_ngram(tokenize(TEXT), order=3).model
    same = prune(model, -1 + 1e-9)
    assert same.counts == model.counts
    np.testing.assert_allclose(same.backoff[:6], model.backoff[:6], atol=1e-4)
    assert prune(model, 1e3).counts == [7]


def test_the_largest_model_of_a_size() -> None:
    estimate = train_ngram(tokenize(TEXT), order=3)
    total = sum(estimate.model.counts)
    for size in (total, 25, 15, 8):
        pruned, threshold = prune_to_size(estimate.model, lambda counts, size=size: sum(counts) <= size)
        assert sum(pruned.counts) <= size
        assert math.isfinite(threshold)
        if size < total:
            assert sum(prune(estimate.model, threshold * 0.9).counts) >= sum(pruned.counts)
    with pytest.raises(UsageError, match="vocabulary"):
        prune_to_size(estimate.model, lambda counts: sum(counts) <= 3)


def test_the_context_weights_of_the_training_text() -> None:
    estimate = train_ngram(tokenize(["a b", "a c"]), order=2)
    model = estimate.model
    share = {model.words[w]: math.exp(estimate.context_log_prob[1 + w]) for w in range(1, len(model.words))}
    # of 6 words and sentence ends
    assert share == pytest.approx({"<s>": 2 / 6, "</s>": 2 / 6, "a": 2 / 6, "b": 1 / 6, "c": 1 / 6})
