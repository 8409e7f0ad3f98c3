"""What a manifest holds, in a dozen lines: hours, words, speakers, durations, levels."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asr.corpus.manifest import Utterance, read_manifest


def describe_manifest(path: Path | str) -> list[tuple[str, str]]:
    """Read a manifest and describe it. Raises `DataError` naming file and line where it is malformed."""
    return describe_utterances(read_manifest(path))


def describe_utterances(utterances: Sequence[Utterance]) -> list[tuple[str, str]]:
    """Name and value of each fact, as `asr info` prints them; looks whether the recordings are there."""
    words = Counter(word for utterance in utterances for word in utterance.text.split())
    return [
        ("utterances", f"{len(utterances):,}"),
        ("hours", f"{math.fsum(utterance.duration for utterance in utterances) / 3600:.2f}"),
        ("words", f"{words.total():,} ({len(words):,} distinct)"),
        ("distinct texts", f"{len({utterance.text for utterance in utterances}):,}"),
        ("characters", "".join(sorted({letter for word in words for letter in word}))),
        *_speakers(utterances),
        *_durations(utterances),
        *_levels(utterances),
        *_missing(utterances),
    ]


def _speakers(utterances: Sequence[Utterance]) -> list[tuple[str, str]]:
    minutes: dict[str, float] = defaultdict(float)
    for utterance in utterances:
        if utterance.speaker is not None:
            minutes[utterance.speaker] += utterance.duration / 60
    if not minutes:
        return []
    most = max(minutes, key=minutes.__getitem__)
    return [("speakers", f"{len(minutes):,} (most speech: {most}, {minutes[most]:.1f} min)")]


def _durations(utterances: Sequence[Utterance]) -> list[tuple[str, str]]:
    if not utterances:
        return []
    least, median, high, most = np.percentile([utterance.duration for utterance in utterances], [0, 50, 95, 100])
    return [("duration", f"{least:.2f} to {most:.2f} s, median {median:.2f}, 95 % below {high:.2f}")]


def _levels(utterances: Sequence[Utterance]) -> list[tuple[str, str]]:
    given = [utterance.extra.get("level_db") for utterance in utterances]
    levels = [float(level) for level in given if isinstance(level, int | float)]
    if not levels:
        return []
    least, median, most = np.percentile(levels, [0, 50, 100])
    return [("level", f"{least:.0f} to {most:.0f} dBFS, median {median:.0f}")]


def _missing(utterances: Sequence[Utterance]) -> list[tuple[str, str]]:
    missing = [audio for audio in dict.fromkeys(utterance.audio for utterance in utterances) if not audio.exists()]
    return [("missing audio", f"{len(missing):,} files, the first {missing[0]}")] if missing else []
