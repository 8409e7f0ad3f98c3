"""What is chosen for rescoring is what rescoring then does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from asr.decoding import BeamDecoder, DecodingConfig
from asr.decoding.rescoring import rescore_nbest
from asr.errors import DataError
from asr.evaluation.decode import Example
from asr.evaluation.tuning import describe_tuning, error_rate, tune_rescoring, word_error_rate
from asr.lm.load import load_language_model
from tests.benchmarks.synthetic import CHARACTERS, spell_out, synthesize
from tests.decoding.conftest import ARPA

SENTENCES = ["AB BA A B", "A B BAB", "BA A B A", "AB AB A", "B A B A B"]
WEIGHTS, BONUSES = (0.0, 0.5, 3.0), (0.0, 2.0)


class Knowing:
    """Gives every text as high a score as the last, but for what was said."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def rescore_nbests(self, nbests: Sequence[Sequence[str]]) -> list[list[float]]:
        self.asked += chain.from_iterable(nbests)
        return [[-1.0 if text in SENTENCES else -9.0 for text in texts] for texts in nbests]


@pytest.fixture(scope="module")
def decoder() -> BeamDecoder:
    return BeamDecoder(CHARACTERS, DecodingConfig(beam_size=20, nbest=15))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    generator = np.random.default_rng(7)
    emissions = [synthesize(spell_out(text, CHARACTERS), len(CHARACTERS), generator, clarity=4.0) for text in SENTENCES]
    return [Example(text, (matrix,)) for text, matrix in zip(SENTENCES, emissions, strict=True)]


def test_every_rate_of_the_grid_is_that_of_rescoring(examples, decoder) -> None:
    done: list[int] = []
    tuned = tune_rescoring(examples, decoder, Knowing(), WEIGHTS, BONUSES, (1.0,), on_progress=done.append)
    assert sum(done) == len(examples)
    nbests = decoder.decode_many([each.chunks[0] for each in examples], 15)
    for row, weight in enumerate(WEIGHTS):
        for column, bonus in enumerate(BONUSES):
            rescored = rescore_nbest(nbests, Knowing(), weight, bonus)
            assert tuned.wer[row, column] == error_rate(examples, [best.text for best, *_ in rescored])


def test_one_who_knows_what_was_said_helps(examples, decoder) -> None:
    tuned = tune_rescoring(examples, decoder, Knowing(), WEIGHTS, BONUSES)
    assert tuned.wer[0, 0] == word_error_rate(examples, decoder)
    assert tuned.best_wer == tuned.wer.min() < tuned.wer[0, 0]
    assert tuned.best.rescore_weight > 0
    assert replace(tuned.best, rescore_weight=0.3, rescore_word_score=1.0, rescored_lm_weight=None) == decoder.config
    assert describe_tuning(tuned)["best_wer"] == tuned.best_wer


def test_the_n_gram_keeps_the_share_that_is_best(examples, tmp_path) -> None:
    path = tmp_path / "tiny.arpa"
    path.write_text(ARPA, encoding="utf-8")
    decoder = BeamDecoder(CHARACTERS, DecodingConfig(beam_size=20, nbest=15, lm_weight=4.0), load_language_model(path))
    shares = (1.0, 0.2, 0.1)
    each = {share: tune_rescoring(examples, decoder, Knowing(), (0.0,), (0.0,), (share,)) for share in shares}
    tuned = tune_rescoring(examples, decoder, Knowing(), (0.0,), (0.0,), shares)
    assert len({found.best_wer for found in each.values()}) > 1, "the share makes a difference"
    share = min(shares, key=lambda share: each[share].best_wer)
    assert (tuned.best, tuned.best_wer) == (each[share].best, each[share].best_wer)
    assert (tuned.best.lm_weight, tuned.best.before_rescoring().lm_weight) == (4.0, share * 4.0)


def test_equal_scores_change_nothing(examples, decoder) -> None:
    class Indifferent:
        def rescore_nbests(self, nbests: Sequence[Sequence[str]]) -> list[list[float]]:
            return [[-5.0] * len(texts) for texts in nbests]

    tuned = tune_rescoring(examples, decoder, Indifferent(), (0.0, 1.0), (0.0,))
    assert tuned.wer[0, 0] == tuned.wer[1, 0]
    assert (tuned.best.rescore_weight, tuned.best.rescore_word_score) == (0.0, 0.0)


def test_each_text_is_scored_once_for_all_weights(examples, decoder) -> None:
    model = Knowing()
    tune_rescoring(examples, decoder, model, WEIGHTS, BONUSES, (1.0,))
    nbests = decoder.decode_many([each.chunks[0] for each in examples], 15)
    assert sorted(model.asked) == sorted(hypothesis.text for nbest in nbests for hypothesis in nbest)


def test_pieces_of_one_utterance_are_one_text(decoder) -> None:
    generator = np.random.default_rng(7)
    chunks = [
        synthesize(spell_out(text, CHARACTERS), len(CHARACTERS), generator, clarity=20.0) for text in ("AB BA", "BAB")
    ]
    tuned = tune_rescoring(
        [Example("AB BA BAB", tuple(chunks)), Example("A B C", ())], decoder, Knowing(), (0.0,), (0.0,)
    )
    assert tuned.best_wer == 0.5


def test_nothing_said_is_nothing_to_tune_on(decoder) -> None:
    with pytest.raises(DataError, match="nothing to tune on"):
        tune_rescoring([Example("", ())], decoder, Knowing())
