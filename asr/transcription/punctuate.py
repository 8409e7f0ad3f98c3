"""Transcripts with punctuation and capitals, sentence by sentence across the pauses that part the segments.

The words as the model spells them stay beside the shown ones, in `raw`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from pathlib import Path

from asr.model.folder import ModelFolder, model_folder
from asr.punctuation import PunctuationModel, Tag, load_punctuation, write_words
from asr.text.tokenizer import WORD_START, load_tokenizer
from asr.transcription.result import Segment, Transcript

LONG_PAUSE = 0.5
"""Seconds of a pause that is known from segments alone, without the times of words."""
_ENGLISH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'")
CONTEXT = 64
"""Words of the past that a stream is read with."""
LOOKAHEAD = 6
"""Words that must follow a segment of a stream before it is shown."""


def load_punctuation_for(name_or_path: Path | str | None) -> PunctuationModel | None:
    """The punctuation of a model: its own, or the bundled one if the model writes English letters only.

    None for a model of another language that has none of its own. Raises `ModelError` when it is damaged.
    """
    folder = ModelFolder(model_folder(name_or_path))
    tagger = folder.punctuation
    if tagger is None:
        letters = set("".join(load_tokenizer(folder.path).vocabulary[1:])) - {WORD_START}
        tagger = ModelFolder(model_folder()).punctuation if _ENGLISH.issuperset(letters) else None
    return load_punctuation(tagger) if tagger else None


def punctuate(transcript: Transcript, model: PunctuationModel | None) -> Transcript:
    """A transcript in the model's own case, with punctuation; each channel is a text of its own.

    Without a model it stays as it is.
    """
    if model is None:
        return transcript
    by_channel: dict[int | None, list[int]] = {}
    for place, segment in enumerate(transcript.segments):
        by_channel.setdefault(segment.channel, []).append(place)
    segments = list(transcript.segments)
    for places in by_channel.values():
        own = [segments[place] for place in places]
        tags = iter(model.tags(_words(*own), _pauses(own)))
        for place, segment in zip(places, own, strict=True):
            segments[place] = show(segment, [next(tags) for _ in _words(segment)], model)
    return replace(transcript, segments=tuple(segments))


class PunctuatedStream:
    """Segments one after the other; each is held back until a few words after it are known: a clause at most.

    What has been shown is never changed: the words after it are read with it as it is.
    """

    def __init__(self, model: PunctuationModel | None, lookahead: int = LOOKAHEAD) -> None:
        """`lookahead` words must follow a segment; with 0 none waits. Without a model all stay as they are."""
        self._model = model
        self._lookahead = lookahead
        self._channels: dict[int | None, _Channel] = {}

    def feed(self, segment: Segment) -> list[Segment]:
        """One more segment; gives those that can be shown now."""
        if self._model is None:
            return [segment]
        channel = self._channels.setdefault(segment.channel, _Channel())
        channel.waiting.append(segment)
        ready, following = len(channel.waiting), 0
        while ready and following < self._lookahead:
            ready -= 1
            following += len(_words(channel.waiting[ready]))
        return self._show(channel, ready, self._model, finished=False) if ready else []

    def finish(self) -> list[Segment]:
        """What is still held back, in the order of time."""
        if self._model is None:
            return []
        rest = chain.from_iterable(
            self._show(channel, len(channel.waiting), self._model, finished=True) for channel in self._channels.values()
        )
        return sorted(rest, key=lambda each: (each.start, each.channel or 0))

    def _show(self, channel: _Channel, count: int, model: PunctuationModel, finished: bool) -> list[Segment]:
        read = [*channel.past, *channel.waiting]
        tags = model.tags(_words(*read), _pauses(read), finished, channel.tags)
        shown, at = [], len(channel.tags)
        for segment in channel.waiting[:count]:
            until = at + len(_words(segment))
            shown.append(show(segment, tags[at:until], model))
            at = until
        channel.tags = tags[:at]
        channel.past += channel.waiting[:count]
        del channel.waiting[:count]
        while len(channel.past) > 1 and len(channel.tags) - (first := len(_words(channel.past[0]))) >= CONTEXT:
            del channel.tags[:first], channel.past[0]
        return shown


@dataclass
class _Channel:
    waiting: list[Segment] = field(default_factory=list)
    past: list[Segment] = field(default_factory=list)
    """The last segments that were shown, and the tags of their words."""
    tags: list[Tag] = field(default_factory=list)


def show(segment: Segment, tags: Sequence[Tag], model: PunctuationModel) -> Segment:
    """The segment as a reader sees it."""
    texts = write_words(_words(segment), tags, model.mixed)
    words = tuple(replace(word, text=text, raw=word.text) for word, text in zip(segment.words, texts, strict=False))
    return replace(segment, text=" ".join(texts), raw=segment.text, words=words)


def _words(*segments: Segment) -> list[str]:
    """The words of segments: those with times, where there are any."""
    return list(chain(*([word.text for word in each.words] or each.text.split() for each in segments)))


def _pauses(segments: Sequence[Segment]) -> list[float | None]:
    """Seconds of silence behind each word, None where it is not known."""
    pauses: list[float | None] = []
    for segment, following in zip(segments, [*segments[1:], None], strict=True):
        gap = following.start - segment.end if following else LONG_PAUSE
        if segment.words:
            pauses += [after.start - word.end for word, after in pairwise(segment.words)]
            pauses.append(gap)
        elif count := len(segment.text.split()):
            pauses += [None] * (count - 1) + [gap if gap >= LONG_PAUSE else None]
    return pauses
