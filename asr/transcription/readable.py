"""All that makes transcripts readable: punctuation, capitals and figures, of whole recordings and live.

Figures stand in place of number words: `nineteen forty five` → 1945, `twenty dollars` → $20. What numbers are is told
by text2num. Beside it stand here what English writers do with them: small numbers that stand alone stay words, years
and times of the clock are put together, dollars get their sign. What may be read in two ways stays as it is: pounds are
money or weight, `second` is a time, numbers in a row are counted or dialed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from asr.errors import UsageError
from asr.punctuation import PunctuationModel
from asr.transcription.punctuate import PunctuatedStream, load_punctuation_for, punctuate
from asr.transcription.result import Failure, Segment, Transcript, Word

SMALLEST = 10
"""Numbers below stay words, unless a sign or a clock makes them one with others."""
_SCALES = {"hundred", "thousand", "million", "billion", "trillion"}
_DECADES = {
    "hundreds", "tens", "twenties", "thirties", "forties", "fifties", "sixties", "seventies", "eighties", "nineties",
}  # fmt: skip
_MARKS = ".,?"
_ORDINAL = re.compile(r"[1-9](st|nd|rd|th)s?")
_LONG = re.compile(r"(?<![\d.])\d{5,}(?![\d.])")
_QUARTERS = {("half", "past"): (0, 30), ("quarter", "past"): (0, 15), ("quarter", "to"): (-1, 45)}
"""What is said before an hour: how many hours that adds, and the minutes."""


@dataclass(frozen=True)
class Figure:
    """What stands in place of the words from `first` up to (not with) `last`."""

    first: int
    last: int
    text: str
    number: int | None = None
    """Its value, if it is a whole number."""


def figures(words: Sequence[str]) -> list[Figure]:
    """The figures in a row of words, which may bear marks; nothing runs over a mark but the comma of a thousand."""
    bare = [word.strip(_MARKS).lower() for word in words]
    found = _numbers(words, bare)
    found = _years(found, bare, words)
    found = _clock(found, bare)
    found = _dollars(found, bare, words)
    # Numbers that follow one another are counted, dialed or a time of day: they stay words.
    follows = {each.first for each in found} & {each.last for each in found if words[each.last - 1][-1:] not in _MARKS}
    return [_grouped(each) for each in found if _worth(each) and follows.isdisjoint((each.first, each.last))]


def write_figures(segment: Segment) -> Segment:
    """The segment with figures, in sentence case; the words that come to one figure become one word."""
    shown = segment.in_case("sentence")
    words = [
        replace(word, raw=word.raw or each.text) for word, each in zip(shown.words, segment.words, strict=True)
    ] or [Word(text, segment.start, segment.end, 0.0) for text in shown.text.split()]
    merged: list[Word] = []
    at = 0
    for figure in figures([word.text for word in words]):
        merged += [*words[at : figure.first], _merged(words[figure.first : figure.last], figure.text)]
        at = figure.last
    merged += words[at:]
    text = " ".join(word.text for word in merged)
    return replace(segment, text=text, raw=segment.raw or segment.text, words=tuple(merged) if segment.words else ())


def _merged(words: Sequence[Word], text: str) -> Word:
    last = words[-1].text
    return Word(
        text + last[len(last.rstrip(_MARKS)) :],
        words[0].start,
        words[-1].end,
        min(word.confidence for word in words),
        raw=" ".join(word.raw or word.text for word in words),
    )


class _Token:
    """A word as text2num wants it."""

    def __init__(self, text: str, apart: bool) -> None:
        self._text, self._apart = text, apart

    def text(self) -> str:
        return self._text

    def nt_separated(self, previous: _Token) -> bool:
        return self._apart

    def not_a_number_part(self) -> bool:
        return False


def _numbers(words: Sequence[str], bare: Sequence[str]) -> list[Figure]:
    apart = [number > 0 and words[number - 1][-1:] in _MARKS for number in range(len(words))]
    tokens = [_Token(text, cut) for text, cut in zip(bare, apart, strict=True)]
    found = []
    for match in find_numbers_with()(tokens, "en", 0.0):
        first, text = match.start, str(match.text)
        if bare[first] in _SCALES:
            # A hundred is a number; half a million, several hundred and a few thousand are not told by figures.
            if not first or bare[first - 1] != "a" or bare[max(0, first - 2) : first - 1] in (["half"], ["of"]):
                continue
            first -= 1
        if not _DECADES.isdisjoint(bare[match.end : match.end + 1]):
            continue  # the nineteen twenties
        found.append(Figure(first, match.end, text, int(text) if text.isdecimal() else None))
    return found


def _years(found: list[Figure], bare: Sequence[str], words: Sequence[str]) -> list[Figure]:
    """`19` `45` → `1945`, `19` `oh` `5` → `1905`: two numbers in a row, as nobody counts; of 11 and 12, a time."""
    result: list[Figure] = []
    for each in found:
        last = result[-1] if result else None
        if (
            last
            and last.last - last.first == 1
            and 11 <= (last.number or 0) <= 20
            and words[last.first][-1:] not in _MARKS
        ):
            gap, number = bare[last.last : each.first], each.number or 0
            if (gap == [] and 10 <= number <= 99) or (gap in (["oh"], ["o"]) and 1 <= number <= 9):
                if last.number in (11, 12):
                    result.pop()
                else:
                    result[-1] = Figure(last.first, each.last, f"{last.number}{number:02d}")
                continue
        result.append(each)
    return result


def _clock(found: list[Figure], bare: Sequence[str]) -> list[Figure]:
    """`half past three` → `3:30`, `ten o'clock` → `10 o'clock`."""
    result = []
    for each in found:
        hour, before = each.number or 0, tuple(bare[max(0, each.first - 2) : each.first])
        if 1 <= hour <= 12 and before in _QUARTERS:
            hours, minutes = _QUARTERS[before]
            first = each.first - 2 - (before[0] == "quarter" and bare[max(0, each.first - 3) : each.first - 2] == ["a"])
            each = Figure(first, each.last, f"{(hour + hours - 1) % 12 + 1}:{minutes}")
        result.append(each)
    return result


def _dollars(found: list[Figure], bare: Sequence[str], words: Sequence[str]) -> list[Figure]:
    """`5` `dollars` → `$5`."""
    return [
        replace(each, last=each.last + 1, text=f"${each.text}", number=None)
        if each.number is not None
        and bare[each.last : each.last + 1] == ["dollars"]
        and words[each.last - 1][-1:] not in _MARKS
        else each
        for each in found
    ]


def _worth(figure: Figure) -> bool:
    """Whether it is to be written: small numbers and ordinals are not, `second` being a time as well."""
    if figure.number is None:
        return _ORDINAL.fullmatch(figure.text) is None
    return figure.number >= SMALLEST


def _grouped(figure: Figure) -> Figure:
    """With commas between the thousands, from five digits on."""
    return replace(figure, text=_LONG.sub(lambda digits: f"{int(digits[0]):,}", figure.text))


def find_numbers_with() -> Any:
    """text2num's search for numbers. Raises `UsageError` where it is not installed."""
    try:
        from text_to_num import find_numbers
    except ImportError as error:
        raise UsageError(
            "--numbers needs text2num", "In the project's folder: .venv/bin/pip install -e '.[numbers]'"
        ) from error
    return find_numbers


class Readable:
    """Makes transcripts in the model's own case readable, as far as it is asked to: whole ones, and live ones."""

    def __init__(
        self,
        model: Path | str | None,
        punctuation: bool = True,
        numbers: bool = False,
        show: Callable[[Segment], None] = lambda segment: None,
    ) -> None:
        """`model` names the model folder; `show` is given what `feed` makes of the segments of a recording.

        Raises `UsageError` where text2num is not installed.
        """
        self._model, self._punctuation = model, punctuation
        self._numbers, self._show = numbers, show
        if numbers:
            find_numbers_with()

    @cached_property
    def tagger(self) -> PunctuationModel | None:
        """Loaded when something is to be tagged. Raises `ModelError`."""
        return load_punctuation_for(self._model) if self._punctuation else None

    @cached_property
    def _stream(self) -> PunctuatedStream:
        return PunctuatedStream(self.tagger)

    def transcripts(self, outcomes: Iterable[Transcript | Failure]) -> Iterator[Transcript | Failure]:
        """Each transcript made readable, failures as they are; ahead of each what was held back of it is shown."""
        for outcome in outcomes:
            self.finish()
            if isinstance(outcome, Transcript):
                outcome = punctuate(outcome, self.tagger)
                outcome = replace(outcome, segments=tuple(map(self._with_figures, outcome.segments)))
            yield outcome

    def feed(self, segment: Segment) -> None:
        """One more segment of a recording: show what can be shown now."""
        for ready in self._stream.feed(segment):
            self._show(self._with_figures(ready))

    def finish(self) -> None:
        """Show what was held back."""
        for ready in self._stream.finish():
            self._show(self._with_figures(ready))

    def _with_figures(self, segment: Segment) -> Segment:
        return write_figures(segment) if self._numbers else segment
