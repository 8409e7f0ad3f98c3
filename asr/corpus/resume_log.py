"""What has been measured so far, kept beside the manifest to be: an interrupted preparation goes on where it stopped.

Appended line by line, so that it outlives a killed run too; a last line torn by the kill is passed over. A recording
that has changed since (another size or time of change) is measured again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from asr.corpus.manifest import Utterance
from asr.errors import AsrError

Measurement = tuple[float, float]
"""Duration in seconds, level in dBFS."""


class ResumeLog:
    """Measurements by recording and stretch."""

    def __init__(self, file: TextIO, known: dict[str, Measurement]) -> None:
        self._file = file
        self._known = known

    def find(self, draft: Utterance) -> Measurement | None:
        """What an earlier, interrupted run measured; None for what it did not reach or cannot be looked up."""
        return self._known.get(_key(draft))

    def add(self, draft: Utterance, measurement: Measurement) -> None:
        """Remember a measurement, on disk at once."""
        self._file.write(json.dumps([_key(draft), *measurement]) + "\n")
        self._file.flush()


@contextmanager
def open_resume_log(path: Path) -> Iterator[ResumeLog]:
    """The resume_log at `path`, gone again when the block ends well. Raises `AsrError` when it cannot be written."""
    known = dict(_read(path)) if path.exists() else {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise AsrError(f"cannot write to {path.parent}: {error.strerror}") from error
    with file:
        file.write("\n")  # parts what follows from a torn last line
        yield ResumeLog(file, known)
    path.unlink(missing_ok=True)


def _read(path: Path) -> Iterator[tuple[str, Measurement]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError, TypeError):
            key, duration, level = json.loads(line)
            yield key, (duration, level)


def _key(draft: Utterance) -> str:
    try:
        status = draft.audio.stat()
    except OSError:
        return ""
    return f"{draft.audio.absolute()}|{status.st_size}|{status.st_mtime_ns}|{draft.offset}|{draft.duration}"
