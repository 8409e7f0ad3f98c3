"""WAV headers that lie mildly: never finished, stale, or a few bytes off.

A recorder that is killed leaves a data size of 0; one that rewrites its header now and then leaves a size that was
true once; some apps write the size of the whole file. The sound is there all the same, so it is read to the end of the
file, as ffmpeg reads it. A recording that lacks more than `TOLERANCE` of what its header promises is cut short, and
stays an error.

Format: Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOLERANCE = 0.1
"""Seconds that a header may promise too much."""

_LONGEST_CHUNK_LIST = 64


@dataclass(frozen=True)
class Repair:
    """The data chunk's true size: `size` bytes, in place of what stands at byte `at`."""

    at: int
    size: int
    notice: str = ""

    def patches(self, length: int) -> dict[int, bytes]:
        """What a file of `length` bytes would have at which place if its header told the truth."""
        return {4: struct.pack("<I", min(length - 8, 0xFFFFFFFF)), self.at: struct.pack("<I", self.size)}


def states_no_length(size: int) -> bool:
    """Whether a data size is what programs write that cannot know it; libsndfile reads such files to their end."""
    return 0x7FFF0000 <= size <= 0x80000000 or size >= 0xFFFF0000


def find_repair(data: str | bytes) -> Repair | None:
    """What to mend in the header of a WAV, a path or the whole bytes; None for one that tells the truth."""
    with opened(data) as file:
        length = file.seek(0, io.SEEK_END)
        file.seek(0)
        if file.read(4) != b"RIFF" or file.read(8)[4:] != b"WAVE":
            return None
        rate, align = 0, 1
        for place, name, size in _chunks(file, 12):
            if name == b"data":
                return _examine(file, place + 4, size, length, rate, align)
            if name == b"fmt " and len(form := file.read(16)) == 16:
                rate, align = struct.unpack("<IH", form[8:14])
        return None


def _chunks(file: Any, place: int) -> Iterator[tuple[int, bytes, int]]:
    """Place, name and size of each chunk from `place` on, with the file behind its head."""
    for _ in range(_LONGEST_CHUNK_LIST):
        file.seek(place)
        head = file.read(8)
        if len(head) < 8:
            return
        name, size = struct.unpack("<4sI", head)
        yield place, name, size
        place += 8 + size + size % 2


def _examine(file: Any, at: int, size: int, length: int, rate: int, align: int) -> Repair | None:
    """Compare the data chunk's `size` with what is there; `rate` in bytes a second, `align` the bytes of a frame."""
    start = at + 4
    held = (length - start) // max(align, 1) * max(align, 1)
    if not held or states_no_length(size):
        return None
    if size > length - start:
        return Repair(at, held) if size - (length - start) <= TOLERANCE * rate else None
    if size == 0:
        return Repair(at, held, "has a header that was never finished: read to the end of the file")
    if length - start - size < max(align, 8) or _are_chunks(file, start + size + size % 2, length):
        return None
    return Repair(at, held, f"has a wrong header ({size / max(rate, 1):.1f} s): read to the end of the file")


def _are_chunks(file: Any, place: int, length: int) -> bool:
    """Whether from `place` on the file is chunks to its end, or zeros that pad it, and not sound."""
    for start, name, size in _chunks(file, place):
        if not size and not any(name):
            return not any(block.strip(b"\0") for block in iter(lambda: file.read(1 << 20), b""))
        if not all(0x20 <= letter < 0x7F for letter in name) or size > length - start - 8:
            return False
    return True


class InMemory(io.BytesIO):
    """The bytes of a file for libsndfile, which may seek to before the beginning of a damaged one: it stays then."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file, where there is such a place."""
        with suppress(ValueError):
            super().seek(offset, whence)
        return self.tell()


class RepairedFile(io.FileIO):
    """The file at `path` as it would be with a true header, for libsndfile to read."""

    def __init__(self, path: str, repair: Repair) -> None:
        super().__init__(path)
        self._patches = repair.patches(Path(path).stat().st_size)

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` from where the file stands."""
        start, view = self.tell(), memoryview(buffer).cast("B")
        count = super().readinto(view)
        for at, patch in self._patches.items():
            for offset, byte in enumerate(patch, at - start):
                if 0 <= offset < count:
                    view[offset] = byte
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """As of any file, where there is such a place."""
        with suppress(OSError):
            super().seek(offset, whence)
        return self.tell()


def for_libsndfile(data: str | bytes, repair: Repair | None) -> Any:
    """What libsndfile is to read: a path as it is, or a file whose header is mended."""
    if isinstance(data, str):
        return RepairedFile(data, repair) if repair else data
    file = InMemory(data)
    for at, patch in repair.patches(len(data)).items() if repair else ():
        file.seek(at)
        file.write(patch)
    file.seek(0)
    return file


def opened(data: str | bytes) -> Any:
    """A binary file of a path, or of the whole bytes."""
    return InMemory(data) if isinstance(data, bytes) else Path(data).open("rb")
