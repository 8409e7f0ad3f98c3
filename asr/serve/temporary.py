"""Uploads on disk: files that always go away, even those of a server that was killed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from asr.errors import AsrError

_PREFIX = "asr-serve-"
_LOCK = ".lock"


class TemporaryFolder:
    """A private folder for uploads, locked as long as its server lives.

    A new one removes the folders of servers that died without a chance to do so: those whose lock nobody holds.
    """

    def __init__(self, parent: Path | None = None) -> None:
        self._parent = parent or Path(tempfile.gettempdir())
        _sweep(self._parent)
        self.path, self._lock = self._make()

    def _make(self) -> tuple[Path, IO[str]]:
        try:
            while True:
                path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self._parent))
                with suppress(FileNotFoundError):  # another server took it for a dead one's, before it was locked
                    lock = (path / _LOCK).open("w")
                    _take(lock)
                    if path.is_dir():
                        return path, lock
                    lock.close()
        except OSError as error:
            raise AsrError(
                f"cannot make a folder for uploads in {self._parent}: {error.strerror}", "Set TMPDIR to another place."
            ) from error

    @contextmanager
    def new_file(self) -> Iterator[Path]:
        """The path of a new, empty file that is removed when the block ends. Its name tells nothing."""
        handle, name = tempfile.mkstemp(prefix="upload-", dir=self.path)
        os.close(handle)
        try:
            yield Path(name)
        finally:
            with suppress(OSError):
                Path(name).unlink()

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _sweep(parent: Path) -> None:
    """Remove what killed servers of this user left in `parent`; never through a link."""
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.is_symlink() or not folder.is_dir() or not _is_ours(folder):
                continue
            if not (folder / _LOCK).exists():
                folder.rmdir()  # only where it is empty
                continue
            with (folder / _LOCK).open("r+") as lock:
                _take(lock, wait=False)
                shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    return sys.platform == "win32" or folder.lstat().st_uid == os.getuid()


def _take(lock: IO[str], wait: bool = True) -> None:
    """Hold a lock until its file is closed or the process ends. Raises `OSError` when another holds it."""
    if sys.platform == "win32":
        return  # an open file cannot be removed there, which is lock enough
    import fcntl

    fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
