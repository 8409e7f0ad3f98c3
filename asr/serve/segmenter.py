"""Live speech, cut at its pauses while it comes in.

Like `asr.audio.segmentation` it knows energy only. But it cannot look ahead: what is loud and what is quiet it learns
from the last half minute, and a chunk is closed as soon as a pause is long enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr.audio.segmentation import FRAME, SILENCE_DB, Chunk, frame_levels, pauses, quietest
from asr.audio.source import Samples


@dataclass(frozen=True)
class LiveConfig:
    """When a chunk of live speech ends."""

    max_chunk_s: float = 15.0
    """No chunk is longer, context not counted."""
    min_silence_s: float = 0.6
    """A pause that ends a chunk."""
    min_speech_s: float = 0.15
    """Less speech than this in a chunk is a click, and dropped."""
    padding_s: float = 0.25
    """Silence left before and behind the speech of a chunk."""
    context_s: float = 0.5
    """Sound from beyond a cut that is not in a pause."""
    memory_s: float = 30.0
    """From this long the levels of noise and speech are known."""
    speech_threshold: float = 0.3
    """Speech begins at this part of the way, in dB, from the quietest to the loudest of the memory."""
    min_contrast_db: float = 9.0
    """Where the loudest is less than this above the quietest, nobody speaks."""


class LiveSegmenter:
    """Takes samples (N,) as they come and gives chunks as pauses close them; `open_chunk` is what is not closed yet."""

    def __init__(self, sample_rate: int, config: LiveConfig | None = None) -> None:
        self._rate = sample_rate
        self._config = config or LiveConfig()
        self._hop = round(FRAME * sample_rate)
        self._memory = np.empty(0)
        """Levels of the last frames that were not digital silence, of which noise and speech are known."""
        self._buffer = np.empty(0, np.float32)
        self._position = 0
        """Of `buffer[0]` among all samples."""
        self._begin = 0
        """Frames of the buffer that belong to the chunk before, and are kept as context."""
        self._level = np.empty(0)
        """Of each frame of the buffer."""

    def feed(self, samples: Samples) -> list[Chunk]:
        """Take in the next samples; the chunks that they close."""
        self._buffer = np.concatenate([self._buffer, samples])
        whole = len(self._buffer) // self._hop
        if whole == len(self._level):
            return []
        fresh = frame_levels(self._buffer[len(self._level) * self._hop : whole * self._hop], self._hop)
        self._level = np.concatenate([self._level, fresh])
        audible = fresh[fresh > SILENCE_DB]
        self._memory = np.concatenate([self._memory, audible])[-round(self._config.memory_s / FRAME) :]
        chunks = []
        while (closed := self._close()) is not None:
            chunks += closed
        return chunks

    def open_chunk(self) -> Chunk | None:
        """What has been said since the last pause, if anything."""
        speech = self._speech()
        if speech.sum() * FRAME < self._config.min_speech_s:
            return None
        return self._chunk(self._first(speech), len(speech), forced=False)

    def finish(self) -> Chunk | None:
        """The last chunk, where there is one; nothing more will come."""
        chunk = self.open_chunk()
        self._drop(len(self._level))
        return chunk

    def _close(self) -> list[Chunk] | None:
        """Close at most one chunk: none closed is [], and None says that more sound is needed."""
        speech, config = self._speech(), self._config
        if not speech.any():
            self._drop(len(speech) - round(config.context_s / FRAME))
            return None
        first, padding = self._first(speech), round(config.padding_s / FRAME)
        for begin, end in pauses(speech):
            if begin > first and (end - begin) * FRAME >= config.min_silence_s:
                long_enough = speech[:begin].sum() * FRAME >= config.min_speech_s
                chunk = self._chunk(first, begin + padding, forced=False) if long_enough else None
                self._drop(max(begin + padding, end - padding))
                return [chunk] if chunk else []
        most = round(config.max_chunk_s / FRAME)
        if len(speech) - first < most + round(config.context_s / FRAME):
            return None
        cut = quietest(self._level[self._begin :], first + round(0.4 * most), first + most)
        chunk = self._chunk(first, cut, forced=True)
        self._drop(cut, keep=round(config.context_s / FRAME))
        return [chunk]

    def _speech(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """(T,), true where the open part of the buffer is as loud as speech."""
        level = self._level[self._begin :]
        if not self._memory.size:
            return np.zeros(len(level), np.bool_)
        # The loudest tenth of a second: a larger share would make a first word after a long silence go unnoticed.
        ordered = np.sort(self._memory)
        floor, loud = ordered[len(ordered) // 20], ordered[-10:][0]
        if loud - floor < self._config.min_contrast_db:
            return np.zeros(len(level), np.bool_)
        speech = np.asarray(level > floor + self._config.speech_threshold * (loud - floor))
        if self._begin and len(speech):
            speech[0] = True  # it goes on from a cut in mid-speech
        return speech

    def _first(self, speech: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
        return max(0, int(speech.argmax()) - round(self._config.padding_s / FRAME))

    def _chunk(self, first: int, end: int, *, forced: bool) -> Chunk:
        """Frames `first` to `end` of the open part, with context on the sides that are cuts in mid-speech."""
        before = self._begin * self._hop if first == 0 else 0
        start, stop = (self._begin + first) * self._hop, (self._begin + end) * self._hop
        after = min(round(self._config.context_s * self._rate), len(self._buffer) - stop) if forced else 0
        samples = self._buffer[start - before : stop + after].copy()
        return Chunk(self._position + start - before, samples, before, after)

    def _drop(self, frames: int, keep: int = 0) -> None:
        """Let go of that many frames of the open part, but for the last `keep`, which stay as context."""
        end = self._begin + max(0, frames)
        kept = min(keep, end)
        cut = (end - kept) * self._hop
        self._buffer, self._level = self._buffer[cut:], self._level[end - kept :]
        self._position += cut
        self._begin = kept
