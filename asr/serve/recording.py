"""A recording on its way through the engine: read in chunks, delivered in segments, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path

from asr.audio.segmentation import Chunk
from asr.transcription.reader import EndOfAudio, RequestChunk
from asr.transcription.recognizer import Recognizer, without_overlap
from asr.transcription.result import Segment

Hotwords = tuple[str, ...]


@dataclass(eq=False)
class Recording:
    """The state of one recording; the engine's lock guards all that more than one thread touches.

    The callbacks come from the engine's threads: `on_segment` in order of time, then `on_end` once.
    """

    path: Path
    on_segment: Callable[[Segment], None]
    on_end: Callable[[EndOfAudio], None]
    hotwords: Hotwords = ()
    cancelled: bool = False
    """Nobody waits for it any more: no callback comes."""
    chunks: deque[Chunk] = field(default_factory=deque)
    """What is read ahead and not yet taken."""
    reading: bool = False
    end: EndOfAudio | None = None
    """What stands behind the last chunk, or stopped it before."""
    taken: int = 0
    source: Generator[RequestChunk | EndOfAudio] | None = None
    recognizer: Recognizer | None = None
    """The one that expects its hotwords, once it is made."""
    _delivered: int = 0
    _early: dict[int, Segment | None] = field(default_factory=dict)
    """What is in chunks that were done before their turn."""
    _said_until: float = 0.0

    @property
    def is_done(self) -> bool:
        """Whether all that was read has been delivered."""
        return self.end is not None and not self.chunks and self._delivered == self.taken

    def close(self) -> None:
        """Let go of the file. Not while it is being read."""
        if self.source is not None:
            self.source.close()

    def take(self) -> tuple[int, Chunk]:
        """The next chunk that was read, and its number."""
        self.taken += 1
        return self.taken - 1, self.chunks.popleft()

    def deliver(self, number: int, segment: Segment | None) -> None:
        """Pass on what is said in chunk `number`, once all before it has been. Only the search thread calls it."""
        self._early[number] = segment
        while self._delivered in self._early:
            segment = self._early.pop(self._delivered)
            if segment is not None and not self.cancelled:
                segment = without_overlap(segment, self._said_until)
                self._said_until = segment.end
                self.on_segment(segment)
            self._delivered += 1

    def finish(self) -> None:
        """Tell that there is no more to come, unless nobody waits for it."""
        if self.end is not None and not self.cancelled:
            self.cancelled = True
            self.on_end(self.end)
