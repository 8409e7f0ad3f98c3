"""Columns of whole numbers in files: as long as the disk allows, and never in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from asr.errors import DataError


class Column:
    """A one-dimensional array in a file, which grows at its end and is read slice by slice."""

    def __init__(self, path: Path, dtype: DTypeLike = np.int32) -> None:
        self.path, self._dtype, self._length = path, np.dtype(dtype), 0
        path.write_bytes(b"")

    def __len__(self) -> int:
        """Numbers written so far."""
        return self._length

    def __getitem__(self, where: slice) -> NDArray[Any]:
        """A copy of a slice without a step."""
        start, stop, _ = where.indices(self._length)
        return np.fromfile(self.path, self._dtype, max(0, stop - start), offset=start * self._dtype.itemsize)

    def append(self, values: NDArray[Any]) -> None:
        """Write `values` at the end. Raises `DataError` where the disk is full."""
        try:
            with self.path.open("ab") as file:
                file.write(np.ascontiguousarray(values, self._dtype).data)
        except OSError as error:
            raise DataError(
                f"cannot write the temporary file {self.path}: {error.strerror or error}",
                "Counting takes some 60 bytes of disk for each word; the environment variable TMPDIR says where.",
            ) from error
        self._length += len(values)

    def remove(self) -> None:
        """Give the disk back; the column is empty then."""
        self.path.unlink()
        self._length = 0


def spans(length: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that together cover `length`."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))
