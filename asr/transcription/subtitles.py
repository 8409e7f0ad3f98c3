"""Subtitles that a viewer can read: at most two lines of 42 characters, 1 to 7 seconds, one at a time."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace

from asr.transcription.result import Transcript, Word

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
        """One line, or two of like lengths."""
        return break_lines(self.text)


def cues(transcript: Transcript) -> list[Cue]:
    """The subtitles of a transcript, in order of time. A segment without words keeps its own times."""
    result: list[Cue] = []
    for segment in transcript.segments:
        words = segment.words or _spread(segment.text, segment.start, segment.end)
        label = "" if segment.channel is None else f"[{segment.channel}] "
        result += [Cue(group[0].start, group[-1].end, label + _joined(group)) for group in _group(words, len(label))]
    # One channel may answer while the other pauses within a segment.
    return _time(sorted(result, key=lambda cue: cue.start), transcript.duration)


def break_lines(text: str) -> list[str]:
    """Break text into as few lines of at most `LINE` characters as can be, and those as even as can be."""
    lines = textwrap.wrap(text, LINE, break_on_hyphens=False)
    for width in range(max(map(len, text.split()), default=1), LINE):
        even = textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)
        if len(even) <= len(lines):
            return even
    return lines


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
