"""Symbols in as many bits as their probabilities ask for: asymmetric numeral systems.

J. Duda, "Asymmetric numeral systems: entropy coding combining speed of Huffman coding with compression rate of
arithmetic coding", arXiv 1311.2540, 2013; the variant with ranges. A state x takes up a symbol that has `frequency` of
every 4,096 and those before it `start` of them:

    x ← x // frequency · 4096 + x mod frequency + start

and gives it back, the last one first, so symbols are written from the last to the first. When x would leave 32 bits,
its lower 16 go to the stream. How frequent a symbol is depends on a context that reader and writer both know; the
frequencies are written before the stream, deflated.

Whole numbers of any size are symbols too: 0 to 7 are their own; of larger ones the length in bits and the two bits
below the first are the symbol, and the rest follows as it is.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.nn.numba_cache import Compiler

COMPILER = Compiler("language model files", [Path(__file__), Path(__file__).with_name("packing.py")])

BITS = 12
SCALE = 1 << BITS
WORD = 16
"""Bits that go to the stream at once; the state has between one and two words."""
LOWEST = 1 << WORD
OWN = 8
"""Numbers below are symbols of their own."""
HEAD = struct.Struct("<HHI")
"""Contexts, symbols, and bytes of the deflated frequencies."""
LEVEL = 9

Array = NDArray[Any]
Source = tuple[Array, Array, Array, Array]
"""What is read from: the stream; of every context and symbol (K, S) its frequency and start; and the symbol (K, 4096)
that each remainder of a state stands for."""


def encode(symbols: Array, contexts: Array, rest: Array | None = None) -> bytes:
    """The `symbols` (N,), uint8, in their `contexts` (N,); with the `rest` (N,) of numbers that they stand for."""
    frequency = fit_frequencies(symbols, contexts)
    table = zlib.compress(frequency.astype("<u2").tobytes(), LEVEL)
    stream = np.zeros(3 * len(symbols) + 2, np.uint16)
    rest = np.zeros(0, np.int64) if rest is None else rest.astype(np.int64)
    COMPILER.announce()
    first = _encode(symbols, contexts, rest, frequency, _starts(frequency), stream)
    return HEAD.pack(*frequency.shape, len(table)) + table + stream[first:].astype("<u2").tobytes()


def encode_numbers(values: Array, contexts: Array) -> bytes:
    """The whole numbers `values` (N,), from 0 on, in their `contexts` (N,)."""
    rest_bits = np.maximum(bit_length(values) - 3, 0)
    leading = values >> rest_bits
    symbols = np.where(values < OWN, values, OWN + 4 * (rest_bits - 1) + (leading & 3))
    return encode(symbols.astype(np.uint8), contexts, values - (leading << rest_bits))


def open_source(data: bytes | memoryview) -> Source:
    """What `encode` wrote, ready to be read. Raises `ValueError`, `struct.error` or `zlib.error` for something else."""
    contexts, symbols, size = HEAD.unpack_from(data)
    table = zlib.decompress(data[HEAD.size : HEAD.size + size])
    frequency = np.frombuffer(table, "<u2").reshape(contexts, symbols).astype(np.int32)
    stream = np.frombuffer(data[HEAD.size + size :], "<u2")
    used = frequency.sum(1) > 0
    if len(stream) < 2 or (frequency[used].sum(1) != SCALE).any():
        raise ValueError("a stream without state, or frequencies that do not sum up")
    lookup = np.zeros((contexts, SCALE), np.uint8)
    every = np.tile(np.arange(symbols, dtype=np.uint8), int(used.sum()))
    lookup[used] = np.repeat(every, frequency[used].ravel()).reshape(-1, SCALE)
    COMPILER.announce()
    return stream, frequency, _starts(frequency), lookup


def decode(data: bytes | memoryview, contexts: Array, out: Array, *, numbers: bool = False) -> None:
    """What `encode` wrote, or of `numbers` `encode_numbers`, into `out` (N,). Errors as of `open_source`."""
    source = open_source(data)
    if contexts.max(initial=0) >= len(source[1]):
        raise ValueError("a stream lacks contexts")
    check_end(_decode(source, contexts, numbers, out), source)


def check_end(place: int, source: Source) -> None:
    """Raises `ValueError` where reading ended at a `place` that is not the stream's end."""
    if place != len(source[0]):
        raise ValueError("a stream does not end where it should")


def fit_frequencies(symbols: Array, contexts: Array) -> Array:
    """How many of every 4,096 each symbol has in each context (K, S), int32; all 0 in contexts that never come."""
    shape = int(contexts.max(initial=0)) + 1, int(symbols.max(initial=0)) + 1
    places = contexts.astype(np.int64) * shape[1] + symbols
    counts = np.bincount(places, minlength=shape[0] * shape[1]).reshape(shape)
    frequency = np.zeros(shape, np.int32)
    for context in np.flatnonzero(counts.sum(1)):
        frequency[context] = _shares(counts[context])
    return frequency


def _shares(counts: Array) -> Array:
    """Whole shares of SCALE, none of them 0 where there is a count."""
    shares = np.maximum(counts * SCALE // counts.sum(), counts > 0)
    while surplus := int(shares.sum()) - SCALE:
        most = shares.argmax()
        shares[most] -= min(surplus, int(shares[most]) // 2)
    return np.asarray(shares)


def _starts(frequency: Array) -> Array:
    return (np.cumsum(frequency, axis=1) - frequency).astype(np.int32)


def bit_length(values: Array) -> Array:
    """How many bits each of the whole numbers takes, 0 for 0."""
    return np.asarray(np.frexp(values.astype(np.float64))[1])


@COMPILER.inner
def rest_bits(symbol: int) -> int:
    """How many bits of a number its symbol does not tell."""
    return 0 if symbol < OWN else (symbol - OWN) // 4 + 1


@COMPILER.inner
def put(state: int, start: int, frequency: int, bits: int, stream: Array, place: int) -> tuple[int, int]:
    """The state with a symbol taken up that has `frequency` of every 2^`bits`; and where the stream begins then."""
    if state >= frequency << (2 * WORD - bits):
        place -= 1
        stream[place] = state & (LOWEST - 1)
        state >>= WORD
    return (state // frequency << bits) + state % frequency + start, place


@COMPILER.kernel
def _encode(symbols: Array, contexts: Array, rest: Array, frequency: Array, start: Array, stream: Array) -> int:
    state, place = LOWEST, len(stream)
    for index in range(len(symbols) - 1, -1, -1):
        symbol, context = symbols[index], contexts[index]
        if len(rest):
            bits = rest_bits(symbol)
            low = min(bits, WORD)
            state, place = put(state, rest[index] & ((1 << low) - 1), 1, low, stream, place)
            state, place = put(state, rest[index] >> low, 1, bits - low, stream, place)
        state, place = put(state, start[context, symbol], frequency[context, symbol], BITS, stream, place)
    stream[place - 1] = state & (LOWEST - 1)
    stream[place - 2] = state >> WORD
    return place - 2


@COMPILER.inner
def first_state(stream: Array) -> tuple[int, int]:
    """The state that reading begins with, and where the stream goes on."""
    return np.int64(stream[0]) << WORD | stream[1], 2


@COMPILER.inner
def refill(state: int, place: int, stream: Array) -> tuple[int, int]:
    """The state with a word of the stream, where it has less than one of its own; and where the stream goes on."""
    if state < LOWEST and place < len(stream):
        return state << WORD | stream[place], place + 1
    return state, place


@COMPILER.inner
def take_symbol(source: Source, context: int, state: int, place: int) -> tuple[int, int, int]:
    """The next symbol, the state without it, and where the stream goes on."""
    stream, frequency, start, lookup = source
    remainder = state & (SCALE - 1)
    symbol = lookup[context, remainder]
    state = frequency[context, symbol] * (state >> BITS) + remainder - start[context, symbol]
    state, place = refill(state, place, stream)
    return symbol, state, place


@COMPILER.inner
def take_number(source: Source, context: int, state: int, place: int) -> tuple[int, int, int]:
    """The next whole number, the state without it, and where the stream goes on."""
    symbol, state, place = take_symbol(source, context, state, place)
    bits = rest_bits(symbol)
    if bits == 0:
        return symbol, state, place
    low = min(bits, WORD)
    high = state & ((1 << (bits - low)) - 1)
    state, place = refill(state >> (bits - low), place, source[0])
    rest = state & ((1 << low) - 1)
    state, place = refill(state >> low, place, source[0])
    return ((4 | (symbol - OWN) & 3) << bits) + (high << low) + rest, state, place


@COMPILER.kernel
def _decode(source: Source, contexts: Array, numbers: bool, out: Array) -> int:
    """Returns where the stream ended, -1 where it did not end well."""
    state, place = first_state(source[0])
    for index in range(len(out)):
        if numbers:
            out[index], state, place = take_number(source, contexts[index], state, place)
        else:
            out[index], state, place = take_symbol(source, contexts[index], state, place)
    return place if state == LOWEST else -1
