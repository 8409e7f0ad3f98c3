"""The binary form: exact where values are few, close where they are quantized, refused when torn."""

from __future__ import annotations

import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asr.errors import ModelError
from asr.lm.binary import MAGIC, read_binary, read_header, write_binary
from asr.lm.load import load_language_model
from asr.lm.packing import CODES, _gaps, fit_codebook, likeliest_first, unpack_former
from tests.lm.test_ngram import random_model

ARRAYS = ("word", "log_prob", "backoff", "first_child", "suffix")


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n_words=st.integers(3, 7), order=st.integers(1, 4))
def test_what_is_quantized_already_is_exact(
    tmp_path_factory: pytest.TempPathFactory, seed: int, n_words: int, order: int
) -> None:
    path = tmp_path_factory.mktemp("lm") / "lm.ngram"
    model = likeliest_first(random_model(seed, n_words, order))
    write_binary(model, path)
    once = load_language_model(path)
    write_binary(once, path)
    twice = load_language_model(path)
    assert model.words == once.words == twice.words
    for name in ("word", "first_child", "suffix"):
        assert np.array_equal(getattr(once, name), getattr(model, name)), name
    for name in ARRAYS:
        assert np.array_equal(getattr(twice, name), getattr(once, name)), name
    for block in model.blocks:
        for name in ("log_prob", "backoff"):
            values = getattr(model, name)[block]
            if len(np.unique(values)) <= CODES:
                assert np.array_equal(getattr(once, name)[block], values), name


def test_quantized_is_close_and_small(tmp_path: Path) -> None:
    model = likeliest_first(random_model(1, 40, 3))
    write_binary(model, tmp_path / "lm.ngram")
    again = read_binary(tmp_path / "lm.ngram")
    # 64 equal steps over a range of 5 have an error of 5 / 64 / sqrt(12) = 0.023
    assert np.sqrt(np.mean((again.log_prob - model.log_prob) ** 2)) < 0.026
    assert np.sqrt(np.mean((again.backoff - model.backoff) ** 2)) < 0.026 / 5
    assert np.array_equal(again.backoff == 0, model.backoff == 0)
    assert (tmp_path / "lm.ngram").stat().st_size < 2 * len(model.word)


def test_likeliest_first_says_the_same_of_every_sentence() -> None:
    model = random_model(5, 9, 3)
    again = likeliest_first(model)
    unigrams = again.log_prob[again.blocks[1]][3:]
    assert np.all(unigrams[:-1] >= unigrams[1:])
    assert again.words[:3] == model.words[:3]
    generator = np.random.default_rng(5)
    for _ in range(50):
        sentence = list(generator.choice(model.words[3:], 6))
        assert again.score_sentence(sentence) == pytest.approx(model.score_sentence(sentence), abs=1e-5)


def test_the_codebook_keeps_zero_and_the_extremes() -> None:
    values = np.random.default_rng(0).normal(-3, 1, 50_000).astype(np.float32)
    values = np.concatenate([values, np.zeros(1000, np.float32), np.float32([-200.0])])
    book = fit_codebook(values)
    assert len(book) == CODES
    assert 0 in book
    assert book[0] == -200
    nearest = book[np.abs(values[:, None] - book[None]).argmin(1)]
    assert np.sqrt(np.mean((nearest - values) ** 2)) < 0.08


def test_gaps_begin_anew_with_each_parent() -> None:
    """Three nodes have three, two and one children, among the 12 of their suffix, the root."""
    place, rank, siblings = np.array([[3, 4, 9, 0, 2, 5], [0, 1, 2, 0, 1, 0], [3, 3, 3, 2, 2, 1]], np.int32)
    gaps, contexts = _gaps(place, rank, siblings, np.full(6, 12))
    assert gaps.tolist() == [3, 0, 4, 0, 1, 5]
    # 12, 8, 7 are left for 3, 2, 1; then 12, 11 for 2, 1; then 12 for 1; and so many are passed
    assert contexts.tolist() == [32 * 2, 32 * 2 + 3, 32 * 2 + 3, 32 * 2, 32 * 3 + 1, 32 * 3]


@pytest.mark.parametrize("name", ["former.ngram", "second.ngram"])
def test_former_forms_are_still_read(name: str) -> None:
    """A trigram model of four sentences, written before the parts were deflated, and before they were coded."""
    model = load_language_model(Path(__file__).with_name(name))
    assert model.counts == [17, 21, 19]
    assert model.score_sentence(["the", "wind", "went", "out"]) == pytest.approx(-3.18384, abs=1e-4)
    assert model.score_sentence(["she", "closed", "the", "lamp"]) == pytest.approx(-8.46613, abs=1e-4)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_a_file_holds_nothing_worse_comes_than_an_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes are changed and the checksum with them, as nothing but malice would."""
    path = tmp_path_factory.mktemp("lm") / "lm.ngram"
    former = data.draw(st.sampled_from(["", "former.ngram", "second.ngram"]))
    if former:
        path.write_bytes(Path(__file__).with_name(former).read_bytes())
    else:
        write_binary(random_model(data.draw(st.integers(0, 5)), 6, 3), path)
    content = bytearray(path.read_bytes())
    header = read_header(memoryview(content), path)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(header.size, len(content) - 1))] = data.draw(st.integers(0, 255))
    before, after = str(header.crc32).encode(), str(zlib.crc32(content[header.size :])).encode()
    assume(len(before) == len(after))
    path.write_bytes(bytes(content).replace(before, after, 1))
    with suppress(ModelError):
        load_language_model(path).score_sentence(["a", "b"])


@pytest.mark.parametrize(("part", "count"), [("gap2.0", 21), ("children1.0", 17)])
def test_what_a_former_file_cannot_hold_is_refused(part: str, count: int) -> None:
    content = memoryview(Path(__file__).with_name("second.ngram").read_bytes())
    header = read_header(content, "second.ngram")
    ends = np.cumsum([header.size, *header.parts.values()])
    parts = {name: bytes(content[start:end]) for name, start, end in zip(header.parts, ends, ends[1:], strict=False)}
    assert unpack_former(parts, header.counts, deflated=True).counts == [17, 21, 19]
    with pytest.raises(ValueError, match=r"not there|not as many"):
        unpack_former(parts | {part: zlib.compress(bytes([200]) * count)}, header.counts, deflated=True)


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


@pytest.mark.parametrize(
    "header",
    [
        "[" * 100_000,
        '{"counts": ["5"], "parts": {}, "crc32": 0}',
        '{"counts": [-5, 9], "parts": {}, "crc32": 0}',
        '{"counts": [1000000000000], "parts": {}, "crc32": 0}',
        '{"counts": [5], "parts": {"words": 1.5, "gap2": -1.5}, "crc32": 0}',
        '{"counts": [5], "crc32": 0}',
    ],
    ids=["deep", "text", "negative", "endless", "halves", "without parts"],
)
def test_headers_that_make_no_sense_are_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "lm.ngram"
    path.write_bytes(MAGIC + len(header).to_bytes(8, "little") + header.encode())
    with pytest.raises(ModelError, match=r"lm\.ngram: the header cannot be read"):
        read_header(memoryview(path.read_bytes()), path)
    with pytest.raises(ModelError, match=r"lm\.ngram: the header cannot be read"):
        load_language_model(path)
