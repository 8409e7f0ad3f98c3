"""What every corpus shares: normalize the texts, measure the recordings, write the manifest, say what went wrong.

A corpus module lists drafts (utterances not measured yet, a duration of 0 meaning "to the end"); `prepare` here makes
a manifest of them.
A recording that cannot be read or a text that cannot be written never stops the others: it is named in `problems`.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from asr.audio.source import open_source
from asr.audio.stream import AudioStream
from asr.corpus.manifest import Utterance, write_manifest
from asr.errors import AsrError, AudioError, DataError
from asr.nn.machine import processors
from asr.text.normalize import Normalizer, refuse_tags

OVERSHOOT = 0.5  # seconds that a stretch may end after its recording, as in Kaldi's extract-segments
SILENCE_DB = -120.0  # the level written for digital silence, whose true level (minus infinity) JSON cannot hold

Measurement = tuple[float, float]
"""Duration in seconds, level in dBFS."""
Track = Callable[[Iterable[Utterance], int], Iterable[Utterance]]


@dataclass(frozen=True)
class Size:
    """Published size of a corpus part; a count that nobody published is None."""

    utterances: int
    words: int | None = None


@dataclass(frozen=True)
class Preparation:
    """What became of one part of a corpus. Seconds in `duration`; one line of `problems` for each loss."""

    name: str
    manifest: Path
    utterances: int
    duration: float
    words: int
    speakers: int
    problems: list[str] = field(default_factory=list)
    official: Size | None = None

    @property
    def completeness(self) -> str:
        """`complete`, `partial: 1,064 of 28,539 utterances`, or nothing where no official size is known."""
        if self.official is None:
            return ""
        if self.utterances != self.official.utterances:
            return f"partial: {self.utterances:,} of {self.official.utterances:,} utterances"
        if self.official.words is not None and self.words != self.official.words:
            return f"all {self.utterances:,} utterances, but {self.words:,} words instead of {self.official.words:,}"
        return "complete"


def prepare(
    name: str,
    drafts: Sequence[Utterance],
    out_dir: Path,
    normalizer: Normalizer,
    *,
    official: Size | None = None,
    problems: Sequence[str] = (),
    track: Track | None = None,
) -> Preparation:
    """Measure and normalize `drafts` and write `<out_dir>/<name>.jsonl`.

    `problems` are losses that the caller met while listing; `track` wraps the iteration over finished utterances (a
    progress bar). Interrupted or killed, the next call goes on from what was measured. Raises `DataError` when nothing
    at all is left.
    """
    found = list(problems)
    base = (out_dir / f"{name}.jsonl").resolve().parent
    drafts = list(_usable(drafts, base, found))
    with open_resume_log(out_dir / f".{name}.measured") as (log, known):
        finished = _finish_all(drafts, normalizer, log, known, found)
        utterances = list(track(finished, len(drafts)) if track else finished)
        if utterances:
            return save(name, utterances, out_dir, official=official, problems=found)
    raise DataError(f"{name}: not one usable utterance", "\n  ".join(found[:5]))


def save(
    name: str,
    utterances: Sequence[Utterance],
    out_dir: Path,
    *,
    official: Size | None = None,
    problems: Sequence[str] = (),
) -> Preparation:
    """Write finished utterances to `<out_dir>/<name>.jsonl` and count them."""
    manifest = out_dir / f"{name}.jsonl"
    write_manifest(manifest, utterances)
    return Preparation(
        name=name,
        manifest=manifest,
        utterances=len(utterances),
        duration=math.fsum(utterance.duration for utterance in utterances),
        words=sum(len(utterance.text.split()) for utterance in utterances),
        speakers=len({utterance.speaker for utterance in utterances} - {None}),
        problems=list(problems),
        official=official,
    )


def numbered_lines(table: Path) -> Iterator[tuple[int, str]]:
    """The lines of a table that are not blank, each with its number. Raises `DataError` where it cannot be read."""
    hint = "It must be UTF-8 text."
    try:
        text = table.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{table} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{table} cannot be read: {error}", hint) from error
    if "\0" in text:  # UTF-16 without its mark is UTF-8 too, with a zero beside every letter
        raise DataError(f"{table} cannot be read: there are zeros among its letters", hint)
    # Other signs that end a line for `splitlines` may stand in a text.
    yield from ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def measure(audio: Path, offset: float = 0.0, duration: float | None = None) -> Measurement:
    """Duration in seconds and signal level (RMS, dBFS) of a recording or a stretch of it, by reading it through.

    Headers lie about torn and streamed files; decoding does not. Raises `AudioError` naming the file.
    """
    with open_source(audio) as source:
        rate = source.sample_rate
    with AudioStream(audio, sample_rate=rate, offset=offset, duration=duration) as stream:
        for _ in stream:
            pass
    if stream.level.count == 0:
        raise AudioError(f"{audio} holds no sound" + (f" after {offset:.2f} s" if offset else ""))
    return stream.level.count / rate, max(stream.level.rms_db, SILENCE_DB)


def _finish_all(
    drafts: Sequence[Utterance],
    normalizer: Normalizer,
    log: TextIO,
    known: Mapping[str, Measurement],
    problems: list[str],
) -> Iterator[Utterance]:
    """Finished utterances in the order of the drafts. Threads suffice: libsndfile decodes outside Python's lock."""

    def measure_draft(draft: Utterance) -> Measurement | AsrError:
        try:
            return known.get(_key(draft)) or measure(draft.audio, draft.offset, draft.duration or None)
        except AsrError as error:
            return error

    with ThreadPoolExecutor(processors()) as pool:
        try:
            for draft, measured in zip(drafts, pool.map(measure_draft, drafts), strict=True):
                try:
                    if isinstance(measured, AsrError):
                        raise measured
                    log.write(json.dumps([_key(draft), *measured]) + "\n")
                    yield _finish(draft, measured, normalizer)
                except AsrError as error:
                    problems.append(f"{draft.id}: {error.message}")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _finish(draft: Utterance, measured: Measurement, normalizer: Normalizer) -> Utterance:
    duration, level = measured
    if draft.duration > duration + OVERSHOOT:
        end = draft.offset + draft.duration
        raise DataError(f"ends at {end:.2f} s, after its recording, which has {draft.offset + duration:.2f} s")
    refuse_tags(draft.text)
    text = normalizer(draft.text)
    if draft.text.strip() and not text:
        raise DataError(f"the text {draft.text!r} has no word")
    return replace(draft, duration=duration, text=text, extra=draft.extra | {"level_db": round(level, 1)})


def _usable(drafts: Iterable[Utterance], base: Path, problems: list[str]) -> Iterator[Utterance]:
    """Those that a manifest in `base` can hold, which is UTF-8 as the bytes of a file's name need not be; ids once."""
    seen: set[str] = set()
    for draft in drafts:
        try:
            draft.to_json(base).encode()
        except UnicodeEncodeError:
            problems.append(f"{str(draft.audio)!r}: its name is not UTF-8; rename it")
            continue
        if draft.id in seen:
            problems.append(f"{draft.id}: {draft.audio} comes under an id that is taken")
            continue
        seen.add(draft.id)
        yield draft


@contextmanager
def open_resume_log(path: Path) -> Iterator[tuple[TextIO, dict[str, Measurement]]]:
    """A log of measurements by recording and stretch, and what is known from an earlier run that was interrupted.

    It is kept beside the manifest to be and goes to disk line by line, so that it outlives a killed run too; a last
    line torn by the kill is passed over. A recording that has changed since (another size or time) is measured
    again. When the block ends well, the log is gone. Raises `AsrError` when it cannot be written.
    """
    known = dict(_read_log(path)) if path.exists() else {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise AsrError(f"cannot write to {path.parent}: {error.strerror}") from error
    with file:
        file.write("\n")  # parts what follows from a torn last line
        yield file, known
    path.unlink(missing_ok=True)


def _read_log(path: Path) -> Iterator[tuple[str, Measurement]]:
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


def alternate(speakers: Iterable[str]) -> tuple[list[str], list[str]]:
    """Two halves of a set of numeric speaker ids: sorted as numbers, the 1st, 3rd, 5th … and the others."""
    ordered = sorted(set(speakers), key=int)
    return ordered[::2], ordered[1::2]


def share(key: str, seed: int) -> float:
    """A number in [0, 1) drawn from the name alone: SHA-256 of `<seed>:<key>`, its first 8 bytes over 2^64.

    Each clip falls on its side whatever else is at hand, so a part of a corpus is divided as the whole would be.
    """
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
