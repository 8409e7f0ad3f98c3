"""What transcription gives: words in segments in a transcript, with times in seconds of the original recording."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path

from asr.errors import AsrError, UsageError
from asr.io import write_text
from asr.text.case import Case, write_case


@dataclass(frozen=True)
class Word:
    """One word; `confidence` is the estimated probability that it is right, from 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float
    features: tuple[float, ...] = field(default=(), repr=False, compare=False)
    """What the confidence was computed from, where that was asked for (`Recognizer.keeps_features`)."""
    raw: str = ""
    """As the model spells it, where `text` has punctuation and capitals."""


@dataclass(frozen=True)
class Segment:
    """Speech between two pauses. `channel` counts from 1 where a recording's channels were transcribed apart."""

    start: float
    end: float
    text: str
    words: tuple[Word, ...] = ()
    channel: int | None = None
    raw: str = ""
    """As the model spells it, where `text` has punctuation and capitals."""

    def in_case(self, case: Case) -> Segment:
        """The same segment in another letter case; without punctuation every segment begins a sentence.

        "model" is as the model spells, without punctuation.
        """
        if self.raw and case == "sentence":
            return self
        if self.raw and case == "model":
            return self.plain()
        words = tuple(
            replace(word, text=write_case(word.text, case, start=number == 0)) for number, word in enumerate(self.words)
        )
        return replace(self, text=write_case(self.text, case), words=words)

    def plain(self) -> Segment:
        """The same segment without punctuation, as the model spells."""
        words = tuple(replace(word, text=word.raw or word.text, raw="") for word in self.words)
        return replace(self, text=self.raw or self.text, raw="", words=words)


@dataclass(frozen=True)
class Transcript:
    """The text of one recording: `name` as given, `duration` in seconds, segments in order of time."""

    name: str
    duration: float
    segments: tuple[Segment, ...]
    notices: tuple[str, ...] = ()
    """What a person should know about the recording: clipped, very quiet, telephone speech, …"""
    channel: int | None = None
    """The only channel that was listened to, counted from 1, where one was asked for."""

    @property
    def text(self) -> str:
        """The whole text on one line."""
        return " ".join(segment.text for segment in self.segments)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)

    def save(self, path: Path | str) -> None:
        """Write the transcript in the format that the suffix names: txt, json, srt, vtt, tsv or ctm.

        Raises `UsageError` for another suffix, `AsrError` where the file cannot be written.
        """
        from asr.transcription.writers import FORMATS

        form = Path(path).suffix.lstrip(".").lower()
        if form not in FORMATS:
            raise UsageError(f"{path}: a transcript has no format {form!r}", f"Known are: {', '.join(FORMATS)}.")
        write_text(path, FORMATS[form](self))

    def _repr_html_(self) -> str:
        """For notebooks: a line for each segment with its time, words paler the less certain they are."""
        rows = []
        for segment in self.segments:
            words = (
                f'<span title="{word.confidence:.2f}" style="opacity: {0.35 + 0.65 * word.confidence:.2f}">'
                f"{escape(word.text)}</span>"
                for word in segment.words
            )
            text = " ".join(words) or escape(segment.text)
            rows.append(
                f'<tr><td style="color: gray">{segment.start:.1f}</td><td style="text-align: left">{text}</td></tr>'
            )
        return f"<b>{escape(self.name)}</b> ({self.duration:.1f} s)<table>{''.join(rows)}</table>"

    def in_case(self, case: Case) -> Transcript:
        """The same transcript in another letter case."""
        return replace(self, segments=tuple(segment.in_case(case) for segment in self.segments))

    def plain(self) -> Transcript:
        """The same transcript without punctuation, as the model spells."""
        return replace(self, segments=tuple(segment.plain() for segment in self.segments))


@dataclass(frozen=True)
class Failure:
    """A recording that could not be transcribed, and why."""

    name: str
    error: AsrError
