"""Files are written whole or not at all: a temporary name beside the target, flushed to disk, then renamed.

A fingerprint is a short name of their exact content.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from asr.errors import AsrError

LENGTH = 16
"""Hexadecimal digits of a fingerprint."""
_KEPT_OF_NAME = 80
"""Letters of a file's name that its temporary name has."""


@contextmanager
def write_whole(path: Path | str, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file that appears under `path` only when the block ends without an error.

    Text is UTF-8 with `\\n` line ends. On any error, Ctrl-C included, nothing is left behind and a former file
    of that name stays as it was. A pipe, a device or an open file (`/dev/stdout`) is written to as it is. Raises
    `AsrError` naming `path` when the disk is full or not writable.
    """
    path = Path(path)
    options: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    # Named before it exists: whenever Ctrl-C comes, what must go is known.
    temporary = path.parent / f".{path.name[:_KEPT_OF_NAME]}.{os.urandom(4).hex()}.part"
    try:
        if is_stream(path) or _names_open_file(path):
            with path.open(mode, **options) as file:
                yield file
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open(mode.replace("w", "x"), **options) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise AsrError(f"cannot write {path}: {reason}", "Free some space or choose another place.") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a pipe or a device: what is read from it is gone, and it holds no file to replace."""
    path = Path(path)
    return path.exists() and not (path.is_file() or path.is_dir())


def is_file(path: str | os.PathLike[str]) -> bool:
    """`Path.is_file`, but false where that raises: for too long a name, or in a folder that may not be entered."""
    return os.path.isfile(path)  # noqa: PTH113


def _names_open_file(path: Path) -> bool:
    """Whether `path` is `/dev/stdout`, `/dev/fd/1` or the like: a link that a new file must not take the place of."""
    folder = os.path.realpath(path.parent)
    return folder == "/dev" or folder.startswith(("/dev/fd", "/proc/"))


def make_folder(path: Path) -> None:
    """Make a folder and its parents. Raises `AsrError` naming it when that cannot be done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AsrError(f"cannot make the folder {path}: {error.strerror}", "Choose another place.") from error


def hold_lock(file: IO[Any], wait: bool = True) -> None:
    """Hold a lock on an open file until it is closed or the process ends, however it ends.

    Raises `BlockingIOError` where another process holds it (on Windows `PermissionError`), at once unless `wait`.
    """
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def walk(root: Path) -> Iterator[Path]:
    """The folders and files at any depth beneath `root`, folders first, through links to folders too.

    A folder that is reached twice is read once, so that links may lead in circles.
    """
    entered: set[Path] = set()
    waiting = [root]
    for start in waiting:  # links wait, so that a folder goes by its own name where it has one beneath `root`
        for name, folders, files in os.walk(start):
            place = Path(name)
            if (real := place.resolve()) in entered:
                folders.clear()
                continue
            entered.add(real)
            folders.sort()
            waiting += [place / inner for inner in folders if (place / inner).is_symlink()]
            yield from (place / inner for inner in folders)
            yield from (place / file for file in sorted(files))


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` whole or not at all (see `write_whole`)."""
    with write_whole(path) as file:
        file.write(text)


def parse_json(text: str, **options: Any) -> Any:
    """The JSON that anybody may have written. `options` are those of `json.loads`.

    Raises `ValueError` for whatever is wrong with it: brackets too deep and numbers too long to be read, and half a
    surrogate pair, which could never be written again.
    """
    try:
        value = json.loads(text, **options)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("its brackets are too deep") from error
    return value


def clear_unfinished(folder: Path, prefix: str = "", seconds: float = 0.0) -> None:
    """Remove what killed writers left in and beneath `folder`; with `prefix`, in it alone of names that begin so.

    Where somebody else may be writing, what is younger than so many `seconds` stays.
    """
    found = folder.glob(f".{glob.escape(prefix[:_KEPT_OF_NAME])}*.part") if prefix else folder.rglob(".*.part")
    for leftover in found:
        with suppress(OSError):  # somebody else may be doing the same
            if not seconds or time.time() - leftover.stat().st_mtime > seconds:
                leftover.unlink()


def fingerprint_files(*paths: Path, root: Path | None = None) -> str:
    """The first hexadecimal digits of the SHA-256 of the files' names and contents, in the order of the names.

    Names are paths within `root` where it is given.
    """
    named = sorted((path.relative_to(root).as_posix() if root else path.name, path) for path in paths)
    digest = hashlib.sha256()
    for name, path in named:
        digest.update(name.encode() + b"\0" + str(path.stat().st_size).encode() + b"\0")
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:LENGTH]


def fingerprint_text(text: str) -> str:
    """The first hexadecimal digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def user_cache() -> Path:
    """The platform's folder for what may be deleted at any time."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (Path.home() raises where there is no home)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
