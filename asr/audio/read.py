"""A recording as a whole: all its samples, or what its header says of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr.audio.source import AudioInput, Samples, open_source
from asr.audio.stream import AudioStream, Channel


def read_audio(
    audio: AudioInput,
    sample_rate: int = 16000,
    channel: Channel = "mix",
    offset: float = 0.0,
    duration: float | None = None,
) -> Samples:
    """The samples (N,) of a path, the bytes of a file or a binary file object: mono float32 at `sample_rate` (soxr HQ).

    `channel` counts from 1; "mix" takes the mean of all. `offset` and `duration` are seconds. A recording without
    sound has zero samples. Raises `AudioError` naming a recording that cannot be read.
    """
    with AudioStream(audio, sample_rate, channel, offset, duration, block_seconds=60.0) as stream:
        blocks = list(stream)
    return blocks[0] if len(blocks) == 1 else np.concatenate([np.empty(0, np.float32), *blocks])


@dataclass(frozen=True)
class AudioInfo:
    """The header of a recording; `duration` in seconds, `sample_rate` in Hz."""

    name: str
    format: str
    sample_rate: int
    channels: int
    frames: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate

    def rows(self) -> list[tuple[str, str]]:
        """Name and value of each fact, as `asr info` prints them."""
        return [
            ("format", self.format),
            ("duration", f"{self.duration:.2f} s"),
            ("sample rate", f"{self.sample_rate:,} Hz"),
            ("channels", str(self.channels)),
        ]


def probe_audio(audio: AudioInput) -> AudioInfo:
    """Read a recording's header. Raises `AudioError` naming a recording that cannot be opened.

    What only ffmpeg reads is decoded to be measured; a truncated file may claim more than it holds.
    """
    with open_source(audio) as source:
        frames = source.frames
        if frames is None:
            frames = sum(iter(lambda: len(source.read(source.sample_rate * 10)), 0))
        return AudioInfo(source.name, source.format, source.sample_rate, source.channels, frames)
