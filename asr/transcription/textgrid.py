"""Praat's TextGrid: the form in which phoneticians look at alignments."""

from __future__ import annotations

from asr.transcription.result import Transcript, Word


def as_textgrid(transcript: Transcript) -> str:
    """One tier `words` that covers the whole recording; silence is an interval without text."""
    intervals = _intervals(transcript.words, transcript.duration)
    head = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {transcript.duration:.3f}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        '        name = "words"',
        "        xmin = 0",
        f"        xmax = {transcript.duration:.3f}",
        f"        intervals: size = {len(intervals)}",
    ]
    for number, (start, end, text) in enumerate(intervals, 1):
        head += [
            f"        intervals [{number}]:",
            f"            xmin = {start:.3f}",
            f"            xmax = {end:.3f}",
            '            text = "{}"'.format(text.replace('"', '""')),
        ]
    return "\n".join(head) + "\n"


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
