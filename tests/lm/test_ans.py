"""Symbols come back as they were, in as many bits as they should take."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.lm.ans import OWN, bit_length, decode, encode, encode_numbers, fit_frequencies


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, (1 << 31) - 1) | st.integers(0, 300), st.integers(0, 3)), max_size=200))
def test_numbers_come_back(pairs: list[tuple[int, int]]) -> None:
    values, contexts = np.array(pairs, np.int64).reshape(-1, 2).T
    found = np.zeros(len(values), np.int64)
    decode(encode_numbers(values, contexts), contexts, found, numbers=True)
    assert found.tolist() == values.tolist()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 9)), max_size=200))
def test_symbols_come_back(pairs: list[tuple[int, int]]) -> None:
    symbols, contexts = np.array(pairs, np.uint8).reshape(-1, 2).T
    found = np.zeros(len(symbols), np.uint8)
    decode(encode(symbols, contexts), contexts, found)
    assert found.tolist() == symbols.tolist()


def test_symbols_take_the_bits_that_their_entropy_asks_for() -> None:
    """Shannon (1948): Σ p log2 1/p, of symbols whose likeliest one depends on the context."""
    generator = np.random.default_rng(0)
    contexts = generator.integers(0, 4, 100_000)
    symbols = ((generator.geometric(0.6, 100_000) - 1 + 5 * contexts) % 20).astype(np.uint8)
    joint = np.bincount(contexts * 20 + symbols, minlength=80).reshape(4, 20)
    share = joint / joint.sum(1, keepdims=True)
    bits = -np.sum(joint[joint > 0] * np.log2(share[joint > 0]))
    frequencies = 2 * joint.size  # bytes, before they are deflated
    assert bits / 8 < len(encode(symbols, contexts)) < 1.005 * bits / 8 + frequencies


def test_frequencies_sum_up_and_leave_nothing_out() -> None:
    symbols = np.repeat(np.arange(200), [1_000_000] + [1] * 199).astype(np.uint8)
    frequency = fit_frequencies(symbols, np.full(len(symbols), 1))
    assert frequency.sum(1).tolist() == [0, 4096]
    assert frequency[1].min() == 1


@pytest.mark.parametrize("cut", [slice(0, 3), slice(0, -2), slice(None, None)])
def test_a_torn_stream_is_refused(cut: slice) -> None:
    values, contexts = np.arange(100) % 7, np.zeros(100, np.int64)
    data = encode_numbers(values, contexts)
    if cut == slice(None, None):
        data, cut = data + b"\0\0", slice(None)
    with pytest.raises((ValueError, struct.error)):
        decode(data[cut], contexts, np.zeros(100, np.int64), numbers=True)


def test_the_bits_of_numbers() -> None:
    values = np.array([0, 1, 2, 3, 4, OWN - 1, OWN, 255, 256, (1 << 31) - 1])
    assert bit_length(values).tolist() == [int(value).bit_length() for value in values]
