"""The binary form: exact where values are few, close where they are quantized, refused when torn."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import ModelError
from asr.lm.binary import CODES, _gaps, _pack_ints, _unpack_bytes, fit_codebook, read_binary, write_binary
from asr.lm.load import load_language_model
from tests.lm.test_ngram import random_model

ARRAYS = ("word", "log_prob", "backoff", "first_child", "suffix")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n_words=st.integers(3, 7), order=st.integers(1, 4))
def test_few_values_are_exact(tmp_path_factory: pytest.TempPathFactory, seed: int, n_words: int, order: int) -> None:
    model = random_model(seed, n_words, order)
    path = tmp_path_factory.mktemp("lm") / "lm.ngram"
    with patch("asr.lm.binary.CODES", 1 << 20):
        write_binary(model, path)
    again = load_language_model(path)
    assert (again.order, again.words) == (model.order, model.words)
    for name in ARRAYS:
        assert np.array_equal(getattr(again, name), getattr(model, name)), name


def test_quantized_is_close_and_four_times_smaller(tmp_path: Path) -> None:
    model = random_model(1, 40, 3)
    with patch("asr.lm.binary.CODES", 1 << 20):
        write_binary(model, tmp_path / "exact.ngram")
    write_binary(model, tmp_path / "small.ngram")
    small = read_binary(tmp_path / "small.ngram")
    for name in ("word", "first_child", "suffix"):
        assert np.array_equal(getattr(small, name), getattr(model, name)), name
    # 64 equal steps over a range of 5 have an error of 5 / 64 / sqrt(12) = 0.023
    assert np.sqrt(np.mean((small.log_prob - model.log_prob) ** 2)) < 0.026
    assert np.sqrt(np.mean((small.backoff - model.backoff) ** 2)) < 0.026 / 5
    assert np.array_equal(small.backoff == 0, model.backoff == 0)
    assert (tmp_path / "small.ngram").stat().st_size < 0.5 * (tmp_path / "exact.ngram").stat().st_size


def test_the_codebook_keeps_zero_and_the_extremes() -> None:
    values = np.random.default_rng(0).normal(-3, 1, 50_000).astype(np.float32)
    values = np.concatenate([values, np.zeros(1000, np.float32), np.float32([-200.0])])
    book = fit_codebook(values)
    assert len(book) == CODES
    assert 0 in book
    assert book[0] == -200
    nearest = book[np.abs(values[:, None] - book[None]).argmin(1)]
    assert np.sqrt(np.mean((nearest - values) ** 2)) < 0.08


@given(st.lists(st.integers(0, (1 << 31) - 1) | st.integers(0, 300), max_size=50))
def test_packed_whole_numbers_come_back(values: list[int]) -> None:
    rows = _unpack_bytes(_pack_ints("x", np.array(values, np.int32)), "x", len(values))
    found = [sum(int(row[i]) << 8 * k for k, row in enumerate(rows) if len(row)) for i in range(len(values))]
    assert found == values


def test_gaps_begin_anew_with_each_parent() -> None:
    place, parent = np.array([3, 4, 9, 0, 2, 5], np.int32), np.array([0, 0, 0, 2, 2, 3])
    assert _gaps(place, parent).tolist() == [3, 0, 4, 0, 1, 5]


def test_the_former_form_is_still_read() -> None:
    """A trigram model of four sentences, written before the parts were deflated."""
    model = load_language_model(Path(__file__).with_name("former.ngram"))
    assert model.counts == [17, 21, 19]
    assert model.score_sentence(["the", "wind", "went", "out"]) == pytest.approx(-3.18384, abs=1e-4)
    assert model.score_sentence(["she", "closed", "the", "lamp"]) == pytest.approx(-8.46613, abs=1e-4)


def test_every_cut_and_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "lm.ngram"
    write_binary(random_model(3, 5, 3), path)
    whole = path.read_bytes()
    for length in (13, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"lm\.ngram"):
            load_language_model(path)
    for position in (15, 60, len(whole) - 10):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :])
        with pytest.raises(ModelError, match=r"lm\.ngram"):
            load_language_model(path)
