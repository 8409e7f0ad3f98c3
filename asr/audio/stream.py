"""A recording as a stream of mono blocks at the wanted rate, in constant memory however long it is."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import numpy as np
import soxr

from asr.audio.level import SILENCE, Level
from asr.audio.source import AudioInput, Samples, SamplesSource, Source, open_source
from asr.errors import AudioError, UsageError

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
    read, ends before its time, or holds NaN or infinite samples; the good blocks before a fault come first.
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
        self._opening = open_source(audio)
        self._source = self._opening.__enter__()
        try:
            self._check()
            self._start = round(offset * self._source.sample_rate)
            self._length = None if duration is None else round(duration * self._source.sample_rate)
            self._block = max(1, round(block_seconds * self._source.sample_rate))
        except BaseException:
            self.close()
            raise

    @property
    def source(self) -> Source:
        """The open recording: name, format, own sample rate, channels."""
        return self._source

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._opening.__exit__(None, None, None)

    def __iter__(self) -> Iterator[Samples]:
        rate = self._source.sample_rate
        resampler = (
            None if rate == self.sample_rate else soxr.ResampleStream(rate, self.sample_rate, 1, "float32", "HQ")
        )
        for block, last in self._blocks():
            mono = self._pick(block)
            if not np.isfinite(mono).all():
                raise AudioError(
                    f"{self._source.name} holds samples that are no numbers (NaN or infinite)",
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
        if self._source.channels > 1 and self.channel == "mix":
            notices.append(f"has {self._source.channels} channels, mixed to one (--channel N takes one of them)")
        if self._source.sample_rate <= _TELEPHONE_RATE:
            notices.append(f"is telephone speech ({self._source.sample_rate} Hz); expect more errors")
        if self.level.is_silent and self._loudest >= SILENCE:
            return [*self._source.notices, *notices, "is silent, because its channels cancel out: take one of them"]
        return [*self._source.notices, *notices, *self.level.notices()]

    def _check(self) -> None:
        channels = self._source.channels
        if self.channel == "mix":
            return
        if not isinstance(self.channel, int):
            raise UsageError(f"channel must be a number from 1 or 'mix', not {self.channel!r}")
        if not 1 <= self.channel <= channels:
            have = "only one channel" if channels == 1 else f"{channels} channels, counted from 1"
            raise AudioError(f"{self._source.name} has {have}: there is no channel {self.channel}")

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
        source, seen, left = self._source, self._start, self._length
        if self._start:
            source.seek(self._start)
        while left is None or left > 0:
            wanted = self._block if left is None else min(self._block, left)
            block = source.read(wanted)
            seen += len(block)
            left = None if left is None else left - len(block)
            if len(block) < wanted and source.missing(seen):
                raise AudioError(
                    f"{source.name} is cut short: it ends after {seen / source.sample_rate:.1f} s, before its time",
                    "Fetch or copy it again.",
                )
            last = len(block) < wanted or left == 0
            yield block, last
            if last:
                return
