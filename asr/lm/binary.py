"""The binary form of an n-gram model: one small file that loads in a blink.

    "ASR-NGRAM 1\n" · header length (8 bytes, little-endian) · header (JSON) · parts, one after the other

Three ideas make it small.

- Log-probabilities and back-offs are quantized to 8 bits with a code book for each order, fitted by Lloyd's algorithm.
- The children of a node are stored as their number; whole numbers take the narrowest width, the few that do not fit
  stand in a list of exceptions.
- The last word of an n-gram (a b c) follows from its place among the children of its context's suffix (b), since the
  n-gram (b c) is always listed; that place is a smaller number than the word's id, and gives the suffix link for
  nothing (Pibiri and Venturini, "Efficient data structures for massive n-gram datasets", SIGIR 2017).

The file is memory-mapped and unpacked into the flat arrays of `NgramModel` with a few gathers per order.
"""

from __future__ import annotations

import json
import mmap
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.errors import ModelError
from asr.io import write_whole
from asr.lm.ngram import Floats, Ints, NgramModel, block_starts, minimal_states

MAGIC = b"ASR-NGRAM 1\n"
LENGTH_BYTES = 8
CODES = 256
LLOYD_ROUNDS = 30
HISTOGRAM_BINS = 4096
HINT = "The file is torn or was changed: write it again."


def write_binary(model: NgramModel, path: Path | str, *, quantize: bool = True) -> None:
    """Write `model` in the binary form; `quantize=False` keeps every number as float32."""
    parts = _Parts()
    parts.add("words", zlib.compress("\n".join(model.words).encode(), 9))
    for order, block in enumerate(model.blocks[1:], start=1):
        _pack_floats(parts, f"log_prob{order}", model.log_prob[block], quantize)
        if order < model.order:
            _pack_floats(parts, f"backoff{order}", model.backoff[block], quantize)
            _pack_ints(parts, f"children{order}", np.diff(model.first_child[block.start : block.stop + 1]))
        if order > 1:
            parent = np.searchsorted(model.first_child, np.arange(block.start, block.stop), side="right") - 1
            place = model.suffix[block] - model.first_child[model.suffix[parent]]
            _pack_ints(parts, f"place{order}", place)
    body = b"".join(parts.data)
    header = json.dumps({"counts": model.counts, "parts": parts.sizes, "crc32": zlib.crc32(body)}).encode()
    with write_whole(path, "wb") as file:
        file.write(MAGIC + len(header).to_bytes(LENGTH_BYTES, "little") + header)
        file.write(body)


def estimated_size(counts: list[int]) -> int:
    """About how many bytes the quantized form of `counts` n-grams of orders 1, 2, … takes, or a few per cent less."""
    n_words = counts[0]
    place_of_word = 2 if n_words < 1 << 16 else 3
    size = 4 * n_words  # the vocabulary, compressed
    for order, count in enumerate(counts, start=1):
        place = 0 if order == 1 else place_of_word if order == 2 else 2
        context = 0 if order == len(counts) else 3 if order == 1 else 2
        size += count * (place + context + 1)
    return size


def is_binary(path: Path | str) -> bool:
    """Whether the file begins as the binary form does."""
    with Path(path).open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read_binary(path: Path | str) -> NgramModel:
    """Read the binary form. Raises `ModelError` naming the file when it is missing, torn or something else."""
    try:
        with Path(path).open("rb") as file:
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the language model {path}: {error}") from error
    if content[: len(MAGIC)] != MAGIC:
        raise ModelError(f"{path} is not a language model in the binary form", HINT)
    body = len(MAGIC) + LENGTH_BYTES
    body += int.from_bytes(content[len(MAGIC) : body], "little")
    try:
        header = json.loads(bytes(content[len(MAGIC) + LENGTH_BYTES : body]))
        if sum(header["parts"].values()) != len(content) - body or zlib.crc32(content[body:]) != header["crc32"]:
            raise ModelError(f"{path}: the content is not what the header says", HINT)
        parts: dict[str, memoryview] = {}
        for name, size in header["parts"].items():
            parts[name] = content[body : body + size]
            body += size
        return _unpack(parts, header["counts"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error) as error:
        raise ModelError(f"{path}: the header cannot be read", HINT) from error


def _unpack(parts: dict[str, memoryview], counts: list[int]) -> NgramModel:
    starts = block_starts(counts)
    total, highest = starts[-1], len(counts)
    word = np.full(total, -1, np.int32)
    log_prob, backoff = np.zeros(total, np.float32), np.zeros(total, np.float32)
    first_child = np.full(total + 1, total, np.int32)
    first_child[0] = 1
    suffix = np.zeros(total, np.int32)
    for order, count in enumerate(counts, start=1):
        start, end = starts[order], starts[order + 1]
        _unpack_floats(parts, f"log_prob{order}", log_prob[start:end])
        if order == 1:
            word[start:end] = np.arange(count)
        else:
            # Which shorter n-gram each one extends is told by the numbers of children.
            above = slice(starts[order - 1], start)
            places_from = np.repeat(first_child[suffix[above]], np.diff(first_child[above.start : above.stop + 1]))
            np.add(places_from, _unpack_ints(parts, f"place{order}", count), out=suffix[start:end])
            np.take(word, suffix[start:end], out=word[start:end], mode="clip")
        if order < highest:
            _unpack_floats(parts, f"backoff{order}", backoff[start:end])
            first_child[start] = end
            first_child[start + 1 : end + 1] = end + np.cumsum(_unpack_ints(parts, f"children{order}", count))
    return NgramModel(
        order=highest,
        words=zlib.decompress(parts["words"]).decode().split("\n"),
        word=word,
        log_prob=log_prob,
        backoff=backoff,
        first_child=first_child,
        suffix=suffix,
        state=minimal_states(starts, backoff, first_child, suffix),
    )


class _Parts:
    """The named parts of a file being written, in order."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}
        self.data: list[bytes] = []

    def add(self, name: str, data: bytes) -> None:
        self.sizes[name] = len(data)
        self.data.append(data)


def _pack_floats(parts: _Parts, name: str, values: Floats, quantize: bool) -> None:
    if not quantize or len(values) <= CODES:
        parts.add(name, values.astype("<f4").tobytes())
        return
    book = fit_codebook(values)
    parts.add(name + ".book", book.astype("<f4").tobytes())
    parts.add(name, np.searchsorted((book[1:] + book[:-1]) / 2, values).astype(np.uint8).tobytes())


def _unpack_floats(parts: dict[str, memoryview], name: str, out: Floats) -> None:
    if name + ".book" not in parts:
        out[:] = np.frombuffer(parts[name], "<f4", len(out))
        return
    book = np.frombuffer(parts[name + ".book"], "<f4", CODES).astype(np.float32)
    # "clip" lets `take` write in place; codes are single bytes, so there is nothing to clip.
    np.take(book, np.frombuffer(parts[name], np.uint8, len(out)), out=out, mode="clip")


def fit_codebook(values: Floats) -> Floats:
    """256 sorted values that stand for all of `values` with little squared error (Lloyd, 1982).

    0 is always among them when `values` holds it: it says that a node is no context, and must stay exact.
    """
    distinct = np.unique(values)
    if len(distinct) <= CODES:
        return np.pad(distinct, (0, CODES - len(distinct)), mode="edge")
    ordered = np.sort(values[values != 0]).astype(np.float64)
    n_codes = CODES - int(0 in distinct)
    # For the smallest error codes lie as densely as the cube root of the values (Panter and Dite, 1951). Begin so, with
    # both extremes among them, then move each code to the mean of the values nearest to it.
    heights, edges = np.histogram(ordered, HISTOGRAM_BINS)
    share = np.concatenate([[0.0], np.cumsum(np.cbrt(heights))])
    codes = np.interp(np.linspace(0, share[-1], n_codes), share, edges)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(LLOYD_ROUNDS):
        edges = np.concatenate([[0], np.searchsorted(ordered, (codes[1:] + codes[:-1]) / 2), [len(ordered)]])
        members = np.diff(edges)
        codes = np.where(members > 0, np.diff(sums[edges]) / np.maximum(members, 1), codes)
    return np.sort(np.concatenate([codes, np.zeros(CODES - n_codes)])).astype(np.float32)


def _pack_ints(parts: _Parts, name: str, values: NDArray[Any]) -> None:
    """Whole numbers in 1 to 4 bytes each, whichever is smallest with the larger ones listed apart (8 bytes each)."""
    width = min(range(1, 5), key=lambda width: width * len(values) + 8 * int(np.sum(values >= 1 << 8 * width)))
    rows = values.astype("<u4").view(np.uint8).reshape(-1, 4)[:, :width]
    large = np.flatnonzero(values >= 1 << 8 * width)
    parts.add(f"{name}.{width}", rows.tobytes())
    parts.add(f"{name}.large", np.stack([large, values[large]]).astype("<u4").tobytes())


def _unpack_ints(parts: dict[str, memoryview], name: str, count: int) -> Ints:
    width = next(width for width in range(1, 5) if f"{name}.{width}" in parts)
    data = parts[f"{name}.{width}"]
    if width == 3:
        rows = np.zeros((count, 4), np.uint8)
        rows[:, :3] = np.frombuffer(data, np.uint8).reshape(count, 3)
        values = rows.view("<i4")[:, 0]
    else:
        values = np.frombuffer(data, f"<u{width}", count).astype(np.int32)
    large, exact = np.frombuffer(parts[f"{name}.large"], "<u4").reshape(2, -1)
    values[large] = exact
    return values
