"""The binary form of an n-gram model: one small file that loads in a blink.

    "ASR-NGRAM 2\n" · header length (8 bytes, little-endian) · header (JSON) · parts, one after the other

Four ideas make it small.

- Log-probabilities and back-offs are quantized with a code book for each order, fitted by Lloyd's algorithm.
- The last word of an n-gram (a b c) follows from its place among the children of its context's suffix (b), since the
  n-gram (b c) is always listed; that place is a smaller number than the word's id, and gives the suffix link for
  nothing (Pibiri and Venturini, "Efficient data structures for massive n-gram datasets", SIGIR 2017).
- The children of a node stand in the order of their places, so the gap to the one before says as much as the place.
- Nearly all of these numbers are small: each of their four bytes is a row of its own, deflated.

The file is memory-mapped and unpacked into the flat arrays of `NgramModel` in compiled passes (`unpacking`). Files of
the former form are still read: 256 codes, places and no gaps, nothing deflated.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.errors import ModelError
from asr.io import write_whole
from asr.lm.ngram import Floats, Ints, NgramModel, block_starts

if TYPE_CHECKING:
    from asr.lm.unpacking import Rows

MAGIC = b"ASR-NGRAM 2\n"
FORMER_MAGIC = b"ASR-NGRAM 1\n"
LENGTH_BYTES = 8
CODES = 64
LLOYD_ROUNDS = 30
HISTOGRAM_BINS = 4096
LEVEL = 6
"""Of deflate; 9 saves half a per cent more and takes five times as long."""
HINT = "The file is torn or was changed: write it again."


def write_binary(model: NgramModel, path: Path | str) -> None:
    """Write `model` in the binary form."""
    content = pack(model)
    with write_whole(path, "wb") as file:
        file.write(content)


def pack(model: NgramModel) -> bytes:
    """The binary form of `model`."""
    parts = _pack_parts(model)
    body = b"".join(parts.values())
    sizes = {name: len(data) for name, data in parts.items()}
    header = json.dumps({"counts": model.counts, "parts": sizes, "crc32": zlib.crc32(body)}).encode()
    return MAGIC + len(header).to_bytes(LENGTH_BYTES, "little") + header + body


def _pack_parts(model: NgramModel) -> dict[str, bytes]:
    parts = {"words": zlib.compress("\n".join(model.words).encode(), 9)}
    for order, block in enumerate(model.blocks[1:], start=1):
        parts |= _pack_floats(f"log_prob{order}", model.log_prob[block])
        if order < model.order:
            parts |= _pack_floats(f"backoff{order}", model.backoff[block])
            parts |= _pack_ints(f"children{order}", np.diff(model.first_child[block.start : block.stop + 1]))
        if order > 1:
            parent = np.searchsorted(model.first_child, np.arange(block.start, block.stop), side="right") - 1
            place = model.suffix[block] - model.first_child[model.suffix[parent]]
            parts |= _pack_ints(f"gap{order}", _gaps(place, parent))
    return parts


def estimated_size(counts: list[int]) -> int:
    """Very roughly how many bytes the quantized form of `counts` n-grams of orders 1, 2, … takes."""
    each = [5.0] + [2.2] * (len(counts) - 1)
    if len(counts) > 1:
        each[1], each[-1] = 2.5, 1.5
    return int(np.dot(each, counts))


def is_binary(path: Path | str) -> bool:
    """Whether the file begins as the binary form does."""
    with Path(path).open("rb") as file:
        return file.read(len(MAGIC)) in (MAGIC, FORMER_MAGIC)


class Header(NamedTuple):
    """What a file in the binary form says of itself."""

    counts: list[int]
    """n-grams of orders 1, 2, …"""
    parts: dict[str, int]
    """Bytes of each part, in their order."""
    crc32: int
    """Of all parts together."""
    size: int
    """Bytes before the first part."""
    former: bool


def read_header(content: memoryview, path: Path | str) -> Header:
    """The header of `content`, that of `path`. Raises `ModelError` for a file that is torn or something else."""
    magic, body = bytes(content[: len(MAGIC)]), len(MAGIC) + LENGTH_BYTES
    if magic not in (MAGIC, FORMER_MAGIC):
        raise ModelError(f"{path} is not a language model in the binary form", HINT)
    size = body + int.from_bytes(content[len(MAGIC) : body], "little")
    try:
        header = json.loads(bytes(content[body:size]))
        header = Header(header["counts"], header["parts"], header["crc32"], size, magic == FORMER_MAGIC)
        whole = sum(header.parts.values()) == len(content) - size
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: the header cannot be read", HINT) from error
    if not whole:
        raise ModelError(f"{path}: the content is not what the header says", HINT)
    return header


def map_file(path: Path | str) -> memoryview:
    """The content of a file, mapped into memory. Raises `ModelError` naming one that cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the language model {path}: {error}") from error


def read_binary(path: Path | str) -> NgramModel:
    """Read the binary form. Raises `ModelError` naming the file when it is missing, torn or something else."""
    content = map_file(path)
    header = read_header(content, path)
    if zlib.crc32(content[header.size :]) != header.crc32:
        raise ModelError(f"{path}: the content is not what the header says", HINT)
    parts, start = {}, header.size
    for name, size in header.parts.items():
        parts[name] = content[start : start + size]
        start += size
    try:
        return _unpack(parts, header.counts, header.former)
    except (ValueError, KeyError, TypeError, IndexError, zlib.error) as error:
        raise ModelError(f"{path}: the header cannot be read", HINT) from error


def _unpack(parts: Mapping[str, bytes | memoryview], counts: list[int], former: bool) -> NgramModel:
    from asr.lm.unpacking import COMPILER, count_children, place_children

    COMPILER.announce()
    starts = block_starts(counts)
    total, highest = starts[-1], len(counts)
    word = np.full(total, -1, np.int32)
    log_prob, backoff = np.zeros(total, np.float32), np.zeros(total, np.float32)
    first_child = np.full(starts[-2] + 1, total, np.int32)
    first_child[0] = 1
    suffix = np.zeros(total, np.int32)
    # How the n-grams hang together is a chain from order to order; what they weigh is unpacked beside it.
    with ThreadPoolExecutor(1) as beside:
        weights = beside.submit(_unpack_weights, parts, starts, log_prob, backoff)
        for order, count in enumerate(counts, start=1):
            above, start, end = starts[order - 1], starts[order], starts[order + 1]
            if order == 1:
                word[start:end] = np.arange(count)
            elif former:
                place = _former_ints(parts, f"place{order}", count)
                gaps = _gaps(place, np.repeat(np.arange(start - above), np.diff(first_child[above : start + 1])))
                place_children(_bytes_of(gaps), above, start, first_child, suffix, word)
            else:
                place_children(_unpack_bytes(parts, f"gap{order}", count), above, start, first_child, suffix, word)
            if order < highest:
                name = f"children{order}"
                children = _bytes_of(_former_ints(parts, name, count)) if former else _unpack_bytes(parts, name, count)
                count_children(children, start, first_child)
        weights.result()
    return NgramModel(
        order=highest,
        words=zlib.decompress(parts["words"]).decode().split("\n"),
        word=word,
        log_prob=log_prob,
        backoff=backoff,
        first_child=first_child,
        suffix=suffix,
    )


def _unpack_weights(
    parts: Mapping[str, bytes | memoryview], starts: Sequence[int], log_prob: Floats, backoff: Floats
) -> None:
    """Fill both for the n-grams of every order; those of the highest have no backoff."""
    highest = len(starts) - 2
    for order in range(1, highest + 1):
        own = slice(starts[order], starts[order + 1])
        _unpack_floats(parts, f"log_prob{order}", log_prob[own])
        if order < highest:
            _unpack_floats(parts, f"backoff{order}", backoff[own])


def _pack_floats(name: str, values: Floats) -> dict[str, bytes]:
    if len(values) <= CODES:
        return {name: values.astype("<f4").tobytes()}
    book = fit_codebook(values)
    codes = np.searchsorted((book[1:] + book[:-1]) / 2, values).astype(np.uint8)
    return {f"{name}.book": book.astype("<f4").tobytes(), f"{name}.codes": zlib.compress(codes.tobytes(), LEVEL)}


def _unpack_floats(parts: Mapping[str, bytes | memoryview], name: str, out: Floats) -> None:
    if name in parts and f"{name}.book" not in parts:
        out[:] = np.frombuffer(parts[name], "<f4", len(out))
        return
    from asr.lm.unpacking import look_up_codes

    book = np.frombuffer(parts[f"{name}.book"], "<f4").astype(np.float32)
    codes = zlib.decompress(parts[f"{name}.codes"]) if f"{name}.codes" in parts else parts[name]
    look_up_codes(book, np.frombuffer(codes, np.uint8, len(out)), out)


def fit_codebook(values: Floats) -> Floats:
    """64 sorted values that stand for all of `values` with little squared error (Lloyd, 1982).

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


def _gaps(place: Ints, parent: NDArray[np.int64]) -> Ints:
    """Each place as the number of those that are passed over since the sibling before, the first one as it is."""
    gaps = place.copy()
    siblings = 1 + np.flatnonzero(parent[1:] == parent[:-1])
    gaps[siblings] -= place[siblings - 1] + 1
    return np.asarray(gaps)


def _pack_ints(name: str, values: NDArray[Any]) -> dict[str, bytes]:
    """Whole numbers, byte by byte: all lowest bytes, then the next, as far as there are any but zeros."""
    rows = values.astype("<u4").view(np.uint8).reshape(-1, 4)
    used = 4 - next((k for k in range(4) if rows[:, 3 - k].any()), 4)
    return {f"{name}.{k}": zlib.compress(rows[:, k].tobytes(), LEVEL) for k in range(max(1, used))}


def _unpack_bytes(parts: Mapping[str, bytes | memoryview], name: str, count: int) -> Rows:
    """The rows of bytes of whole numbers, lowest first; empty those that are all zeros."""
    rows = [zlib.decompress(parts[f"{name}.{k}"]) if f"{name}.{k}" in parts else b"" for k in range(4)]
    if not all(len(row) in (0, count) for row in rows) or len(rows[0]) != count:
        raise ValueError(f"{name}: not {count} numbers")
    low, second, third, high = (np.frombuffer(row, np.uint8) for row in rows)
    return low, second, third, high


def _bytes_of(values: NDArray[Any]) -> Rows:
    """As `_unpack_bytes`, of numbers at hand."""
    low, second, third, high = values.astype("<u4").view(np.uint8).reshape(-1, 4).T.copy()
    return low, second, third, high


def _former_ints(parts: Mapping[str, bytes | memoryview], name: str, count: int) -> NDArray[Any]:
    """Whole numbers of one width, 1 to 4 bytes; the larger ones stand in a list."""
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
