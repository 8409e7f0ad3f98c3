"""From recordings to batches of speech, read ahead by threads while the network works.

Chunks of like lengths, from whichever recordings, share a batch: little of the network's work goes into padding.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.audio.segmentation import Chunk, SegmentationConfig, segment_at_pauses
from asr.audio.source import AudioInput, SamplesSource, audio_name, open_source
from asr.audio.stream import SILENCE, AudioStream, Channel
from asr.errors import AsrError, AudioError, UsageError
from asr.io import is_stream

_PATIENCE = 0.05
"""Seconds for which a reader waits for sound before its caller may look after other things."""
BATCH_SECONDS = 120.0
"""Sound in a batch, padding included: larger batches fall out of the processor's cache and are slower."""
LARGEST_WINDOW = 300.0
"""Seconds of sound among which batches of like lengths are sought."""
STREAM_WINDOW = 30.0
"""The same where somebody waits for the words."""
_SECOND_WINDOW = 8.0


@dataclass(frozen=True)
class Request:
    """A recording to transcribe: a path, bytes or file object, or samples at `sample_rate`.

    Samples are an array (N,) or (N, C), a tensor of PyTorch (N,) or (C, N), or an iterator of blocks of an array.

    `channel` counts from 1, or is "mix" (the mean of all) or "split" (each for itself).
    """

    audio: AudioInput | npt.NDArray[Any] | Iterable[npt.NDArray[Any]]
    name: str = ""
    """What to call it in messages and outputs; by default its path."""
    channel: Channel = "mix"
    sample_rate: int | None = None

    def __post_init__(self) -> None:
        if self.sample_rate is not None and self.sample_rate <= 0:
            raise UsageError(f"sample_rate must be positive, not {self.sample_rate}")
        if not self.name:
            object.__setattr__(self, "name", audio_name(self.audio))


@dataclass(frozen=True)
class RequestChunk:
    """A chunk of request number `request`; `channel` counts from 1 where channels are split."""

    request: int
    chunk: Chunk
    channel: int | None = None


@dataclass(frozen=True)
class EndOfAudio:
    """Nothing more comes of request number `request`: it lasted `duration` seconds, or `error` stopped it.

    `channel` is the only one that was read, where one was asked for.
    """

    request: int
    name: str
    duration: float = 0.0
    notices: tuple[str, ...] = ()
    channel: int | None = None
    error: AsrError | None = None


def end_after(error: Exception, number: int, name: str) -> EndOfAudio:
    """The end of a recording that `error` stopped. It must never stop others, whatever was wrong with this one."""
    if not isinstance(error, AsrError):
        error = AudioError(f"{name} cannot be read: {type(error).__name__}: {error}")
    return EndOfAudio(number, name, error=error)


def read_chunks(
    number: int,
    request: Request,
    sample_rate: int,
    config: SegmentationConfig,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Generator[RequestChunk | EndOfAudio]:
    """The chunks of one recording, then its end. Raises `AudioError`, and `UsageError` for what is no audio.

    Once it is not `is_wanted` any more, nothing more is read. That is asked for each block, since hours of silence make
    no chunk.
    """
    split = request.channel == "split"
    audio = _readable(request, sample_rate, again=split)
    channels: list[Channel] = [request.channel]
    if split:
        with open_source(audio() if callable(audio) else audio) as source:
            channels = list(range(1, source.channels + 1))
    duration, notices = 0.0, []
    for channel in channels:
        label = channel if split and isinstance(channel, int) else None
        with AudioStream(audio() if callable(audio) else audio, sample_rate, channel) as stream:
            blocks = takewhile(lambda _: is_wanted(), stream)
            for chunk in segment_at_pauses(blocks, sample_rate, config):
                if np.abs(chunk.samples).max() > SILENCE:
                    yield RequestChunk(number, chunk, label)
            duration = stream.level.count / sample_rate
            notices += [f"{notice} (channel {label})" if label else notice for notice in stream.notices()]
    only = request.channel if isinstance(request.channel, int) else None
    yield EndOfAudio(number, request.name, duration, tuple(notices), only)


Readable = AudioInput | Callable[[], SamplesSource]


def _readable(request: Request, sample_rate: int, again: bool) -> Readable:
    """What `AudioStream` reads, once, or several times if `again`: samples as a function that begins anew."""
    audio: Any = request.audio
    if isinstance(audio, (str, os.PathLike, bytes)) or hasattr(audio, "read"):
        if request.sample_rate is not None:
            raise UsageError(
                f"{request.name} says its sample rate itself", "Leave sample_rate out: it is for bare samples."
            )
        return read_whole(audio) if again else audio
    rate = request.sample_rate or sample_rate
    if hasattr(audio, "detach"):  # a tensor of PyTorch, (N,) or (C, N) as torchaudio has it
        audio = audio.detach().cpu().numpy().T
    if isinstance(audio, np.ndarray):
        return partial(SamplesSource, request.name, [audio], rate, len(audio) if audio.ndim else 0)
    if not isinstance(audio, Iterable):
        raise UsageError(
            f"{request.name} is a {type(audio).__name__}, which is no audio",
            "Give a path, the bytes of a file, a binary file, a NumPy array or a tensor, or an iterator of blocks.",
        )
    return partial(SamplesSource, request.name, list(audio) if again else audio, rate, None)


def read_whole(audio: AudioInput) -> AudioInput:
    """Bytes in place of what can be read but once, a file object or a pipe."""
    if isinstance(audio, bytes):
        return audio
    if not isinstance(audio, (str, os.PathLike)):
        return audio.read()
    return Path(audio).read_bytes() if is_stream(audio) else audio


class AudioReader:
    """Threads that read recordings ahead of their turn.

    Iterating gives the chunks and the end of the first recording, then of the second, and so on; unless `in_order`,
    whatever is ready, and what has been read to its end before all else, so that no short recording waits for a long
    one. None comes now and then for as long as nothing is ready. At most about `ahead` seconds of sound wait in memory:
    a thread with more to give waits, unless the recording whose turn it is has nothing left to give (so that no two
    threads can wait for each other).
    """

    def __init__(
        self,
        requests: Iterable[Request],
        sample_rate: int,
        config: SegmentationConfig | None = None,
        threads: int = 2,
        ahead: float = 120.0,
        in_order: bool = True,
    ) -> None:
        self._requests = enumerate(requests)
        self._rate = sample_rate
        self._config = config or SegmentationConfig()
        self._ahead = round(ahead * sample_rate)
        self._in_order = in_order
        self._change = threading.Condition()
        self._taking = threading.Lock()
        self._queues: dict[int, deque[RequestChunk | EndOfAudio]] = {}
        self._waiting_samples = 0
        self._turn = 0
        self._taken = 0
        self._total: int | None = None
        self._closed = False
        self._fault: Exception | None = None
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def __iter__(self) -> Iterator[RequestChunk | EndOfAudio | None]:
        def is_ready() -> bool:
            return self._number_ready() is not None or self._turn == self._total

        patience = 0.0
        while True:
            item = None
            with self._change:
                if self._change.wait_for(is_ready, patience):
                    number = self._number_ready()
                    if number is None:
                        if self._fault is not None:
                            raise self._fault
                        return
                    item = self._queues[number].popleft()
                    if isinstance(item, RequestChunk):
                        self._waiting_samples -= len(item.chunk.samples)
                    else:
                        del self._queues[number]
                        self._turn = min(self._queues, default=self._taken)
                    self._change.notify_all()
            yield item
            patience = 0.0 if item else _PATIENCE

    def _number_ready(self) -> int | None:
        """The recording to go on with, if anything of it is there."""
        if self._in_order:
            return self._turn if self._queues.get(self._turn) else None
        there = [number for number, queue in self._queues.items() if queue]
        whole = [number for number in there if isinstance(self._queues[number][-1], EndOfAudio)]
        return next(iter(whole or there), None)

    def close(self) -> None:
        """Stop reading ahead."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            number, request = taken
            try:
                for item in read_chunks(number, request, self._rate, self._config, lambda: not self._closed):
                    if not self._put(item):
                        return
            except Exception as error:
                self._put(end_after(error, number, request.name))

    def _take(self) -> tuple[int, Request] | None:
        """The next recording, once there is room for it."""
        with self._taking:
            if not self._wait(lambda: self._waiting_samples < self._ahead or self._taken == self._turn):
                return None
            try:
                taken = next(self._requests, None)
                if taken is not None and not isinstance(taken[1], Request):
                    raise UsageError(f"{taken[1]!r} is no asr.Request", "For example asr.Request('talk.wav').")
            except Exception as error:  # the caller's own generator: its fault belongs to the caller
                taken, self._fault = None, error
            with self._change:
                if taken is None:
                    self._total = self._taken
                else:
                    self._queues[self._taken] = deque()
                    self._taken += 1
                self._change.notify_all()
            return taken

    def _put(self, item: RequestChunk | EndOfAudio) -> bool:
        number = item.request
        if not self._wait(lambda: self._has_room(number)):
            return False
        with self._change:
            self._queues[number].append(item)
            if isinstance(item, RequestChunk):
                self._waiting_samples += len(item.chunk.samples)
            self._change.notify_all()
        return True

    def _has_room(self, number: int) -> bool:
        return self._waiting_samples < self._ahead or (number == self._turn and not self._queues[number])

    def _wait(self, ready: Callable[[], bool]) -> bool:
        """Wait until `ready` or closed; false when closed."""
        with self._change:
            self._change.wait_for(lambda: self._closed or ready())
            return not self._closed


def windows(
    items: Iterable[RequestChunk | EndOfAudio | None],
    sample_rate: int,
    largest: float = LARGEST_WINDOW,
    eager: bool = False,
) -> Iterator[list[RequestChunk | EndOfAudio]]:
    """Group a stream of chunks, in order, by more and more seconds of sound, by `largest` in the end.

    Large windows give batches of like lengths, small ones the first words soon: where somebody waits for these
    (`largest` says so) the first chunk comes alone. None among the items, which says that none is ready now, comes out
    as an empty window; a second one, if `eager`, as the window so far. Without that the windows follow from the items
    alone, however slowly these come.
    """
    window: list[RequestChunk | EndOfAudio] = []
    samples, limit = 0, 0.0 if largest <= STREAM_WINDOW else STREAM_WINDOW
    idle = False
    for item in items:
        if item is not None:
            window.append(item)
        samples += len(item.chunk.samples) if isinstance(item, RequestChunk) else 0
        if samples > limit * sample_rate or (item is None and idle and eager):
            yield window
            window, samples, limit = [], 0, min(max(2 * limit, _SECOND_WINDOW), largest)
        elif item is None:
            yield []
        idle = item is None
    if window:
        yield window


def batches(
    chunks: list[RequestChunk], sample_rate: int, seconds: float = BATCH_SECONDS
) -> Iterator[list[RequestChunk]]:
    """Divide chunks into batches of at most `seconds` of padded sound, the longest first."""
    batch: list[RequestChunk] = []
    for part in sorted(chunks, key=lambda each: -len(each.chunk.samples)):
        longest = len((batch[0] if batch else part).chunk.samples)
        if batch and longest * (len(batch) + 1) > seconds * sample_rate:
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch
