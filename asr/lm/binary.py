"""The binary form of an n-gram model: one small file that loads in a blink.

    "ASR-NGRAM 3\n" · header length (8 bytes, little-endian) · header (JSON) · parts, one after the other

Four ideas make it small, 1.5 bytes an n-gram.

- Words are numbered from the likeliest one on.
- Log-probabilities and back-offs are quantized with a code book for each order, fitted by Lloyd's algorithm.
- The last word of an n-gram (a b c) follows from its place among the children of its context's suffix (b), since the
  n-gram (b c) is always listed; that place is a smaller number than the word's id, and gives the suffix link for
  nothing (Pibiri and Venturini, "Efficient data structures for massive n-gram datasets", SIGIR 2017). The children of a
  node stand in the order of their places, so the gap to the one before says as much as the place.
- What is written before tells much of what comes: where children lie dense the gaps are small, and an n-gram is about
  as likely as its suffix. Each of these numbers takes as many bits as its probability beside them asks for (`ans`).

The file is memory-mapped and unpacked into the flat arrays of `NgramModel` (`packing`). Files of two former forms are
still read.
"""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from asr.errors import ModelError
from asr.io import parse_json, write_whole
from asr.lm.ngram import NgramModel

FIRST, SECOND, MAGIC = (b"ASR-NGRAM %d\n" % form for form in (1, 2, 3))
LENGTH_BYTES = 8
MOST_NODES = 2**31 - 1
HINT = "The file is torn or was changed: write it again."


def write_binary(model: NgramModel, path: Path | str) -> None:
    """Write `model` in the binary form; its words are numbered anew."""
    content = pack(model)
    with write_whole(path, "wb") as file:
        file.write(content)


def pack(model: NgramModel) -> bytes:
    """The binary form of `model`."""
    from asr.lm.packing import pack_parts

    parts = pack_parts(model)
    body = b"".join(parts.values())
    sizes = {name: len(data) for name, data in parts.items()}
    header = json.dumps({"counts": model.counts, "parts": sizes, "crc32": zlib.crc32(body)}).encode()
    return MAGIC + len(header).to_bytes(LENGTH_BYTES, "little") + header + body


def is_binary(path: Path | str) -> bool:
    """Whether the file begins as the binary form does. Raises `ModelError` naming one that cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(len(MAGIC)) in (FIRST, SECOND, MAGIC)
    except OSError as error:
        raise ModelError(f"cannot read the language model {path}: {error.strerror or error}") from error


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
    magic: bytes


def read_header(content: memoryview, path: Path | str) -> Header:
    """The header of `content`, that of `path`. Raises `ModelError` for a file that is torn or something else."""
    magic, body = bytes(content[: len(MAGIC)]), len(MAGIC) + LENGTH_BYTES
    if magic not in (FIRST, SECOND, MAGIC):
        raise ModelError(f"{path} is not a language model in the binary form", HINT)
    size = body + int.from_bytes(content[len(MAGIC) : body], "little")
    try:
        header = parse_json(bytes(content[body:size]).decode())
        header = Header(header["counts"], header["parts"], header["crc32"], size, magic)
        sizes = list(header.parts.values())
        if not all(isinstance(number, int) and number >= 0 for number in [*header.counts, *sizes]):
            raise ValueError("these are no numbers of n-grams or bytes")
        if sum(header.counts) >= MOST_NODES:
            raise ValueError(f"{sum(header.counts)} n-grams are more than can be numbered")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{path}: the header cannot be read", HINT) from error
    if sum(sizes) != len(content) - size:
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
    from asr.lm.packing import unpack_former, unpack_parts

    content = map_file(path)
    header = read_header(content, path)
    if zlib.crc32(content[header.size :]) != header.crc32:
        raise ModelError(f"{path}: the content is not what the header says", HINT)
    parts, start = {}, header.size
    for name, size in header.parts.items():
        parts[name] = content[start : start + size]
        start += size
    try:
        if header.magic != MAGIC:
            return unpack_former(parts, header.counts, deflated=header.magic == SECOND)
        return unpack_parts(parts, header.counts)
    except (ValueError, KeyError, TypeError, IndexError, struct.error, zlib.error) as error:
        raise ModelError(f"{path}: the header cannot be read", HINT) from error
