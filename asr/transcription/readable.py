"""All that makes transcripts readable: punctuation, capitals and figures, of whole recordings and live."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from asr.punctuation.model import PunctuationModel
from asr.transcription.figures import find_numbers_with, write_figures
from asr.transcription.punctuate import PunctuatedStream, load_punctuation_for, punctuate
from asr.transcription.result import Failure, Segment, Transcript


class Readable:
    """Makes transcripts in the model's own case readable, as far as it is asked to."""

    def __init__(self, model: Path | str | None, punctuation: bool = True, numbers: bool = False) -> None:
        """`model` names the model folder. Raises `UsageError` where text2num is not installed."""
        self._model, self._punctuation = model, punctuation
        self._numbers = numbers
        if numbers:
            find_numbers_with()

    @cached_property
    def tagger(self) -> PunctuationModel | None:
        """Loaded when something is to be tagged. Raises `ModelError`."""
        return load_punctuation_for(self._model) if self._punctuation else None

    def transcripts(
        self, outcomes: Iterable[Transcript | Failure], before: Callable[[], None] = lambda: None
    ) -> Iterator[Transcript | Failure]:
        """Each transcript made readable, failures as they are; `before` is called ahead of each."""
        for outcome in outcomes:
            before()
            yield outcome if isinstance(outcome, Failure) else self.transcript(outcome)

    def transcript(self, transcript: Transcript) -> Transcript:
        """One transcript."""
        if self.tagger is not None:
            transcript = punctuate(transcript, self.tagger)
        return replace(transcript, segments=tuple(map(self.with_figures, transcript.segments)))

    def with_figures(self, segment: Segment) -> Segment:
        """A segment with figures, if they are asked for."""
        return write_figures(segment) if self._numbers else segment

    def live(self, show: Callable[[Segment], None]) -> LiveText:
        """What shows segments as they come."""
        return LiveText(self, show)


class LiveText:
    """Shows the segments of a recording one after the other."""

    def __init__(self, readable: Readable, show: Callable[[Segment], None]) -> None:
        self._readable, self._show = readable, show

    @cached_property
    def _stream(self) -> PunctuatedStream:
        return PunctuatedStream(self._readable.tagger)

    def feed(self, segment: Segment) -> None:
        """One more segment: show what can be shown now."""
        for ready in self._stream.feed(segment):
            self._show(self._readable.with_figures(ready))

    def finish(self) -> None:
        """Show what was held back."""
        for ready in self._stream.finish():
            self._show(self._readable.with_figures(ready))
