"""What a recording says of itself: duration, rate, channels, without decoding it where its header tells."""

from __future__ import annotations

from dataclasses import dataclass

from asr.audio.source import AudioInput, Source, open_source


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
        frames = source.frames if source.frames is not None else _count(source)
        return AudioInfo(source.name, source.format, source.sample_rate, source.channels, frames)


def _count(source: Source) -> int:
    frames = 0
    while block := len(source.read(source.sample_rate * 10)):
        frames += block
    return frames
