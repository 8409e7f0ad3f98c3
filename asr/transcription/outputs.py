"""A whole run: which recordings the user names, where transcripts go, what failed, what it came to."""

from __future__ import annotations

import errno
import glob
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import IO

from asr.audio import is_audio
from asr.audio.source import open_source
from asr.errors import AsrError, AudioError, UsageError
from asr.io import clear_unfinished, is_file, is_stream, walk, write_text
from asr.text.case import Case
from asr.transcription.reader import Request
from asr.transcription.result import Failure, Segment, Transcript
from asr.transcription.writers import as_record, ctm_name, in_one_line, label, render


class Printer:
    """Transcripts as text on a stream: one recording's alone, or each of several under its name.

    Several come as lines of name, tab, text (txt), as one JSON object a line, or as one CTM. Raises `UsageError` for
    formats that cannot stand behind one another, and for recordings that CTM cannot tell apart; `AsrError` where there
    is no stream.
    """

    def __init__(self, form: str, names: Sequence[str], case: Case | None, stream: IO[str] | None) -> None:
        if stream is None:  # as Python has it in a program that was started without
            raise AsrError("cannot write to standard output: it is closed")
        self._form = form
        self._alone = len(names) <= 1
        self._case = case
        self._stream = stream
        self._shown = False
        self.is_live = self._alone and form == "txt" and stream.isatty()
        """Whether somebody reads along, to whom `show` gives each segment as it is ready."""
        if not self._alone and form not in ("txt", "json", "ctm"):
            raise UsageError(f"several recordings as {form} need -o, a folder to write them to")
        alike = [name for name, count in Counter(map(ctm_name, names)).items() if count > 1]
        if form == "ctm" and alike:
            raise UsageError(
                f"several recordings are called {alike[0]}, and a CTM could not tell them apart",
                "Use -o, a folder to write a file for each to, or rename them.",
            )

    def show(self, segment: Segment) -> None:
        """Print a segment of the recording whose transcript will follow. Raises as `write` does."""
        self._shown = True
        self._print(f"{segment.in_case(self._case or 'sentence').text}\n")

    def write(self, transcript: Transcript) -> None:
        """Print one transcript at once, or nothing where it has been shown. Raises `AsrError` when the stream is full
        or closed.
        """
        if self._shown:
            return
        if self._alone or self._form == "ctm":
            self._print(render(transcript, self._form, self._case) or ("\n" if self._form == "txt" else ""))
            return
        transcript = transcript.in_case(self._case or "sentence")
        if self._form == "json":
            self._print(json.dumps(as_record(transcript), ensure_ascii=False) + "\n")
        else:
            said = " ".join(f"{label(segment)}{segment.text}" for segment in transcript.segments)
            self._print(f"{in_one_line(transcript.name)}\t{said}\n")

    def _print(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            # What cannot be written now must not be tried again when the program ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            raise AsrError(f"cannot write to standard output: {error.strerror}") from error


class UnwritableError(AsrError):
    """The files of one recording cannot be written; those of others can."""


class OutputFolder:
    """Files `PLACE.FORMAT` under `folder`, each written whole or not at all.

    Recordings that differ in their suffix only keep it: `a.wav.txt` beside `a.flac.txt`.
    """

    def __init__(self, folder: Path, forms: Sequence[str], inputs: Sequence[Input], case: Case | None = None) -> None:
        self._folder = folder
        self._forms = forms
        self._case = case
        self._stems = _stems(inputs)

    def prepare(self) -> None:
        """Make the folder. Raises `AsrError` where that cannot be, before any work is done for it."""
        if self._folder.exists() and not self._folder.is_dir():
            raise UsageError(f"-o takes a folder, and {self._folder} is a file")
        probe = self._folder / ".asr-can-write"
        write_text(probe, "")
        probe.unlink()

    def paths(self, name: str) -> list[Path]:
        """The files of one recording, a format each."""
        return [self._folder / f"{self._stems[name]}.{form}" for form in self._forms]

    def is_complete(self, name: str) -> bool:
        """Whether all files of one recording are there; what is there is whole."""
        return all(map(is_file, self.paths(name)))

    def write(self, transcript: Transcript) -> None:
        """Write all formats of one transcript.

        Raises `UnwritableError` for a name that cannot be had, `AsrError` when the disk is full or not writable.
        """
        for path, form in zip(self.paths(transcript.name), self._forms, strict=True):
            clear_unfinished(path.parent, f"{path.name}.")
            if os.path.isdir(path):  # noqa: PTH112
                raise UnwritableError(f"cannot write {path}: there is a folder of that name")
            try:
                write_text(path, render(transcript, form, self._case))
            except AsrError as error:
                if getattr(error.__cause__, "errno", None) == errno.ENAMETOOLONG:
                    raise UnwritableError(f"cannot write {path}: its name is too long") from error
                raise


def _stems(inputs: Sequence[Input]) -> dict[str, str]:
    """Under which name each input's outputs go: its place, without the suffix unless another is called so then."""
    stems = {each.name: str(each.place.with_suffix("")) for each in inputs}
    while True:
        counts = Counter(stems.values())
        alike = [each for each in inputs if counts[stems[each.name]] > 1 and stems[each.name] != str(each.place)]
        if not alike:
            return stems
        stems |= {each.name: str(each.place) for each in alike}


@dataclass(frozen=True)
class Input:
    """One recording: `audio` is its path, or what came on standard input; `place` is where its outputs go under -o."""

    audio: str | IO[bytes]
    name: str
    place: Path


def collect(arguments: Sequence[str], recursive: bool = False) -> tuple[list[Input], list[Failure]]:
    """The recordings that `arguments` name, each once, and those arguments that name none."""
    found: dict[str, Input] = {}
    failures: list[Failure] = []
    expanded: list[tuple[Path, Path]] = []
    for argument in arguments:
        try:
            if argument != "-":
                expanded += _expand(argument, recursive)
            elif argument not in found:
                found[argument] = Input(_standard_input(), argument, Path("stdin"))
        except AudioError as error:
            failures.append(Failure(argument, error))
        except OSError as error:  # a folder that may not be looked into, a name that is too long
            failures.append(Failure(argument, AudioError(f"{argument} cannot be read: {error.strerror}")))
    base = os.path.commonpath([_absolute(root) for root, _ in expanded]) if expanded else ""
    for _, path in expanded:
        place = _absolute(path).relative_to(base)
        found.setdefault(str(_absolute(path)), Input(str(path), str(path), place))
    return list(found.values()), failures


def _standard_input() -> IO[bytes]:
    if sys.stdin is None:
        raise AudioError("standard input is closed")
    data = io.BytesIO(sys.stdin.buffer.read())
    data.name = "standard input"
    return data


def _expand(argument: str, recursive: bool) -> list[tuple[Path, Path]]:
    """Pairs of a root and a recording at or beneath it."""
    path = Path(argument)
    if path.is_dir():
        recordings = [(path, recording) for recording in _search(path, recursive)]
        if not recordings:
            hint = "" if recursive else "Use -r to look into the folders within it."
            raise AudioError(f"{argument} holds no recordings", hint)
        return recordings
    if glob.has_magic(argument) and not os.path.lexists(path):
        matches = [Path(match) for match in sorted(glob.glob(argument, recursive=True))]  # noqa: PTH207 — may be absolute
        if not matches:
            raise AudioError(f"nothing matches {argument}")
        files = [(match.parent, match) for match in matches if not match.is_dir() or is_audio(match)]
        return files or [pair for match in matches for pair in _expand(str(match), recursive)]
    return [(path.parent, path)]


def _search(folder: Path, recursive: bool) -> Iterator[Path]:
    """Recordings in a folder, in order of their names.

    A folder named like a recording counts as a (broken) one, and so does one that would have to be looked into and may
    not be: what it holds must not be missing in silence.
    """
    if recursive:
        named = (path for path in walk(folder) if is_audio(path) or (path.is_dir() and not os.access(path, os.R_OK)))
    else:
        named = (path for path in folder.iterdir() if is_audio(path))
    shown = [path for path in named if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    for path in sorted(shown):
        holds_some = path.is_dir() and any(path in other.parents for other in shown)
        if not (recursive and holds_some):
            yield path


def _absolute(path: Path) -> Path:
    """Without `.` and `..`, but through links: a tree is mirrored as the user sees it."""
    return Path(os.path.normpath(path.absolute()))


@dataclass
class Summary:
    """What a run came to; `seconds` of sound, `elapsed` seconds by the clock."""

    files: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)
    notices: Counter[str] = field(default_factory=Counter)
    """How many recordings each kind of notice concerns."""

    def __str__(self) -> str:
        files = f"{self.files} recording{'' if self.files == 1 else 's'}"
        parts = [f"{files}, {self._length()} of sound in {self.elapsed:.1f} s"]
        if self.elapsed and self.files:
            parts[0] += f" ({self.seconds / self.elapsed:.0f} × real time)"
        if self.skipped:
            parts.append(f"{self.skipped} skipped: their outputs were there")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        return "; ".join(parts)

    def _length(self) -> str:
        if self.seconds < 60:
            return f"{self.seconds:.1f} s"
        return f"{self.seconds / 60:.1f} min" if self.seconds < 3600 else f"{self.seconds / 3600:.2f} h"


def seconds_of(requests: Iterable[Request]) -> float | None:
    """Seconds of sound in recordings that can be read, by their heads; None where one does not tell."""
    total = 0.0
    for request in requests:
        if not isinstance(request.audio, (str, Path)) or is_stream(request.audio):
            return None
        with suppress(AsrError, OSError), open_source(request.audio) as source:
            if source.frames is None:
                return None
            total += source.frames / source.sample_rate
    return total


def deliver(
    outcomes: Iterable[Transcript | Failure],
    write: Callable[[Transcript], None],
    tell: Callable[[str], None],
    note: Callable[[str], None],
    summary: Summary,
) -> None:
    """Write each transcript as it comes, `tell` of failures and (once for each kind) `note` what is odd.

    What `write` raises beside `UnwritableError` ends the run: a full disk is no fault of one recording. `summary` is
    kept up to date, so that it is right after an interruption too.
    """
    began = perf_counter()
    try:
        for outcome in outcomes:
            if isinstance(outcome, Transcript):
                try:
                    write(outcome)
                except UnwritableError as error:
                    outcome = Failure(outcome.name, error)
            if isinstance(outcome, Failure):
                summary.failures.append(outcome)
                tell(describe_failure(outcome))
                continue
            summary.files += 1
            summary.seconds += outcome.duration
            for notice in outcome.notices:
                kind = notice.split(" (")[0]
                summary.notices[kind] += 1
                if summary.notices[kind] == 1:
                    note(f"{outcome.name} {notice}")
    finally:
        summary.elapsed = perf_counter() - began
        for kind, count in summary.notices.items():
            if count > 1:
                note(f"{count - 1} more recordings: {kind}")


def describe_failure(failure: Failure) -> str:
    """One line (and a hint) that names the recording and the reason."""
    text = str(failure.error)
    return text if failure.name in text else f"{failure.name}: {text}"
