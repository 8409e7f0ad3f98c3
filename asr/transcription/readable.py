"""All that makes transcripts readable: punctuation, capitals and figures, of whole recordings and live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from asr.transcription.figures import find_numbers_with, write_figures
from asr.transcription.punctuate import PunctuatedStream, load_punctuation_for, punctuate
from asr.transcription.result import Failure, Segment, Transcript


class Readable:
    """Makes transcripts in the model's own case readable, as far as it is asked to."""

    def __init__(self, model: Path | str | None, punctuation: bool = True, numbers: bool = False) -> None:
        """`model` names the model folder. Raises `ModelError`, and `UsageError` where text2num is not installed."""
        self._tagger = load_punctuation_for(model) if punctuation else None
        self._numbers = numbers
        if numbers:
            find_numbers_with()

    def transcripts(
        self, outcomes: Iterable[Transcript | Failure], before: Callable[[], None] = lambda: None
    ) -> Iterator[Transcript | Failure]:
        """Each transcript made readable, failures as they are; `before` is called ahead of each."""
        for outcome in outcomes:
            before()
            yield outcome if isinstance(outcome, Failure) else self.transcript(outcome)

    def transcript(self, transcript: Transcript) -> Transcript:
        """One transcript."""
        if self._tagger is not None:
            transcript = punctuate(transcript, self._tagger)
        if self._numbers:
            transcript = replace(transcript, segments=tuple(map(write_figures, transcript.segments)))
        return transcript

    def live(self, show: Callable[[Segment], None]) -> LiveText:
        """What shows segments as they come."""
        return LiveText(PunctuatedStream(self._tagger), write_figures if self._numbers else _same, show)


class LiveText:
    """Shows the segments of a recording one after the other."""

    def __init__(
        self, stream: PunctuatedStream, figures: Callable[[Segment], Segment], show: Callable[[Segment], None]
    ) -> None:
        self._stream, self._figures, self._show = stream, figures, show

    def feed(self, segment: Segment) -> None:
        """One more segment: show what can be shown now."""
        for ready in self._stream.feed(segment):
            self._show(self._figures(ready))

    def finish(self) -> None:
        """Show what was held back."""
        for ready in self._stream.finish():
            self._show(self._figures(ready))


def _same(segment: Segment) -> Segment:
    return segment
