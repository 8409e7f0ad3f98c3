"""What a manifest holds, in a dozen lines: hours, words, speakers, durations, levels."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.corpus.manifest import Utterance, read_manifest


@dataclass(frozen=True)
class Spread:
    """Least, median, 95th percentile and greatest of something."""

    least: float
    median: float
    high: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """The spread of `values`; None when there are none."""
        if not values:
            return None
        return cls(*(float(value) for value in np.percentile(values, [0, 50, 95, 100])))


@dataclass(frozen=True)
class ManifestSummary:
    """Counts over a manifest; `duration` in seconds in all, `durations` per utterance, `levels` in dBFS."""

    utterances: int
    duration: float
    words: int
    distinct_words: int
    distinct_texts: int
    characters: str
    speakers: int
    hours_by_speaker: dict[str, float]
    durations: Spread | None
    levels: Spread | None
    missing: list[Path]

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each fact, as `asr info` prints them."""
        rows = [
            ("utterances", f"{self.utterances:,}"),
            ("hours", f"{self.duration / 3600:.2f}"),
            ("words", f"{self.words:,} ({self.distinct_words:,} distinct)"),
            ("distinct texts", f"{self.distinct_texts:,}"),
            ("characters", self.characters),
        ]
        if self.speakers:
            most, hours = max(self.hours_by_speaker.items(), key=lambda item: item[1])
            rows.append(("speakers", f"{self.speakers:,} (most speech: {most}, {60 * hours:.1f} min)"))
        if spread := self.durations:
            value = f"{spread.least:.2f} to {spread.greatest:.2f} s, median {spread.median:.2f}"
            rows.append(("duration", f"{value}, 95 % below {spread.high:.2f}"))
        if spread := self.levels:
            rows.append(("level", f"{spread.least:.0f} to {spread.greatest:.0f} dBFS, median {spread.median:.0f}"))
        if self.missing:
            rows.append(("missing audio", f"{len(self.missing):,} files, the first {self.missing[0]}"))
        return rows


def describe_manifest(path: Path | str) -> ManifestSummary:
    """Read and count a manifest. Raises `DataError` naming file and line where it is malformed."""
    return describe_utterances(read_manifest(path))


def describe_utterances(utterances: Sequence[Utterance]) -> ManifestSummary:
    """Count utterances, and look whether their recordings are there."""
    words = Counter(word for utterance in utterances for word in utterance.text.split())
    by_speaker: dict[str, float] = defaultdict(float)
    for utterance in utterances:
        if utterance.speaker is not None:
            by_speaker[utterance.speaker] += utterance.duration / 3600
    levels = [utterance.extra.get("level_db") for utterance in utterances]
    return ManifestSummary(
        utterances=len(utterances),
        duration=math.fsum(utterance.duration for utterance in utterances),
        words=words.total(),
        distinct_words=len(words),
        distinct_texts=len({utterance.text for utterance in utterances}),
        characters="".join(sorted({letter for word in words for letter in word})),
        speakers=len(by_speaker),
        hours_by_speaker=dict(by_speaker),
        durations=Spread.of([utterance.duration for utterance in utterances]),
        levels=Spread.of([float(level) for level in levels if isinstance(level, (int, float))]),
        missing=[audio for audio in dict.fromkeys(utterance.audio for utterance in utterances) if not audio.exists()],
    )
