"""A recording as a stream of mono blocks at the wanted rate, in constant memory however long it is, or as a whole.

On the way its level is taken, which tells of offset, clipping and near silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

from asr.audio.source import AudioInput, Samples, SamplesSource, Source, open_source
from asr.errors import AudioError, UsageError

# Below −80 dBFS there is nothing but the last bits of a 16-bit converter.
SILENCE = 1e-4
_DC_OFFSET = 0.02  # of full scale: a sound card's fault, not a voice
_CLIPPED_SHARE = 1e-3
_LOW_RMS_DB = -55.0
_LOUDEST = 1e9  # times full scale: what is louder is no sound, and its energies would not fit into float32


@dataclass
class Level:
    """Running statistics of mono samples in [-1, 1]."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    peak: float = 0.0
    clipped: int = 0

    def add(self, samples: npt.NDArray[np.float32]) -> None:
        """Take in the next (N,) samples."""
        if not samples.size:
            return
        self.count += samples.size
        self.total += float(samples.sum(dtype=np.float64))
        self.squares += float(np.square(samples, dtype=np.float64).sum())
        low, high = float(samples.min()), float(samples.max())
        self.peak = max(self.peak, high, -low)
        if self.peak >= 0.999:
            self.clipped += int(np.count_nonzero(np.abs(samples) >= 0.999))

    @property
    def rms_db(self) -> float:
        """Root mean square, dB relative to full scale; −inf for nothing at all."""
        return 10 * math.log10(self.squares / self.count) if self.squares > 0 else -math.inf

    @property
    def is_silent(self) -> bool:
        """No sample that a microphone would have made."""
        return self.peak < SILENCE

    def notices(self) -> list[str]:
        """What a person should know before trusting the transcript, a phrase each."""
        if not self.count:
            return ["holds no sound"]
        if self.is_silent:
            return ["is silent"]
        notices = []
        if abs(self.total / self.count) > _DC_OFFSET:
            notices.append(f"has a DC offset ({100 * self.total / self.count:.0f} % of full scale)")
        if self.clipped > _CLIPPED_SHARE * self.count:
            notices.append(f"is clipped ({100 * self.clipped / self.count:.1f} % of its samples)")
        if self.rms_db < _LOW_RMS_DB:
            notices.append(f"is very quiet ({self.rms_db:.0f} dBFS)")
        return notices


Channel = int | str
"""A channel counted from 1 (as CTM files count), or "mix", the mean of all."""

_TELEPHONE_RATE = 8000


class AudioStream:
    """Blocks of (N,) float32 samples of one channel, resampled (soxr HQ) while they are read.

        with AudioStream("call.wav", sample_rate=16000) as stream:
            for block in stream:
                ...
            print(stream.notices())

    `offset` and `duration` are seconds of the recording. Raises `AudioError` naming the recording when it cannot be
    read, ends before its time, or holds samples that are no sound; the good blocks before a fault come first.
    """

    def __init__(
        self,
        audio: AudioInput | SamplesSource,
        sample_rate: int = 16000,
        channel: Channel = "mix",
        offset: float = 0.0,
        duration: float | None = None,
        block_seconds: float = 4.0,
    ) -> None:
        self.sample_rate = sample_rate
        self.channel = channel
        self.level = Level()
        self._loudest = 0.0  # of any channel, before they are mixed
        with ExitStack() as opening:
            self.source: Source = opening.enter_context(open_source(audio))
            """The open recording: name, format, own sample rate, channels."""
            self._check()
            if not 0 <= offset < math.inf or not 0 <= (duration or 0) < math.inf:
                what = f"from {offset} s on" if duration is None else f"from {offset} s on for {duration} s"
                raise AudioError(f"{self.source.name} cannot be read {what}")
            self._start = round(offset * self.source.sample_rate)
            self._length = math.inf if duration is None else round(duration * self.source.sample_rate)
            self._block = max(1, round(block_seconds * self.source.sample_rate))
            self._opening = opening.pop_all()

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._opening.close()

    def __iter__(self) -> Iterator[Samples]:
        rate = self.source.sample_rate
        resampler = (
            None if rate == self.sample_rate else soxr.ResampleStream(rate, self.sample_rate, 1, "float32", "HQ")
        )
        for block, last in self._blocks():
            mono = self._pick(block)
            if mono.size and not float(np.abs(mono).max()) < _LOUDEST:  # NaN is not smaller either
                raise AudioError(
                    f"{self.source.name} holds samples that are no sound (NaN, infinite, or beyond all measure)",
                    "Write it again from its source.",
                )
            if resampler is not None:
                mono = resampler.resample_chunk(mono, last=last)
            self.level.add(mono)
            if mono.size:
                yield mono

    def notices(self) -> list[str]:
        """What a person should know about the recording, a phrase each; complete once the stream has ended."""
        notices = []
        if self.source.channels > 1 and self.channel == "mix":
            notices.append(f"has {self.source.channels} channels, mixed to one (--channel N takes one of them)")
        if self.source.sample_rate <= _TELEPHONE_RATE:
            notices.append(f"is telephone speech ({self.source.sample_rate} Hz); expect more errors")
        if self.level.is_silent and self._loudest >= SILENCE:
            return [*self.source.notices, *notices, "is silent, because its channels cancel out: take one of them"]
        return [*self.source.notices, *notices, *self.level.notices()]

    def _check(self) -> None:
        channels = self.source.channels
        if self.channel == "mix":
            return
        if not isinstance(self.channel, int):
            raise UsageError(f"channel must be a number from 1 or 'mix', not {self.channel!r}")
        if not 1 <= self.channel <= channels:
            have = "only one channel" if channels == 1 else f"{channels} channels, counted from 1"
            raise AudioError(f"{self.source.name} has {have}: there is no channel {self.channel}")

    def _pick(self, block: Samples) -> Samples:
        if block.shape[1] == 1:
            return block[:, 0]
        if isinstance(self.channel, int):
            return np.ascontiguousarray(block[:, self.channel - 1])
        self._loudest = max(self._loudest, float(np.abs(block).max(initial=0.0)))
        mean: Samples = block.mean(axis=1, dtype=np.float32)
        return mean

    def _blocks(self) -> Iterator[tuple[Samples, bool]]:
        """(N, C) blocks at the recording's own rate, the last one marked."""
        source, seen, left = self.source, self._start, self._length
        if self._start:
            source.seek(self._start)
        while left > 0:
            wanted = int(min(self._block, left))
            block = source.read(wanted)
            seen += len(block)
            left -= len(block)
            if len(block) < wanted and source.missing(seen):
                raise AudioError(
                    f"{source.name} is cut short: it ends after {seen / source.sample_rate:.1f} s, before its time",
                    "Fetch or copy it again.",
                )
            last = len(block) < wanted or left == 0
            yield block, last
            if last:
                return


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
