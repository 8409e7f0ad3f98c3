"""Sampling draws from what the model says."""

from __future__ import annotations

import numpy as np

from asr.lm.kneser_ney import train_ngram
from asr.lm.ngram import NgramModel
from asr.lm.sample import distribution, sample_sentence
from asr.lm.text import tokenize

SENTENCES = ["the lamp burned low", "the wind went round the house", "she closed the door", "the door closed"]


def model() -> NgramModel:
    return train_ngram(tokenize(SENTENCES), order=3).model


def test_the_distribution_is_that_of_the_walk() -> None:
    lm = model()
    for state in range(len(lm.word)):
        if lm.state(state) == state:
            walked = [lm.score(state, word)[0] for word in range(len(lm.words))]
            np.testing.assert_allclose(distribution(lm, state), walked, atol=1e-6)


def test_the_same_seed_writes_the_same() -> None:
    lm = model()
    first, second, other = (sample_sentence(lm, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == second != other


def test_a_cold_model_writes_the_likeliest_sentence() -> None:
    lm = model()
    assert sample_sentence(lm, np.random.default_rng(0), temperature=1e-4).startswith("the ")
    assert set(sample_sentence(lm, np.random.default_rng(3)).split()) <= set(lm.words[3:])
