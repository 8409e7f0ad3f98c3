"""Interpolation: what the formula says, for words that any model lists, and weights that are best."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import UsageError
from asr.lm.interpolate import fit_weights, interpolate, word_scores
from asr.lm.kneser_ney import Estimate, train_ngram
from asr.lm.ngram import BEGIN_ID, END_ID
from asr.lm.perplexity import measure
from asr.lm.text import tokenize
from tests.lm.test_kneser_ney import assert_sums_to_one
from tests.lm.test_ngram import ngrams_of

WORDS = ["<unk>", "<s>", "</s>", "a", "b", "c", "d"]
texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=8).map(" ".join), min_size=1, max_size=9)


def estimate(sentences: list[str], order: int) -> Estimate:
    return train_ngram(tokenize(sentences, words=WORDS), order)


@settings(max_examples=30, deadline=None)
@given(first=texts, second=texts, orders=st.tuples(st.integers(1, 3), st.integers(1, 3)), weight=st.floats(0.01, 0.99))
def test_every_listed_ngram_is_what_the_formula_says(
    first: list[str], second: list[str], orders: tuple[int, int], weight: float
) -> None:
    parts = [estimate(first, orders[0]), estimate(second, orders[1])]
    weights = [weight, 1 - weight]
    model, context = interpolate([part.model for part in parts], weights, [part.context_log_prob for part in parts])
    assert_sums_to_one(model)
    listed = ngrams_of(model)
    assert set(listed) == set(ngrams_of(parts[0].model)) | set(ngrams_of(parts[1].model))
    for ngram, (log_prob, _, node) in listed.items():
        if not ngram or ngram[-1] == BEGIN_ID:
            continue
        spoken = contexts = occurs = 0.0
        for part, share in zip(parts, weights, strict=True):
            state, context_prob = 0, share
            for index in ngram[:-1]:  # the beginning of a sentence is as likely as its end
                context_prob *= math.exp(part.model.score(state, END_ID if index == BEGIN_ID else index)[0])
                state = part.model.score(state, index)[1]
            contexts += context_prob
            spoken += context_prob * math.exp(part.model.score(state, ngram[-1])[0])
            own = {other: place for other, (_, _, place) in ngrams_of(part.model).items()}
            occurs += share * math.exp(part.context_log_prob[own[ngram]]) if ngram in own else 0.0
        assert log_prob == pytest.approx(math.log(spoken / contexts), abs=1e-4), ngram
        assert math.exp(context[node]) == pytest.approx(occurs, abs=1e-9)


def test_the_fitted_weights_are_best() -> None:
    parts = [estimate(["a b a b", "a b", "a a b"] * 4, 2), estimate(["c d", "d c d c", "c c"] * 4, 2)]
    text = ["a b a", "c d", "a b", "a b b"]
    scores = np.stack([word_scores(part.model, text) for part in parts])
    best = fit_weights(scores)
    assert sum(best) == pytest.approx(1)
    assert 0.5 < best[0] < 0.95

    def log_likelihood(weight: float) -> float:
        return float(np.sum(np.log(weight * np.exp(scores[0]) + (1 - weight) * np.exp(scores[1]))))

    assert log_likelihood(best[0]) >= max(log_likelihood(best[0] + step) for step in (-0.01, 0.01))
    models, contexts = [part.model for part in parts], [part.context_log_prob for part in parts]
    mixed = interpolate(models, best, contexts)[0]
    assert measure(mixed, text).perplexity < min(measure(model, text).perplexity for model in models)


@pytest.mark.parametrize("weights", [[0.5], [0.7, 0.7], [1.5, -0.5]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    part = estimate(["a b"], 2)
    with pytest.raises(UsageError, match="weights"):
        interpolate([part.model, part.model], weights, [part.context_log_prob] * 2)


def test_other_words_are_refused() -> None:
    parts = [train_ngram(tokenize([text]), 2) for text in ("a b", "a c")]
    with pytest.raises(UsageError, match="different vocabularies"):
        interpolate([part.model for part in parts], [0.5, 0.5], [part.context_log_prob for part in parts])
