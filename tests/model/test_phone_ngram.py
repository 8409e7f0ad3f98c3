"""The phone n-gram of CTC-CRF: counts, smoothing, and what its file says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from phone_ngram import count_phones, estimate

from asr.errors import ModelError
from asr.model.ctc import pad_targets
from asr.model.phone_ngram import PhoneNgram, load_phone_ngram

SENTENCES = [[1, 2, 1], [2], [1, 1]]


def test_counts_are_of_every_sentence_with_its_start_and_end() -> None:
    counts = count_phones(SENTENCES, 3)
    expected = {
        (0, 0, 1): 2, (0, 1, 2): 1, (1, 2, 1): 1, (2, 1, 0): 1,
        (0, 0, 2): 1, (0, 2, 0): 1,
        (0, 1, 1): 1, (1, 1, 0): 1,
    }  # fmt: skip
    assert {tuple(place): counts[tuple(place)] for place in np.argwhere(counts)} == expected


def test_a_trigram_is_smoothed_with_the_lower_orders() -> None:
    table = estimate(count_phones(SENTENCES, 3), order=3, pseudo_counts=1.0).table
    one = (np.array([3, 4, 2]) + 1 / 3) / (9 + 1)  # ends, label 1, label 2
    after_1 = (np.array([2, 1, 1]) + one) / (4 + 1)
    np.testing.assert_allclose(table[0, 1], (np.array([0, 1, 1]) + after_1) / (2 + 1), rtol=1e-6)
    np.testing.assert_allclose(table[2, 1], (np.array([1, 0, 0]) + after_1) / (1 + 1), rtol=1e-6)
    np.testing.assert_allclose(table.sum(axis=2), 1.0, rtol=1e-6)


@pytest.mark.parametrize(("order", "same"), [(1, (0, 1)), (2, (0,))])
def test_lower_orders_forget_the_labels_before(order: int, same: tuple[int, ...]) -> None:
    table = estimate(count_phones(SENTENCES, 3), order).table
    for axis in same:
        assert np.ptp(table, axis=axis).max() == 0


def test_the_probability_of_a_string_is_the_product_of_its_steps() -> None:
    ngram = estimate(count_phones(SENTENCES, 3))
    p = ngram.table
    expected = [p[0, 0, 1] * p[0, 1, 2] * p[1, 2, 0], p[0, 0, 0]]
    targets, lengths = pad_targets([[1, 2], []])
    np.testing.assert_allclose(np.exp(ngram.log_probabilities(targets.numpy(), lengths.numpy())), expected, rtol=1e-5)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    ngram = estimate(count_phones(SENTENCES, 3))
    ngram.save(tmp_path / "phones.safetensors")
    np.testing.assert_array_equal(load_phone_ngram(tmp_path / "phones.safetensors").table, ngram.table)


def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "phones.safetensors"
    with pytest.raises(ModelError, match=r"phones\.safetensors"):
        load_phone_ngram(path)
    path.write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"phones\.safetensors"):
        load_phone_ngram(path)


@pytest.mark.parametrize(
    "table", [np.ones((2, 2, 3)) / 3, np.ones((3, 3, 3)), np.array([[[1.0, 0.0]] * 2] * 2)], ids=["cube", "sum", "zero"]
)
def test_a_table_that_is_no_ngram_is_refused(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="n-gram"):
        PhoneNgram(table.astype(np.float32))
