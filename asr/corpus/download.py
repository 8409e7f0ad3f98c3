"""Fetching a published archive: resumable, checksummed, unpacked whole or not at all.

A download goes on where it stopped (HTTP ranges), also after a killed run; the published checksum is compared before
anything is unpacked; unpacking goes to a folder beside the target that is renamed at the end, so that a corpus folder
which exists is complete. What is there already is left alone.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from asr.errors import DataError

Report = Callable[[str, int, int | None], None]
"""Called with what is going on, the bytes done, and the bytes in all where known."""


def silent(what: str, done: int, total: int | None) -> None:
    """A `Report` that says nothing."""


_BLOCK = 1 << 20
_TIMEOUT = 30.0  # seconds without a byte
_ATTEMPTS = 5  # in a row without a byte gained


@dataclass(frozen=True)
class Archive:
    """A published tar archive.

    `checksum` is `md5:…` or `sha256:…` as its publisher gives it; `contents` is the folder it unpacks to, which marks
    the archive as done (`LibriSpeech/dev-clean`).
    """

    url: str
    checksum: str
    contents: str

    @property
    def name(self) -> str:
        """The file name."""
        return self.url.rpartition("/")[2]


def download(archive: Archive, root: Path, report: Report = silent) -> Path:
    """`<root>/<contents>`, fetched and unpacked unless it is there; an archive already in `root` is used and left.

    Raises `DataError` naming the address or file: out of reach, wrong checksum, hostile or torn archive, full disk.
    """
    target = root / archive.contents
    if target.is_dir():
        return target
    kept = (root / archive.name).exists()
    try:
        root.mkdir(parents=True, exist_ok=True)
        path = fetch(archive, root, report)
        unpack(path, root, report)
        if not target.is_dir():
            raise DataError(f"{path} holds no folder {archive.contents}")
        if not kept:
            path.unlink()
    except OSError as error:
        raise DataError(f"cannot download {archive.url} to {root}: {error.strerror or error}") from error
    return target


def fetch(archive: Archive, folder: Path, report: Report = silent) -> Path:
    """The archive in `folder`, its checksum verified. Goes on with `<name>.part` where an earlier run stopped."""
    path, part = folder / archive.name, folder / f"{archive.name}.part"
    if path.exists():
        if _digest(path, archive, report) == archive.checksum:
            return path
        path.replace(part)
    resumed = part.exists()
    while True:
        _fetch_bytes(archive.url, part, report)
        found = _digest(part, archive, report)
        if found == archive.checksum:
            part.replace(path)
            return path
        part.unlink()
        if not resumed:
            raise DataError(
                f"{archive.url} has the checksum {found}, published is {archive.checksum}",
                "The server gives something else than the corpus: try another --mirror, or later.",
            )
        resumed = False  # the piece kept from an earlier run may be to blame: once more from the start


def unpack(path: Path, root: Path, report: Report = silent) -> None:
    """Unpack a tar archive (gzip, bzip2, xz) into `root`, folder by folder whole or not at all.

    Only files and folders beneath `root` are accepted: links, devices, absolute names and `..` raise `DataError`
    before anything reaches `root`.
    """
    workshop = root / f".{path.name}.unpacking"
    shutil.rmtree(workshop, ignore_errors=True)
    workshop.mkdir()
    try:
        _extract(path, workshop, report)
        _move_into(workshop, root)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _fetch_bytes(url: str, part: Path, report: Report) -> None:
    """Append to `part` until it is as long as the server says, through torn connections."""
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _fetch_some(url, part, before, report):
                return
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise DataError(f"{url}: the server answers {error.code} {error.reason}") from error
            reason = f"the server answers {error.code} {error.reason}"
        except ValueError as error:  # no scheme, or no name of a server
            raise DataError(f"{url} is no address: {error}") from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", error))
        gained = part.exists() and part.stat().st_size > before
        failures = 0 if gained else failures + 1
        if failures >= _ATTEMPTS:
            raise DataError(
                f"{url} is out of reach: {reason}", "What has come is kept: run the same command again to go on."
            )
        time.sleep(min(2.0**failures, 30.0) / 4)


def _fetch_some(url: str, part: Path, start: int, report: Report) -> bool:
    """One request from byte `start` on; True when `part` is complete."""
    headers = {"User-Agent": "asr"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing lies beyond `start`: complete, or not this file; the checksum tells
            return True
        raise
    with response:
        if response.status != 206:
            start = 0  # the server knows no ranges
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            while block := response.read(_BLOCK):
                file.write(block)
                report(f"fetching {part.stem}", file.tell(), total)
            return total is None or file.tell() >= total


def _digest(path: Path, archive: Archive, report: Report) -> str:
    algorithm = archive.checksum.partition(":")[0]
    # MD5 guards against accidents here, and it is what OpenSLR publishes.
    digest = hashlib.new(algorithm, usedforsecurity=False)
    size = path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            report(f"checking {archive.name}", file.tell(), size)
    return f"{algorithm}:{digest.hexdigest()}"


def _extract(path: Path, folder: Path, report: Report) -> None:
    size = path.stat().st_size
    # Python before 3.12 has the filter only in its security releases; `_check` alone is already strict.
    options = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r|*") as archive:
            for member in archive:
                _check(member, path)
                archive.extract(member, folder, **options)  # type: ignore[arg-type]
                report(f"unpacking {path.name}", file.tell(), size)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{path} is torn or no tar archive: {error}") from error


def _check(member: tarfile.TarInfo, path: Path) -> None:
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts or "\\" in member.name:
        raise DataError(f"{path}: refused, it would write outside its folder ({member.name!r})")
    if not (member.isfile() or member.isdir()):
        raise DataError(f"{path}: refused, {member.name!r} is neither file nor folder")


def _move_into(source: Path, target: Path) -> None:
    """Rename everything in `source` into `target`: folders that are new in one step, others entry by entry."""
    for entry in sorted(source.iterdir(), key=lambda entry: entry.is_dir()):
        place = target / entry.name
        if entry.is_dir() and place.is_dir():
            _move_into(entry, place)
        else:
            entry.replace(place)
