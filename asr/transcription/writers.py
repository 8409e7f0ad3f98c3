"""Transcripts in the formats that other programs read: each a function from transcript to text.

Subtitles are such as a viewer can read: at most two lines of 42 characters, 1 to 7 seconds, one at a time.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import PurePath
from typing import Any

from asr.text.case import Case
from asr.transcription.result import Segment, Transcript, Word

JSON_VERSION = 1
"""Raised when a field of the JSON form changes its meaning; new fields do not raise it."""


def as_txt(transcript: Transcript) -> str:
    """The text, a line for each stretch between pauses."""
    return "".join(f"{label(segment)}{segment.text}\n" for segment in transcript.segments)


def as_json(transcript: Transcript) -> str:
    """All that is known (see docs/transcribing.md for the fields)."""
    return json.dumps(as_record(transcript), ensure_ascii=False, indent=1) + "\n"


def as_record(transcript: Transcript) -> dict[str, Any]:
    """The JSON form as plain data."""
    return {
        "version": JSON_VERSION,
        "file": transcript.name,
        "duration": transcript.duration,
        "text": transcript.text,
        "segments": [_segment_record(segment) for segment in transcript.segments],
        "notices": list(transcript.notices),
    }


def as_srt(transcript: Transcript) -> str:
    """SubRip subtitles."""
    return "\n".join(f"{number}\n{_shown(cue, ',')}" for number, cue in enumerate(cues(transcript), 1))


def as_vtt(transcript: Transcript) -> str:
    """WebVTT subtitles."""
    return "WEBVTT\n" + "".join(f"\n{_shown(cue, '.')}" for cue in cues(transcript))


def as_tsv(transcript: Transcript) -> str:
    """A table of start and end in milliseconds, and text."""
    rows = (
        f"{round(segment.start * 1000)}\t{round(segment.end * 1000)}\t{label(segment)}{segment.text}\n"
        for segment in transcript.segments
    )
    return "start\tend\ttext\n" + "".join(rows)


def as_ctm(transcript: Transcript) -> str:
    """NIST CTM: recording, channel, begin and length in seconds, word, confidence. It never has punctuation."""
    name = ctm_name(transcript.name)
    return "".join(
        f"{name} {segment.channel or transcript.channel or 1} "
        f"{part.start:.3f} {part.end - part.start:.3f} {part.text} {word.confidence:.3f}\n"
        for segment in transcript.plain().segments
        for word in segment.words or _spread(segment.text, segment.start, segment.end)
        for part in _spread(word.text, word.start, word.end)  # a figure stands for several words
    )


def ctm_name(name: str) -> str:
    """What a CTM calls the recording of that name: a word, and none that begins a remark."""
    word = "_".join(PurePath(name).stem.split()) or "-"
    return f"_{word}" if word.startswith(";;") else word


def in_one_line(name: str) -> str:
    """A name for a list of names: tabs and line breaks would end it."""
    return re.sub(r"[\t\r\n\v\f\x85\u2028\u2029]", " ", name)


FORMATS: dict[str, Callable[[Transcript], str]] = {
    "txt": as_txt,
    "json": as_json,
    "srt": as_srt,
    "vtt": as_vtt,
    "tsv": as_tsv,
    "ctm": as_ctm,
}


def render(transcript: Transcript, form: str, case: Case | None = None) -> str:
    """A transcript in one of `FORMATS`: as a sentence unless `case` says otherwise, ctm as the model spells.

    A CTM is for scoring and never has punctuation.
    """
    transcript = transcript.plain() if form == "ctm" else transcript
    return FORMATS[form](transcript.in_case(case or ("model" if form == "ctm" else "sentence")))


def _segment_record(segment: Segment) -> dict[str, Any]:
    record: dict[str, Any] = {"start": segment.start, "end": segment.end, "text": segment.text}
    if segment.channel is not None:
        record["channel"] = segment.channel
    return record | {"words": [_word_record(word) for word in segment.words]}


def _word_record(word: Word) -> dict[str, Any]:
    record = {"text": word.text, "start": word.start, "end": word.end, "confidence": word.confidence}
    return record | {"raw": word.raw} if word.raw else record


def label(segment: Segment) -> str:
    """Who speaks, where channels were transcribed apart."""
    return "" if segment.channel is None else f"[{segment.channel}] "


def _clock(seconds: float, separator: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{separator}{rest % 1000:03d}"


def _shown(cue: Cue, separator: str) -> str:
    """Times and text. Players read `<i>` and `&amp;` as markup, and parsers `-->` as a time."""
    text = escape("\n".join(cue.lines), quote=False)
    return f"{_clock(cue.start, separator)} --> {_clock(cue.end, separator)}\n{text}\n"


def as_textgrid(transcript: Transcript) -> str:
    """One tier `words` that covers the whole recording; silence is an interval without text."""
    intervals = _intervals(transcript.words, transcript.duration)
    head = f"""\
File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = {transcript.duration:.3f}
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = {transcript.duration:.3f}
        intervals: size = {len(intervals)}
"""
    quoted = (text.replace('"', '""') for _, _, text in intervals)
    return head + "".join(
        f"        intervals [{number}]:\n"
        f"            xmin = {start:.3f}\n"
        f"            xmax = {end:.3f}\n"
        f'            text = "{text}"\n'
        for number, ((start, end, _), text) in enumerate(zip(intervals, quoted, strict=True), 1)
    )


def _intervals(words: tuple[Word, ...], duration: float) -> list[tuple[float, float, str]]:
    """Words and the gaps between them, without holes or overlaps."""
    intervals, now = [], 0.0
    for word in words:
        if word.start > now:
            intervals.append((now, word.start, ""))
        intervals.append((max(word.start, now), word.end, word.text))
        now = word.end
    if duration > now:
        intervals.append((now, duration, ""))
    return intervals


LINE = 42
LINES = 2
SHORTEST = 1.0
LONGEST = 7.0
READ = 20.0
"""Characters that a viewer reads in a second."""
_PAUSE = 1.0
"""A silence this long ends a subtitle."""


@dataclass(frozen=True)
class Cue:
    """One subtitle: seconds and text."""

    start: float
    end: float
    text: str

    @property
    def lines(self) -> list[str]:
        """The text in as few lines of at most `LINE` characters as can be, and those as even as can be."""
        lines = textwrap.wrap(self.text, LINE, break_on_hyphens=False)
        for width in range(max(map(len, self.text.split()), default=1), LINE):
            even = textwrap.wrap(self.text, width, break_on_hyphens=False, break_long_words=False)
            if len(even) <= len(lines):
                return even
        return lines


def cues(transcript: Transcript) -> list[Cue]:
    """The subtitles of a transcript, in order of time. A segment without words keeps its own times."""
    result: list[Cue] = []
    for segment in transcript.segments:
        words = segment.words or _spread(segment.text, segment.start, segment.end)
        speaker = label(segment)
        groups = _group(words, len(speaker))
        result += [Cue(group[0].start, group[-1].end, speaker + _joined(group)) for group in groups]
    # One channel may answer while the other pauses within a segment.
    return _time(sorted(result, key=lambda cue: cue.start), transcript.duration)


def _group(words: Sequence[Word], label: int) -> list[list[Word]]:
    """Words that are shown together: until a sentence ends, a pause, a full subtitle or seven seconds."""
    groups: list[list[Word]] = []
    for word in words:
        group = groups[-1] if groups else []
        text = _joined([*group, word])
        full = len(textwrap.wrap("x" * label + text, LINE, break_on_hyphens=False)) > LINES
        if (
            not group
            or full
            or _ends(group)
            or word.end - group[0].start > LONGEST
            or word.start - group[-1].end > _PAUSE
        ):
            groups.append([word])
        else:
            group.append(word)
    return groups


def _ends(group: Sequence[Word]) -> bool:
    """Whether a sentence ends here, and has been long enough for a subtitle of its own."""
    return group[-1].text.endswith((".", "?")) and group[-1].end - group[0].start >= SHORTEST


def _joined(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


def _time(groups: list[Cue], duration: float) -> list[Cue]:
    """Show each for at least a second where its neighbors leave room, and never two at a time."""
    timed: list[Cue] = []
    for number, cue in enumerate(groups):
        floor = timed[-1].end if timed else 0.0
        following = groups[number + 1].start if number + 1 < len(groups) else duration
        start = max(cue.start, floor)
        # Who interrupts is shown in time, once the words before can have been read.
        room = following if following >= cue.end else max(following, min(cue.end, start + len(cue.text) / READ))
        end = min(max(cue.end, start + SHORTEST), room, start + LONGEST)
        if end - start < SHORTEST:
            start = max(floor, end - SHORTEST)
        if end > start:
            timed.append(replace(cue, start=start, end=end))
        elif timed:  # spoken at once with the one before: nothing may be lost
            timed[-1] = replace(timed[-1], text=f"{timed[-1].text} {cue.text}")
    return timed


def _spread(text: str, start: float, end: float) -> list[Word]:
    """Words over the segment's time in proportion to their letters, where no better times are known."""
    words = text.split()
    letters = sum(len(word) + 1 for word in words) or 1
    result, now = [], start
    for word in words:
        until = now + (end - start) * (len(word) + 1) / letters
        result.append(Word(word, now, until, 0.0))
        now = until
    return result
