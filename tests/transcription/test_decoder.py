"""The search that options and model folder ask for: with a recurrent model as rescorer, and without."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.decoding import BeamDecoder, DecodingConfig, Hypothesis
from asr.decoding.rescoring import rescore_nbest
from asr.errors import ModelError, UsageError
from asr.lm.rnn import load_recurrent
from asr.model.bundle import load_saved_model
from asr.transcription.decoder import (
    DecodeOptions,
    best_path,
    describe_search,
    load_rescorer,
    make_decode,
    plan_search,
    read_settings,
    write_settings,
)

STEPS = [14, 9]


@pytest.fixture(scope="module")
def emissions(tiny_model: Path) -> np.ndarray:
    """Steps (2, 14, V) that leave much open."""
    size = len(load_saved_model(tiny_model).tokenizer.vocabulary)
    scores = 2.0 * np.random.default_rng(5).standard_normal((2, 14, size))
    return (scores - np.log(np.exp(scores).sum(axis=2, keepdims=True))).astype(np.float32)


@pytest.fixture
def folder(tiny_model: Path, tiny_rnn_lm: Path, tmp_path: Path) -> Path:
    """The tiny model with a recurrent one of its own."""
    model = shutil.copytree(tiny_model, tmp_path / "model")
    shutil.copytree(tiny_rnn_lm, model / "rnn")
    return model


def read(model: Path, emissions: np.ndarray, **options: Any) -> list[Hypothesis]:
    return make_decode(load_saved_model(model), plan_search(model, DecodeOptions(**options)))([rows(emissions)])


def rows(emissions: np.ndarray) -> list[np.ndarray]:
    return [log_probs[:length] for log_probs, length in zip(emissions, STEPS, strict=True)]


@pytest.mark.parametrize(("weight", "bonus"), [(0.0, 0.0), (0.7, 0.0), (3.0, 0.0), (0.7, 4.0)])
def test_the_best_is_the_first_of_the_rescored_list(
    tiny_model: Path, tiny_rnn_lm: Path, emissions: np.ndarray, weight: float, bonus: float
) -> None:
    decoder = BeamDecoder(
        load_saved_model(tiny_model).tokenizer.vocabulary, DecodingConfig(beam_size=20, word_score=0.0)
    )
    nbests = decoder.decode_many(rows(emissions), nbest=30)
    threshold = DecodingConfig().nbest_threshold
    wanted = [best for best, *_ in rescore_nbest(nbests, load_recurrent(tiny_rnn_lm), weight, bonus, threshold)]
    found = read(
        tiny_model, emissions, beam_size=20, rescore=tiny_rnn_lm, rescore_weight=weight, rescore_word_score=bonus
    )
    assert found == wanted
    assert (found == [best for best, *_ in nbests]) == (weight == bonus == 0)


def test_only_the_best_hypotheses_are_rescored(
    tiny_model: Path, tiny_rnn_lm: Path, emissions: np.ndarray, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    (model / "decoding.json").write_text(json.dumps({"nbest": 1, "rescore_weight": 9.0}))
    plain, rescored = (
        read(tiny_model, emissions, beam_size=20),
        read(model, emissions, beam_size=20, rescore=tiny_rnn_lm),
    )
    assert rescored == plain


def test_what_could_not_win_is_not_rescored(
    tiny_model: Path, tiny_rnn_lm: Path, emissions: np.ndarray, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny_model, tmp_path / "model")
    plain = read(tiny_model, emissions, beam_size=20)
    for threshold, decides in ((0.0, False), (50.0, True)):
        settings = {"nbest_threshold": threshold, "rescore_weight": 9.0, "rescore_word_score": 0.0}
        (model / "decoding.json").write_text(json.dumps(settings))
        assert (read(model, emissions, beam_size=20, rescore=tiny_rnn_lm) != plain) == decides


def test_the_models_own_rescorer_is_used_with_its_settings(
    folder: Path, tiny_rnn_lm: Path, emissions: np.ndarray
) -> None:
    (folder / "decoding.json").write_text(json.dumps({"rescore_weight": 2.0, "rescore_word_score": 5.0}))
    wanted = {"rescore": tiny_rnn_lm, "rescore_weight": 2.0, "rescore_word_score": 5.0}
    assert read(folder, emissions) == read(folder, emissions, **wanted)
    assert read(folder, emissions) != read(folder, emissions, rescore_weight=0.0)
    plain = make_decode(load_saved_model(folder), plan_search(folder, DecodeOptions(beam_size=20, rescore="none")))(
        [rows(emissions)]
    )
    assert read(folder, emissions, beam_size=20, lm="none") == plain


def test_the_best_of_all_views_wins(tiny_model: Path, emissions: np.ndarray) -> None:
    decode = make_decode(load_saved_model(tiny_model), plan_search(tiny_model, DecodeOptions(beam_size=40, views=2)))
    views = [rows(emissions), rows(emissions[:, ::-1].copy())]
    alone = [decode([view]) for view in views]
    best = [max(pair, key=lambda hypothesis: hypothesis.score) for pair in zip(*alone, strict=True)]
    assert decode(views) == best
    assert decode([views[0], views[0]]) == alone[0]
    assert best not in alone
    assert alone[0] == read(tiny_model, emissions, beam_size=20)  # they share the beam


@pytest.mark.parametrize(
    ("options", "wanted"),
    [({}, 3), ({"views": 2}, 2), ({"fast": True}, 1), ({"fast": True, "views": 2}, 2), ({"greedy": True}, 1)],
)
def test_how_many_views(folder: Path, options: dict[str, Any], wanted: int) -> None:
    (folder / "decoding.json").write_text(json.dumps({"views": 3}))
    (folder / "lm.ngram").touch()
    assert plan_search(folder, DecodeOptions(**options)).views == wanted
    assert describe_search(folder, DecodeOptions(**options)).get("views", 1) == wanted


def test_greedy_search_has_one_view_only() -> None:
    with pytest.raises(UsageError, match="knows no views"):
        DecodeOptions(greedy=True, views=2)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, {"search": "beam", "rescore": "rnn", "nbest": 30, "rescore_weight": 0.4, "rescore_word_score": 1.0}),
        ({"rescore_word_score": 2.5}, {"rescore": "rnn", "rescore_weight": 0.4, "rescore_word_score": 2.5}),
        ({"rescore": "none", "beam_size": 9}, {"search": "beam", "rescore": "none", "beam_size": 9}),
        ({"lm": "none", "beam_size": 9}, {"search": "beam", "rescore": "none", "language_model": None}),
        ({"lm": "none", "rescore": "rnn/best"}, {"search": "beam", "rescore": "rnn/best", "language_model": None}),
        ({"rescore": "none"}, {"search": "greedy"}),
        ({"lm": "none"}, {"search": "greedy"}),
        ({"greedy": True}, {"search": "greedy"}),
        ({"fast": True}, {"search": "greedy"}),  # without a language model nothing is faster
        ({"fast": True, "hotwords": ["A"]}, {"search": "beam", "beam_size": 100, "rescore": "none"}),
    ],
)
def test_what_is_described(folder: Path, options: dict[str, Any], wanted: dict[str, Any]) -> None:
    (folder / "decoding.json").write_text(json.dumps({"rescore_weight": 0.4}))
    described = describe_search(folder, DecodeOptions(**options))
    wanted = wanted | ({"rescore": str(folder / "rnn")} if wanted.get("rescore") == "rnn" else {})
    assert described | wanted == described
    assert ("rescore_weight" in described) == (described.get("rescore", "none") != "none")


def test_the_n_gram_weighs_less_where_it_is_rescored(folder: Path) -> None:
    (folder / "decoding.json").write_text(json.dumps({"lm_weight": 1.0, "rescored_lm_weight": 0.8}))
    (folder / "lm.ngram").touch()

    def weight(**options: Any) -> float:
        return float(describe_search(folder, DecodeOptions(**options))["lm_weight"])

    assert (weight(), weight(fast=True), weight(rescore="none")) == (0.8, 1.0, 1.0)
    assert (weight(lm_weight=0.5), weight(fast=True, lm_weight=0.5)) == (0.5, 0.5)


@pytest.mark.parametrize(
    "options", [{"greedy": True}, {"beam_size": 10}, {"rescore": "rnn/best"}, {"rescore_weight": 0.5}]
)
def test_a_fast_search_is_one_and_no_other(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="a fast search is one with a beam of 100"):
        DecodeOptions(fast=True, **options)


def test_a_model_without_a_rescorer_says_nothing_of_one(tiny_model: Path) -> None:
    assert not {"rescore", "rescore_weight", "nbest"} & describe_search(tiny_model, DecodeOptions(beam_size=5)).keys()
    assert make_decode(load_saved_model(tiny_model), plan_search(tiny_model)) is best_path


def test_settings_written_before_there_was_rescoring(tmp_path: Path) -> None:
    (tmp_path / "decoding.json").write_text(json.dumps({"beam_size": 50, "lm_weight": 0.6, "end_of_sentence": True}))
    assert read_settings(tmp_path) == DecodingConfig(lm_weight=0.6)


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    config = DecodingConfig(lm_weight=0.7, rescored_lm_weight=0.6, prior_weight=0.5, prior=(-0.25, -3.5, -13.816))
    write_settings(tmp_path, config)
    assert read_settings(tmp_path) == config
    assert len((tmp_path / "decoding.json").read_text().splitlines()) < 25, "the prior is on one line"


def test_what_balances_a_language_model_is_off_without_one(folder: Path, emissions: np.ndarray) -> None:
    vocabulary = load_saved_model(folder).tokenizer.vocabulary
    prior = tuple(np.linspace(-9.0, -0.5, len(vocabulary)).tolist())
    plain = read(folder, emissions, beam_size=20, lm="none")
    write_settings(folder, DecodingConfig(word_score=7.0, prior_weight=1.0, prior=prior))
    assert read(folder, emissions, beam_size=20, lm="none") == plain
    described = describe_search(folder, DecodeOptions(beam_size=20, lm="none"))
    assert (described["word_score"], described["prior_weight"]) == (0.0, 0.0)
    assert "prior" not in described
    assert describe_search(folder, DecodeOptions(beam_size=20, lm="none", word_score=3.0))["word_score"] == 3.0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"greedy": True, "rescore": "rnn"}, "greedy search knows no"),
        ({"greedy": True, "rescore_weight": 0.5}, "greedy search knows no"),
        ({"beam_size": 5, "rescore_weight": 0.5}, "no recurrent model to weigh"),
        ({"rescore": "none", "rescore_word_score": 0.5}, "no recurrent model to weigh"),
        ({"lm_weight": 0.5}, "no language model to weigh"),
        ({"word_score": 2.0}, "no language model to weigh"),
        ({"lm": "none", "beam_size": 5, "lm_weight": 0.5}, "no language model to weigh"),
        ({"rescore": "rnn", "rescore_weight": -0.5}, "rescore_weight must not be negative"),
    ],
)
def test_contradictions(tiny_model: Path, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        make_decode(load_saved_model(tiny_model), plan_search(tiny_model, DecodeOptions(**options)))


def test_a_text_is_no_list_of_hotwords() -> None:
    with pytest.raises(UsageError, match=r"hotwords must be a list, not the text 'GRYFFINDOR'\n  Give"):
        DecodeOptions(hotwords="GRYFFINDOR")


def test_a_rescorer_that_lacks_letters_is_refused_before_the_run(tiny_rnn_lm: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read what the acoustic model writes: 1 Ж\n"):
        load_rescorer(tiny_rnn_lm, ["<blank>", "▁", "É", "A", "a", "'", "1", "Ж"])


def test_a_rescorer_that_is_not_there(tiny_model: Path, tiny_rnn_lm: Path, tmp_path: Path) -> None:
    model = load_saved_model(tiny_model)
    with pytest.raises(ModelError, match=r"rnn/config\.json is missing"):
        make_decode(model, plan_search(model.path, DecodeOptions(rescore=tmp_path / "rnn")))
    with pytest.raises(ModelError, match=r"The model of that training is .*best"):
        make_decode(model, plan_search(model.path, DecodeOptions(rescore=tiny_rnn_lm.parent)))
    with pytest.raises(ModelError, match="not a recurrent language model"):
        make_decode(model, plan_search(model.path, DecodeOptions(rescore=tiny_model)))
