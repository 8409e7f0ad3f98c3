"""A multipart upload as it comes in: small fields in memory, the one file straight to disk, all of it bounded.

Files on disk always go away, even those of a server that was killed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from asr.errors import AsrError
from asr.io import hold_lock
from asr.serve.api import ApiError, Upload
from asr.serve.security import MEGABYTE, ServeOptions

_MAX_FIELDS = 64
_MAX_FIELD = 64_000
_MAX_HEADERS = 8_000


async def receive_upload(request: Request, target: Path, options: ServeOptions) -> Upload:
    """Read a multipart form whose part `file` goes to `target`.

    Raises `ApiError` for a form that is malformed, too large (413) or too slow (408).
    """
    kind, parameters = parse_options_header(request.headers.get("content-type", ""))
    boundary = parameters.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ApiError(
            400, "send multipart/form-data with a boundary, and the recording as its part `file`", "invalid_body"
        )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > options.max_upload + MEGABYTE:
        raise _too_large(options)
    try:
        with target.open("wb") as file:
            form = _Form(file, options)
            parser = MultipartParser(boundary, form.callbacks())  # type: ignore[arg-type]
            async for block in read_blocks(request, options, options.max_upload + MEGABYTE, _too_large(options)):
                parser.write(block)
                await form.flush()
            parser.finalize()
    except (FormParserError, ValueError) as error:
        raise ApiError(400, f"the multipart form is malformed: {error}", "invalid_body") from error
    except OSError as error:  # when the file is closed too, until when the last of it waits in memory
        raise ApiError(507, f"the upload cannot be kept: {error.strerror}", "storage_full") from error
    if not form.ended:
        raise ApiError(400, "the multipart form ends before its last boundary", "invalid_body")
    return form.upload


async def read_blocks(request: Request, options: ServeOptions, most: int, too_large: ApiError) -> AsyncIterator[bytes]:
    """The body as it comes, as long as it keeps coming. Raises `too_large` for more than `most` bytes.

    The time that is allowed grows with what has come, so that neither silence nor a drip holds a place for long.
    """
    clock = asyncio.get_running_loop().time
    began, received = clock(), 0
    stream = request.stream()
    while True:
        patience = began + options.upload_patience + received / options.upload_rate - clock()
        try:
            block = await asyncio.wait_for(anext(stream, None), max(0.0, patience))
        except asyncio.TimeoutError as error:
            text = f"the upload came too slowly ({received:,} bytes so far); try again on a better line"
            raise ApiError(408, text, "upload_timeout", headers={"Connection": "close"}) from error
        if block is None:
            return
        received += len(block)
        if received > most:
            raise too_large
        yield block


def _too_large(options: ServeOptions) -> ApiError:
    return ApiError(
        413,
        f"the upload is larger than {options.max_upload / MEGABYTE:g} MB; send a compressed format such as opus, "
        "or start the server with a larger --max-upload",
        "file_too_large",
        "file",
    )


class _Form:
    """What the parser calls back: it keeps fields, and hands the bytes of the file on."""

    def __init__(self, file: IO[bytes], options: ServeOptions) -> None:
        self.upload = Upload()
        self.ended = False
        self._options = options
        self._file = file
        self._written = 0
        self._blocks: list[bytes] = []
        self._parts = 0
        self._headers = 0
        self._header = bytearray(), bytearray()
        self._disposition = b""
        self._name = ""
        self._value = bytearray()
        self._is_file = False

    def callbacks(self) -> dict[str, object]:
        """By the names that the parser knows."""
        names = ["part_begin", "part_data", "part_end", "header_field", "header_value", "header_end"]
        return {f"on_{name}": getattr(self, f"_{name}") for name in [*names, "headers_finished", "end"]}

    async def flush(self) -> None:
        """Write what has come of the file, in another thread: a disk may be slow."""
        if self._blocks:
            data, self._blocks = b"".join(self._blocks), []
            self._written += len(data)
            if self._written > self._options.max_upload:
                raise _too_large(self._options)
            await asyncio.to_thread(self._file.write, data)

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > _MAX_FIELDS:
            raise ApiError(400, f"the form has more than {_MAX_FIELDS} parts", "invalid_body")
        self._headers, self._disposition, self._name = 0, b"", ""
        self._value, self._is_file = bytearray(), False

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header[1].extend(data[start:end])

    def _count_header(self, size: int) -> None:
        self._headers += size
        if self._headers > _MAX_HEADERS:
            raise ApiError(400, "a part of the form has headers without end", "invalid_body")

    def _header_end(self) -> None:
        name, value = self._header
        if bytes(name).lower() == b"content-disposition":
            self._disposition = bytes(value)
        self._header = bytearray(), bytearray()

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if not self._name:
            raise ApiError(400, "a part of the form has no name", "invalid_body")
        if self._name != "file":
            return
        if self.upload.file_name is not None:
            raise ApiError(400, "the form has more than one part `file`; send one recording a request", "invalid_body")
        self._is_file = True
        self.upload.file_name = display_name(options.get(b"filename", b"").decode("utf-8", "replace"))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file:
            self._blocks.append(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > _MAX_FIELD:
            raise ApiError(400, f"the field {self._name[:60]!r} is too long", "invalid_body", self._name[:60])

    def _part_end(self) -> None:
        if not self._is_file:
            self.upload.fields.setdefault(self._name, []).append(self._value.decode("utf-8", "replace"))

    def _end(self) -> None:
        self.ended = True


def display_name(name: str) -> str:
    """What a client calls its file, for messages and transcripts only: one short line, and no path."""
    name = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(letter if letter.isprintable() else "_" for letter in name)[:120] or "the recording"


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
                    hold_lock(lock)
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
                hold_lock(lock, wait=False)
                shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    return sys.platform == "win32" or folder.lstat().st_uid == os.getuid()
