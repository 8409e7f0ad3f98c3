"""What is chosen for rescoring is what rescoring then does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from asr.decoding import BeamDecoder, DecodingConfig
from asr.decoding.rescoring import rescore_nbest
from asr.errors import DataError
from asr.evaluation.hearing import Spoken
from asr.evaluation.rescoring import describe, tune_rescoring
from asr.evaluation.tuning import error_rate, word_error_rate
from tests.benchmarks.synthetic import CHARACTERS, spell_out, synthesise

SENTENCES = ["AB BA A B", "A B BAB", "BA A B A", "AB AB A", "B A B A B"]
WEIGHTS, BONUSES = (0.0, 0.5, 3.0), (0.0, 2.0)


class Knowing:
    """Judges every text to be as likely as the last, but for what was said."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def rescore(self, texts: Sequence[str]) -> list[float]:
        self.asked += texts
        return [-1.0 if text in SENTENCES else -9.0 for text in texts]


@pytest.fixture(scope="module")
def decoder() -> BeamDecoder:
    return BeamDecoder(CHARACTERS, DecodingConfig(beam=20, nbest=15))


@pytest.fixture(scope="module")
def spoken() -> list[Spoken]:
    generator = np.random.default_rng(7)
    heard = [synthesise(spell_out(text, CHARACTERS), len(CHARACTERS), generator, clarity=4.0) for text in SENTENCES]
    return [Spoken(text, (matrix,)) for text, matrix in zip(SENTENCES, heard, strict=True)]


def test_every_rate_of_the_grid_is_that_of_rescoring(spoken, decoder) -> None:
    judged: list[int] = []
    tuned = tune_rescoring(spoken, decoder, Knowing(), WEIGHTS, BONUSES, judged=judged.append)
    assert sum(judged) == len(spoken)
    nbests = decoder.decode_many([each.pieces[0] for each in spoken], 15)
    for row, weight in enumerate(WEIGHTS):
        for column, bonus in enumerate(BONUSES):
            rescored = rescore_nbest(nbests, Knowing(), weight, bonus)
            assert tuned.wer[row, column] == error_rate(spoken, [best.text for best, *_ in rescored])


def test_one_who_knows_what_was_said_helps(spoken, decoder) -> None:
    tuned = tune_rescoring(spoken, decoder, Knowing(), WEIGHTS, BONUSES)
    assert tuned.wer[0, 0] == word_error_rate(spoken, decoder)
    assert tuned.best_wer == tuned.wer.min() < tuned.wer[0, 0]
    assert tuned.best.rescore_weight > 0
    assert replace(tuned.best, rescore_weight=0.3, rescore_bonus=1.0) == decoder.config
    assert describe(tuned)["best_wer"] == tuned.best_wer


def test_one_without_an_opinion_changes_nothing(spoken, decoder) -> None:
    class Indifferent:
        def rescore(self, texts: Sequence[str]) -> list[float]:
            return [-5.0] * len(texts)

    tuned = tune_rescoring(spoken, decoder, Indifferent(), (0.0, 1.0), (0.0,))
    assert tuned.wer[0, 0] == tuned.wer[1, 0]
    assert (tuned.best.rescore_weight, tuned.best.rescore_bonus) == (0.0, 0.0)


def test_each_text_is_judged_once(spoken, decoder) -> None:
    model = Knowing()
    tune_rescoring(spoken, decoder, model, WEIGHTS, BONUSES)
    assert len(model.asked) == len(set(model.asked))


def test_pieces_of_one_utterance_are_one_text(decoder) -> None:
    generator = np.random.default_rng(7)
    pieces = [
        synthesise(spell_out(text, CHARACTERS), len(CHARACTERS), generator, clarity=20.0) for text in ("AB BA", "BAB")
    ]
    tuned = tune_rescoring(
        [Spoken("AB BA BAB", tuple(pieces)), Spoken("A B C", ())], decoder, Knowing(), (0.0,), (0.0,)
    )
    assert tuned.best_wer == 0.5


def test_nothing_said_is_nothing_to_tune_on(decoder) -> None:
    with pytest.raises(DataError, match="nothing to tune on"):
        tune_rescoring([Spoken("", ())], decoder, Knowing())
