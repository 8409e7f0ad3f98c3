from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from asr.decoding import BeamDecoder, DecodingConfig
from asr.errors import DataError
from asr.evaluation.hearing import Spoken
from asr.evaluation.surface import draw_surface
from asr.evaluation.tuning import describe, prior_of, settings_count, tune, word_error_rate
from asr.language.load import load_language_model
from tests.benchmarks.synthetic import CHARACTERS, spell_out, synthesise
from tests.decoding.conftest import ARPA

SENTENCES = ["AB BA A B", "A B BAB", "BA A B A", "AB AB A", "B A B A B"]


@pytest.fixture(scope="module")
def decoder(tmp_path_factory) -> BeamDecoder:
    path = tmp_path_factory.mktemp("lm") / "tiny.arpa"
    path.write_text(ARPA, encoding="utf-8")
    return BeamDecoder(CHARACTERS, DecodingConfig(beam=20), load_language_model(path))


@pytest.fixture(scope="module")
def spoken() -> list[Spoken]:
    generator = np.random.default_rng(7)
    heard = [synthesise(spell_out(text, CHARACTERS), len(CHARACTERS), generator, clarity=4.0) for text in SENTENCES]
    return [Spoken(text, (matrix,)) for text, matrix in zip(SENTENCES, heard, strict=True)]


def test_the_best_of_the_grid_is_found_and_reproduces_its_rate(spoken, decoder):
    tried = []
    tuning = tune(spoken, decoder, weights=(0.0, 0.5, 1.0), bonuses=(-4.0, 0.0, 2.0), tried=tried.append)
    assert tuning.wer.shape == (3, 3)
    assert tuning.best_wer <= tuning.wer.min() < tuning.greedy_wer
    assert word_error_rate(spoken, decoder.with_config(tuning.best)) == tuning.best_wer
    assert tuning.best.beam == decoder.config.beam
    assert 9 < sum(tried) <= settings_count((0.0, 0.5, 1.0), (-4.0, 0.0, 2.0))
    for row, weight in enumerate(tuning.weights):
        config = DecodingConfig(beam=20, lm_weight=weight, word_bonus=2.0)
        assert word_error_rate(spoken, decoder.with_config(config)) == tuning.wer[row, 2]
    assert describe(tuning)["best"]["lm_weight"] == tuning.best.lm_weight


def test_pieces_of_one_utterance_are_read_one_after_the_other(decoder):
    generator = np.random.default_rng(7)
    pieces = [
        synthesise(spell_out(text, CHARACTERS), len(CHARACTERS), generator, clarity=20.0) for text in ("AB BA", "BAB")
    ]
    assert word_error_rate([Spoken("AB BA BAB", tuple(pieces))], None, vocabulary=CHARACTERS) == 0.0
    assert word_error_rate([Spoken("AB BA BAB", tuple(pieces))], decoder) == 0.0
    unreadable = Spoken("A B C", ())
    assert word_error_rate([Spoken("AB BA BAB", tuple(pieces)), unreadable], decoder) == 0.5


def test_a_listener_who_expects_too_much_is_corrected(spoken, decoder):
    """A constant added to the blank's scores is what the prior takes away again."""
    deaf = []
    for each in spoken:
        scores = each.pieces[0].copy()
        scores[:, 0] += 3.0
        scores -= np.log(np.exp(scores).sum(axis=1, keepdims=True))
        deaf.append(Spoken(each.reference, (scores,)))
    plain = tune(deaf, decoder, weights=(0.5,), bonuses=(0.0,))
    assert plain.best.prior_weight == 0.0, "nothing is taken away by a decoder without a prior"
    prior = prior_of(deaf)
    assert len(prior) == len(CHARACTERS)
    corrected = tune(deaf, decoder.with_config(replace(decoder.config, prior=prior)), weights=(0.5,), bonuses=(0.0,))
    assert corrected.best.prior_weight > 0
    assert corrected.best_wer < plain.best_wer


def test_nothing_said_is_nothing_to_tune_on(decoder):
    with pytest.raises(DataError, match="nothing to tune on"):
        tune([Spoken("", ())], decoder)


@pytest.mark.parametrize("name", ["surface.svg", "surface.png"])
def test_the_surface_is_drawn(spoken, decoder, tmp_path, name):
    tuning = tune(spoken, decoder, weights=(0.0, 0.5), bonuses=(0.0, 2.0))
    draw_surface(tuning, tmp_path / name)
    start = (tmp_path / name).read_bytes()[:200]
    assert b"PNG" in start if name.endswith("png") else b"<svg" in start or b"<?xml" in start
