"""Counting: the same whatever fits into memory, the same in files, and what a plain count says."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import UsageError
from asr.lm.counts import count_ngrams
from asr.lm.kneser_ney import train_ngram
from asr.lm.text import Column, Tokens, most_frequent, number_words, renumber, spans, tokenize

texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=8).map(" ".join), min_size=1, max_size=12)
cutoff_lists = st.lists(st.integers(0, 2), min_size=3, max_size=3).map(sorted)


@settings(max_examples=25, deadline=None)
@given(sentences=texts, order=st.integers(1, 4), cutoffs=cutoff_lists, part=st.integers(1, 40))
def test_parts_and_files_change_no_bit(sentences: list[str], order: int, cutoffs: list[int], part: int) -> None:
    whole = train_ngram(tokenize(sentences), order, cutoffs[: order - 1])
    with TemporaryDirectory() as folder:
        numbered = number_words(sentences, Path(folder))
        tokens = renumber(numbered, most_frequent([numbered], [1.0]))
        assert isinstance(tokens.ids, Column)
        apart = train_ngram(tokens, order, cutoffs[: order - 1], part)
    for name in ("words", "word", "log_prob", "backoff", "first_child", "suffix"):
        assert np.array_equal(getattr(apart.model, name), getattr(whole.model, name)), name
    assert apart.discounts == whole.discounts
    assert np.array_equal(apart.context_log_prob, whole.context_log_prob)


@settings(max_examples=25, deadline=None)
@given(sentences=texts, cutoffs=cutoff_lists, part=st.integers(1, 40))
def test_occurrences_are_those_of_a_plain_count(sentences: list[str], cutoffs: list[int], part: int) -> None:
    tokens = tokenize(sentences)
    orders = count_ngrams(tokens, 4, cutoffs, part)
    found: list[tuple[int, ...]] = [()]
    for order, counts in enumerate(orders, start=1):
        plain: Counter[tuple[int, ...]] = Counter()
        for sentence in sentences:
            ids = [1, *map(tokens.words.index, sentence.split()), 2]
            plain.update(tuple(ids[i : i + order]) for i in range(len(ids) - order + 1))
        cutoff = 0 if order == 1 else cutoffs[order - 2]
        expected = sorted(ngram for ngram, count in plain.items() if count > cutoff or order == 1)
        found = [(*found[prefix], word) for prefix, word in zip(counts.prefix, counts.word.tolist(), strict=True)]
        listed = [ngram for ngram in found if order > 1 or plain[ngram]]
        assert listed == expected
        assert [plain[ngram] for ngram in found] == counts.count.tolist()


def test_parts_bound_the_memory(tmp_path: Path) -> None:
    """400,000 words: in parts of 10,000 the peak is a fraction of what sorting all of them at once takes."""
    random = np.random.default_rng(5)
    ids, counts = Column(tmp_path / "ids"), np.zeros(3003, np.int64)
    for _ in range(4):
        block = random.zipf(1.3, 100_000).clip(max=3000).astype(np.int32) + 2
        block[::12] = 1
        ids.append(block)
        counts += np.bincount(block, minlength=3003)
    tokens = Tokens([""] * 3003, counts, ids)
    peaks = []
    for part in (10_000, 1_000_000):
        tracemalloc.start()
        orders = count_ngrams(tokens, 3, [3, 3], part)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert len(orders[2].word) > 1000
    assert peaks[0] < peaks[1] / 5


def test_a_column_is_read_in_slices(tmp_path: Path) -> None:
    column = Column(tmp_path / "numbers", np.int64)
    column.append(np.arange(5))
    column.append(np.arange(5, 7))
    assert len(column) == 7
    assert [column[span].tolist() for span in spans(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert column[7:9].tolist() == []
    column.remove()
    assert not (tmp_path / "numbers").exists()


def test_a_text_beyond_32_bits_is_refused() -> None:
    class Endless(Column):
        def __len__(self) -> int:
            return 2**31

    with TemporaryDirectory() as folder, pytest.raises(UsageError, match="too long"):
        count_ngrams(Tokens([""] * 5, np.zeros(5, np.int64), Endless(Path(folder) / "ids")), 2, [0])
