from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from asr.decoding import BeamDecoder, DecodingConfig
from asr.errors import DataError
from asr.evaluation.decode import Example
from asr.evaluation.tuning import describe_tuning, draw_heat_map, prior_of, settings_count, tune, word_error_rate
from asr.lm.load import load_language_model
from tests.benchmarks.synthetic import CHARACTERS, spell_out, synthesize
from tests.decoding.conftest import ARPA

SENTENCES = ["AB BA A B", "A B BAB", "BA A B A", "AB AB A", "B A B A B"]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory) -> BeamDecoder:
    path = tmp_path_factory.mktemp("lm") / "tiny.arpa"
    path.write_text(ARPA, encoding="utf-8")
    return BeamDecoder(CHARACTERS, DecodingConfig(beam_size=20), load_language_model(path))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    generator = np.random.default_rng(7)
    emissions = [synthesize(spell_out(text, CHARACTERS), len(CHARACTERS), generator, clarity=4.0) for text in SENTENCES]
    return [Example(text, (matrix,)) for text, matrix in zip(SENTENCES, emissions, strict=True)]


def test_the_best_of_the_grid_is_found_and_reproduces_its_rate(examples, decoder):
    tried = []
    tuning = tune(examples, decoder, weights=(0.0, 0.5, 1.0), bonuses=(-4.0, 0.0, 2.0), on_progress=tried.append)
    assert tuning.wer.shape == (3, 3)
    assert tuning.best_wer <= tuning.wer.min() < tuning.greedy_wer
    assert word_error_rate(examples, decoder.with_config(tuning.best)) == tuning.best_wer
    assert tuning.best.beam_size == decoder.config.beam_size
    assert 9 < sum(tried) <= settings_count((0.0, 0.5, 1.0), (-4.0, 0.0, 2.0))
    for row, weight in enumerate(tuning.weights):
        config = DecodingConfig(beam_size=20, lm_weight=weight, word_score=2.0)
        assert word_error_rate(examples, decoder.with_config(config)) == tuning.wer[row, 2]
    assert describe_tuning(tuning)["best_wer"] == tuning.best_wer


def test_pieces_of_one_utterance_are_read_one_after_the_other(decoder):
    generator = np.random.default_rng(7)
    chunks = [
        synthesize(spell_out(text, CHARACTERS), len(CHARACTERS), generator, clarity=20.0) for text in ("AB BA", "BAB")
    ]
    assert word_error_rate([Example("AB BA BAB", tuple(chunks))], None, vocabulary=CHARACTERS) == 0.0
    assert word_error_rate([Example("AB BA BAB", tuple(chunks))], decoder) == 0.0
    unreadable = Example("A B C", ())
    assert word_error_rate([Example("AB BA BAB", tuple(chunks)), unreadable], decoder) == 0.5


def test_a_listener_who_expects_too_much_is_corrected(examples, decoder):
    """A constant added to the blank's scores is what the prior takes away again."""
    deaf = []
    for each in examples:
        scores = each.chunks[0].copy()
        scores[:, 0] += 3.0
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        deaf.append(Example(each.reference, (scores,)))
    plain = tune(deaf, decoder, weights=(0.5,), bonuses=(0.0,))
    assert plain.best.prior_weight == 0.0, "nothing is taken away by a decoder without a prior"
    prior = prior_of(deaf)
    assert len(prior) == len(CHARACTERS)
    corrected = tune(deaf, decoder.with_config(replace(decoder.config, prior=prior)), weights=(0.5,), bonuses=(0.0,))
    assert corrected.best.prior_weight > 0
    assert corrected.best_wer < plain.best_wer


def test_nothing_said_is_nothing_to_tune_on(decoder):
    with pytest.raises(DataError, match="nothing to tune on"):
        tune([Example("", ())], decoder)


@pytest.mark.parametrize("name", ["heat_map.svg", "heat_map.png"])
def test_the_heat_map_is_drawn(examples, decoder, tmp_path, name):
    tuning = tune(examples, decoder, weights=(0.0, 0.5), bonuses=(0.0, 2.0))
    draw_heat_map(tuning, tmp_path / name)
    start = (tmp_path / name).read_bytes()[:200]
    assert b"PNG" in start if name.endswith("png") else b"<svg" in start or b"<?xml" in start
