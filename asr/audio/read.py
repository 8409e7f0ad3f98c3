"""Read a recording whole: one channel, the wanted rate, float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asr.audio.source import AudioInput, Samples
from asr.audio.stream import AudioStream, Channel


@dataclass(frozen=True)
class Recording:
    """A recording in memory.

    `samples` is (N,) float32 in [-1, 1] at `sample_rate` Hz; `source_rate` and `channels` are the file's own;
    `notices` are phrases for a person ("has 2 channels, …", "is clipped …"); `level_db` is the RMS in dBFS.
    """

    name: str
    samples: Samples
    sample_rate: int
    source_rate: int
    channels: int
    level_db: float
    notices: tuple[str, ...]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate


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
    return read_recording(audio, sample_rate, channel, offset, duration).samples


def read_recording(
    audio: AudioInput,
    sample_rate: int = 16000,
    channel: Channel = "mix",
    offset: float = 0.0,
    duration: float | None = None,
) -> Recording:
    """The same as `read_audio`, with what there is to know about the recording."""
    with AudioStream(audio, sample_rate, channel, offset, duration, block_seconds=60.0) as stream:
        blocks = list(stream)
        return Recording(
            name=stream.source.name,
            samples=blocks[0] if len(blocks) == 1 else np.concatenate([np.empty(0, np.float32), *blocks]),
            sample_rate=sample_rate,
            source_rate=stream.source.sample_rate,
            channels=stream.source.channels,
            level_db=stream.level.rms_db,
            notices=tuple(stream.notices()),
        )
