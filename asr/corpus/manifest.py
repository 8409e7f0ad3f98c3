"""The manifest: one JSON object per line, one utterance per object (NeMo's field names).

    {"id": "84-121123-0000", "audio_filepath": "84/121123/84-121123-0000.flac", "duration": 5.07,
     "text": "GO DO YOU HEAR", "speaker": "84"}

Paths are relative to the manifest's folder or absolute. Fields that this project does not know are kept.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr.errors import DataError
from asr.io import is_file, parse_json, write_whole


@dataclass(frozen=True)
class Utterance:
    """One stretch of speech with its transcript.

    `offset` and `duration` are in seconds; `audio` is an absolute path once read from a manifest.
    `extra` holds every other field (for instance `level_db`, the signal level in dBFS).
    """

    id: str
    audio: Path
    duration: float
    text: str = ""
    speaker: str | None = None
    offset: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self, base: Path) -> str:
        """One manifest line; the audio path is written relative to `base` when it lies beneath it."""
        record: dict[str, Any] = {
            "id": self.id,
            "audio_filepath": _relative(self.audio, base),
            "duration": round(self.duration, 6),
            "text": self.text,
        }
        if self.speaker is not None:
            record["speaker"] = self.speaker
        if self.offset:
            record["offset"] = self.offset
        return json.dumps(record | self.extra, ensure_ascii=False)


def read_manifest(path: Path | str) -> list[Utterance]:
    """Read a whole manifest, paths resolved against its folder.

    Raises `DataError` naming file and line for malformed or doubled entries.
    """
    path = Path(path)
    base = path.resolve().parent
    utterances: dict[str, Utterance] = {}
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                utterance = _parse(line, base, f"{path}, line {number}")
                if utterances.setdefault(utterance.id, utterance) is not utterance:
                    entries = f"entries {1 + list(utterances).index(utterance.id)} and {1 + len(utterances)}"
                    raise DataError(f"{path}: the id {utterance.id!r} appears twice ({entries})")
    except FileNotFoundError as error:
        raise DataError(f"manifest {path} does not exist", "Make it with `asr prepare`.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"manifest {path} cannot be read: {error}") from error
    return list(utterances.values())


def write_manifest(path: Path | str, utterances: Iterable[Utterance]) -> None:
    """Write a manifest whole or not at all."""
    path = Path(path)
    base = path.resolve().parent
    with write_whole(path) as file:
        for utterance in utterances:
            file.write(utterance.to_json(base) + "\n")


def _parse(line: str, base: Path, where: str) -> Utterance:
    try:
        record = parse_json(line)
    except ValueError as error:
        raise DataError(f"{where}: not valid JSON ({error})") from error
    if not isinstance(record, dict):
        raise DataError(f"{where}: not a JSON object")
    audio = record.pop("audio_filepath", None)
    if not isinstance(audio, str) or not audio or "\0" in audio:
        raise DataError(f"{where}: no audio_filepath")
    duration = _number(record.pop("duration", None), "duration", where)
    offset = _number(record.pop("offset", 0.0), "offset", where)
    identity = record.pop("id", None)
    text = record.pop("text", "")
    speaker = record.pop("speaker", None)
    if not isinstance(text, str):
        raise DataError(f"{where}: text is not a string")
    return Utterance(
        id=str(identity) if identity is not None else Path(audio).stem,
        audio=Path(os.path.normpath(base / audio)),
        duration=duration,
        text=text,
        speaker=None if speaker is None else str(speaker),
        offset=offset,
        extra=record,
    )


def _number(value: Any, name: str, where: str) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        with suppress(OverflowError):  # of an integer with hundreds of digits
            return float(value)
    raise DataError(f"{where}: {name} must be a number of seconds, not {value!r}")


def _relative(audio: Path, base: Path) -> str:
    try:
        # Unlike Path.resolve this lets a link to itself be, which is found out when it is read.
        return Path(os.path.realpath(audio)).relative_to(base).as_posix()
    except ValueError:
        return str(Path(os.path.normpath(audio.absolute())))


def describe_utterances(utterances: Sequence[Utterance]) -> list[tuple[str, str]]:
    """Name and value of each fact, as `asr info` prints them; looks whether the recordings are there."""
    import numpy as np

    words = Counter(word for utterance in utterances for word in utterance.text.split())
    facts = [
        ("utterances", f"{len(utterances):,}"),
        ("hours", f"{math.fsum(utterance.duration for utterance in utterances) / 3600:.2f}"),
        ("words", f"{words.total():,} ({len(words):,} distinct)"),
        ("distinct texts", f"{len({utterance.text for utterance in utterances}):,}"),
        ("characters", "".join(sorted({letter for word in words for letter in word}))),
    ]
    minutes: dict[str, float] = defaultdict(float)
    for utterance in utterances:
        if utterance.speaker is not None:
            minutes[utterance.speaker] += utterance.duration / 60
    if minutes:
        talker = max(minutes, key=minutes.__getitem__)
        facts.append(("speakers", f"{len(minutes):,} (most speech: {talker}, {minutes[talker]:.1f} min)"))
    if utterances:
        least, median, high, most = np.percentile([utterance.duration for utterance in utterances], [0, 50, 95, 100])
        facts.append(("duration", f"{least:.2f} to {most:.2f} s, median {median:.2f}, 95 % below {high:.2f}"))
    given = [utterance.extra.get("level_db") for utterance in utterances]
    if levels := [float(level) for level in given if isinstance(level, int | float)]:
        least, median, most = np.percentile(levels, [0, 50, 100])
        facts.append(("level", f"{least:.0f} to {most:.0f} dBFS, median {median:.0f}"))
    recordings = dict.fromkeys(utterance.audio for utterance in utterances)
    if missing := [audio for audio in recordings if not is_file(audio)]:
        facts.append(("missing audio", f"{len(missing):,} files, the first {missing[0]}"))
    return facts
