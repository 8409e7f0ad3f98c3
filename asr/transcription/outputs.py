"""Where transcripts go: standard output, or a folder that mirrors the tree of the recordings."""

from __future__ import annotations

import glob
import json
import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from asr.errors import AsrError, UsageError
from asr.files import write_text
from asr.text.case import Case
from asr.transcription.formats import as_record, ctm_name, render
from asr.transcription.inputs import Input
from asr.transcription.result import Transcript

# Formats that cannot do without the times of words.
_WORD_FORMATS = {"srt", "vtt", "ctm", "json"}


class Printer:
    """Transcripts as text on a stream: one recording's alone, or each of several under its name.

    Several come as lines of name, tab, text (txt), as one JSON object a line, or as one CTM. Raises `UsageError` for
    formats that cannot stand behind one another, and for recordings that CTM cannot tell apart.
    """

    def __init__(self, form: str, names: Sequence[str], case: Case | None, stream: IO[str]) -> None:
        self._form = form
        self._alone = len(names) <= 1
        self._case = case
        self._stream = stream
        self.needs_words = form in _WORD_FORMATS
        if not self._alone and form not in ("txt", "json", "ctm"):
            raise UsageError(f"several recordings as {form} need -o, a folder to write them to")
        alike = [name for name, count in Counter(map(ctm_name, names)).items() if count > 1]
        if form == "ctm" and alike:
            raise UsageError(
                f"several recordings are called {alike[0]}, and a CTM could not tell them apart",
                "Use -o, a folder to write a file for each to, or rename them.",
            )

    def write(self, transcript: Transcript) -> None:
        """Print one transcript at once. Raises `AsrError` when the stream is full or closed."""
        if not self._alone and self._form == "txt":
            text = f"{transcript.name}\t{transcript.in_case(self._case or 'sentence').text}\n"
        elif not self._alone and self._form == "json":
            record = as_record(transcript.in_case(self._case or "sentence"))
            text = json.dumps(record, ensure_ascii=False) + "\n"
        else:
            text = render(transcript, self._form, self._case) or ("\n" if self._form == "txt" else "")
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            # What cannot be written now must not be tried again when the program ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise AsrError(f"cannot write to standard output: {error.strerror}") from error


class OutputFolder:
    """Files `PLACE.FORMAT` under `folder`, each written whole or not at all.

    Two recordings that differ in their suffix only keep it: `a.wav.txt` beside `a.flac.txt`.
    """

    def __init__(self, folder: Path, forms: Sequence[str], inputs: Sequence[Input], case: Case | None = None) -> None:
        self._folder = folder
        self._forms = forms
        self._case = case
        self.needs_words = not _WORD_FORMATS.isdisjoint(forms)
        stems = Counter(each.place.with_suffix("") for each in inputs)
        self._stems = {
            each.name: str(each.place) if stems[each.place.with_suffix("")] > 1 else str(each.place.with_suffix(""))
            for each in inputs
        }

    def prepare(self) -> None:
        """Make the folder. Raises `AsrError` where that cannot be, before any work is done for it."""
        probe = self._folder / ".asr-can-write"
        write_text(probe, "")
        probe.unlink()

    def paths(self, name: str) -> list[Path]:
        """The files of one recording, a format each."""
        return [self._folder / f"{self._stems[name]}.{form}" for form in self._forms]

    def is_complete(self, name: str) -> bool:
        """Whether all files of one recording are there; what is there is whole."""
        return all(path.is_file() for path in self.paths(name))

    def write(self, transcript: Transcript) -> None:
        """Write all formats of one transcript. Raises `AsrError` when the disk is full or not writable."""
        for path, form in zip(self.paths(transcript.name), self._forms, strict=True):
            _discard_leftovers(path)
            if path.is_dir():
                raise AsrError(f"cannot write {path}: there is a folder of that name")
            write_text(path, render(transcript, form, self._case))


def _discard_leftovers(path: Path) -> None:
    """What a run that was killed in mid-write left behind (the names of `asr.files.write_whole`)."""
    if path.parent.is_dir():
        for leftover in path.parent.glob(f".{glob.escape(path.name[:80])}.*.part"):
            with suppress(OSError):
                leftover.unlink()
