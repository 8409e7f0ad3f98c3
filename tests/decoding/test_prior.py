from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding import BeamDecoder, DecodingConfig
from asr.decoding.beam_search import RAREST, measure_prior, without_prior
from asr.errors import UsageError
from tests.decoding.conftest import random_log_probs
from tests.decoding.reference import EXACT

PIECES = ["<blank>", "▁A", "B", "▁", "A"]


def test_the_prior_is_the_average_of_the_probabilities_over_all_steps():
    first = np.log(np.array([[0.5, 0.5, 0.0], [0.1, 0.9, 0.0]], np.float32) + 1e-30)
    second = np.log(np.array([[0.6, 0.4, 0.0]], np.float32) + 1e-30)
    assert np.exp(measure_prior([first, second])) == pytest.approx([0.4, 0.6, RAREST])
    with pytest.raises(ValueError, match="without speech"):
        measure_prior([np.zeros((0, 3), np.float32)])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), frames=st.integers(1, 5), weight=st.floats(0, 1.5))
def test_texts_are_ranked_as_by_scores_divided_by_the_prior(seed, frames, weight):
    log_probs = random_log_probs(seed, frames, len(PIECES), 2.0)
    prior = tuple(measure_prior([random_log_probs(seed + 1, 50, len(PIECES), 3.0)]).tolist())
    divided = log_probs - weight * np.array(prior)
    divided = (divided - np.log(np.exp(divided).sum(axis=1, keepdims=True))).astype(np.float32)
    config = DecodingConfig(**EXACT, word_score=0.0)
    expected = BeamDecoder(PIECES, config).decode(divided, nbest=10)
    config = DecodingConfig(**EXACT, word_score=0.0, prior=prior, prior_weight=weight)
    found = BeamDecoder(PIECES, config).decode(log_probs, nbest=10)
    assert len(found) == len(expected)
    offset = found[0].score - expected[0].score  # the same for every text
    assert [each.score - offset for each in found] == pytest.approx([each.score for each in expected], abs=1e-3)


def test_the_best_of_a_step_stays_as_high_and_the_input_as_it_was():
    log_probs = random_log_probs(3, 20, len(PIECES), 2.0)
    kept = log_probs.copy()
    prior = np.log(np.array([0.6, 0.1, 0.1, 0.15, 0.05], np.float32))
    scores = without_prior(log_probs, prior, 0.5)
    assert scores.max(axis=1) == pytest.approx(log_probs.max(axis=1), abs=1e-6)
    assert (log_probs == kept).all()
    assert without_prior(log_probs, prior, 0.0) == pytest.approx(log_probs, abs=1e-6)


def test_a_prior_of_other_pieces_is_refused():
    with pytest.raises(UsageError, match="prior is of 2 pieces, the model has 5"):
        BeamDecoder(PIECES, DecodingConfig(prior=(-1.0, -2.0), prior_weight=0.3))
    with pytest.raises(UsageError, match="prior"):
        DecodingConfig(prior=(-1.0, float("nan")))


def test_no_steps_are_no_text():
    config = DecodingConfig(prior=(-1.0,) * 5, prior_weight=0.5)
    assert BeamDecoder(PIECES, config).decode(np.zeros((0, 5), np.float32))[0].text == ""
