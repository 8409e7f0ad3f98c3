"""One recognizer for all who ask: chunks from every recording share batches. Texts come in the model's own case.

reader threads             network thread           search thread
recording → chunks   →     batch → network   →      search → words   →   segments, in the order of each recording

A recording is never taken as a whole. However long it is, a short one that comes later waits for a few batches only,
and one whose client has left is done with after the batch that it is in. Live speech goes before all else.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter

import numpy as np

from asr.audio.segmentation import Chunk
from asr.decoding.lexicon_trie import alphabet_of
from asr.errors import AsrError
from asr.serve.api import hotwords_of
from asr.transcription.decoder import DecodeOptions
from asr.transcription.reader import EndOfAudio, Request, RequestChunk, batches, end_after, read_chunks
from asr.transcription.recognizer import Recognizer
from asr.transcription.result import Segment

_AHEAD = 20.0
"""Seconds of sound that are read ahead of each recording."""
_WINDOW = 240.0
"""Seconds of sound from which batches of like lengths are made."""
_LIVE_WINDOW = 30.0
"""The same while somebody speaks: they wait for it."""
_DECODERS = 4
"""Searches for other hotwords that are kept, and that recordings may have at one time; each holds a lexicon."""


Hotwords = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Work:
    """A chunk to recognize, by whom, and the segment that comes of it: None where nothing is said."""

    chunk: Chunk
    recognizer: Recognizer
    urgent: bool
    future: Future[Segment | None] = field(default_factory=Future)


@dataclass(eq=False)
class Recording:
    """A recording on its way through the engine, whose lock guards all that more than one thread touches."""

    path: Path
    put: Callable[[Future[Segment | None] | EndOfAudio], None]
    """Called by the engine's threads, in order: with what will be known of each chunk, then with the end."""
    hotwords: Hotwords = ()
    cancelled: bool = False
    """Nobody waits for it any more."""
    chunks: deque[_Work] = field(default_factory=deque)
    """What is read ahead and not yet taken."""
    reading: bool = False
    has_ended: bool = False
    """Whether nothing stands behind the last chunk."""
    source: Generator[RequestChunk | EndOfAudio] | None = None
    recognizer: Recognizer | None = None
    """The one that expects its hotwords, once it is made."""

    def close(self) -> None:
        """Let go of the file and the search. Not while it is being read."""
        self.recognizer = None
        if self.source is not None:
            self.source.close()


class Engine:
    """Threads around one recognizer. `close` ends them."""

    def __init__(
        self, recognizer: Recognizer, options: DecodeOptions | None = None, threads: int | None = None
    ) -> None:
        """`options` are those that the recognizer searches with; prompts add hotwords to them."""
        self.recognizer = recognizer
        self.live_sessions = 0
        self._rate = recognizer.model.sample_rate
        self._options = options or DecodeOptions()
        self._clock = _BusyClock()
        self._expecting = lru_cache(_DECODERS)(self._with_hotwords)
        self._making = threading.Lock()
        self._change = threading.Condition()
        self._recordings: deque[Recording] = deque()
        self._live: deque[_Work] = deque()
        self._closed = False
        self._readers = ThreadPoolExecutor(threads or 2, "asr-reader")
        self._searcher = ThreadPoolExecutor(1, "asr-search")
        # One batch is searched while the next goes through the network, and no more wait between them.
        self._room = threading.Semaphore(2)
        self._thread = threading.Thread(target=self._run, name="asr-network", daemon=True)
        self._thread.start()

    def hotwords_of(self, prompt: str, keywords: Iterable[str]) -> Hotwords:
        """What a client's words tell the search to expect; nothing where it is greedy and expects nothing."""
        if self._options.greedy:
            return ()
        return hotwords_of(prompt, keywords, alphabet_of(self.recognizer.model.tokenizer.vocabulary))

    @property
    def busy_seconds(self) -> float:
        """Seconds in which the network or the search was at work."""
        return self._clock.count()

    def submit(self, recording: Recording) -> None:
        """Take on a recording; what comes of it is put where it says."""
        with self._change:
            self._recordings.append(recording)
            self._read_on(recording)

    def cancel(self, recording: Recording) -> None:
        """Stop work on a recording: nobody waits for it any more."""
        with self._change:
            recording.cancelled = True
            self._change.notify_all()

    def prepare(self, hotwords: Hotwords) -> Recognizer:
        """The recognizer that expects `hotwords`: another search around the same network. Raises `AsrError`."""
        if not hotwords:
            return self.recognizer
        with self._making:  # once, however many ask for it
            return self._expecting(hotwords)

    def _with_hotwords(self, hotwords: Hotwords) -> Recognizer:
        return self.recognizer.with_search(replace(self._options, hotwords=(*self._options.hotwords, *hotwords)))

    def recognize(self, chunk: Chunk, recognizer: Recognizer | None = None) -> Future[Segment | None]:
        """What is said in one chunk of live speech, ahead of all recordings, by one whom `prepare` has made."""
        work = _Work(chunk, recognizer or self.recognizer, urgent=True)
        with self._change:
            self._live.append(work)
            self._change.notify_all()
        return work.future

    def close(self) -> None:
        """End the threads; what has not been delivered never is."""
        with self._change:
            self._closed = True
            for recording in self._recordings:
                recording.cancelled = True
            self._change.notify_all()
        self._readers.shutdown(cancel_futures=True)
        self._thread.join()
        self._searcher.shutdown()

    def _read_on(self, recording: Recording) -> None:
        """Have a reader fill up what is read ahead. Call with the lock held."""
        waiting = sum(len(work.chunk.samples) for work in recording.chunks)
        busy = recording.reading or recording.has_ended or self._closed
        if not busy and waiting < _AHEAD * self._rate and self._may_begin(recording):
            recording.reading = True
            self._readers.submit(self._read, recording)

    def _may_begin(self, recording: Recording) -> bool:
        """Whether it has begun, or its search may be made: others must end first. Call with the lock held."""
        begun = {each.hotwords for each in self._recordings if each.hotwords and (each.reading or each.recognizer)}
        return not recording.hotwords or recording.hotwords in begun or len(begun) < _DECODERS

    def _read(self, recording: Recording) -> None:
        try:
            # Made here, where it keeps nobody else waiting, and once.
            recording.recognizer = recording.recognizer or self.prepare(recording.hotwords)
            end = self._fill(recording, recording.recognizer)
        except Exception as error:
            end = end_after(error, 0, str(recording.path))
        with self._change:
            recording.reading, recording.has_ended = False, end is not None
            if recording.cancelled:
                recording.close()
            elif end is not None:
                recording.put(end)
            self._change.notify_all()

    def _fill(self, recording: Recording, recognizer: Recognizer) -> EndOfAudio | None:
        """Read some seconds ahead; the end of the recording, where that comes before."""
        recording.source = recording.source or read_chunks(
            0, Request(recording.path), self._rate, self.recognizer.segmentation, lambda: not recording.cancelled
        )
        seconds = 0.0
        while seconds < _AHEAD:
            item = next(recording.source)
            if isinstance(item, EndOfAudio):
                return item
            seconds += len(item.chunk.samples) / self._rate
            work = _Work(item.chunk, recognizer, urgent=False)
            recording.put(work.future)
            with self._change:
                recording.chunks.append(work)
                self._change.notify_all()
        return None

    def _run(self) -> None:
        while (window := self._take()) is not None:
            for urgent, recognizer in dict.fromkeys((work.urgent, work.recognizer) for work in window):
                alike = [work for work in window if work.urgent == urgent and work.recognizer is recognizer]
                parts = [RequestChunk(number, work.chunk) for number, work in enumerate(alike)]
                for batch in batches(parts, self._rate):
                    if self._closed:
                        return
                    self._recognize(batch, [alike[part.request] for part in batch], recognizer)

    def _take(self) -> list[_Work] | None:
        """The chunks to recognize next, live ones first; None when closed."""
        with self._change:
            while not self._closed:
                self._let_go()
                if window := self._window():
                    return window
                self._change.wait()
            for work in self._live:
                work.future.cancel()
            return None

    def _let_go(self) -> None:
        """Drop the recordings that are taken to their end, and those that nobody waits for. Call with the lock held."""
        for recording in list(self._recordings):
            if recording.cancelled or (recording.has_ended and not recording.chunks):
                self._recordings.remove(recording)
                if not recording.reading:
                    recording.close()

    def _window(self) -> list[_Work]:
        """Chunks in turn from all recordings, those first that waited longest. Call with the lock held."""
        window = [work for work in self._live if work.future.set_running_or_notify_cancel()]
        self._live.clear()
        limit = (_LIVE_WINDOW if self.live_sessions else _WINDOW) * self._rate
        samples = 0
        while samples < limit and any(recording.chunks for recording in self._recordings):
            recording = self._recordings[0]
            self._recordings.rotate(-1)
            if recording.chunks and (work := recording.chunks.popleft()).future.set_running_or_notify_cancel():
                window.append(work)
                samples += len(work.chunk.samples)
        for recording in self._recordings:
            self._read_on(recording)
        return window

    def _recognize(self, batch: list[RequestChunk], works: list[_Work], recognizer: Recognizer) -> None:
        self._room.acquire()
        self._clock.count(1)
        try:
            views = recognizer.views(batch)
        except Exception as error:
            self._done(works, error)
            return

        def search() -> None:
            try:
                segments = recognizer.search(batch, views, words=True)
            except Exception as error:
                self._done(works, error)
            else:
                self._done(works, segments)

        self._searcher.submit(search)

    def _done(self, works: list[_Work], outcome: list[Segment | None] | Exception) -> None:
        """Tell what came of a batch, and make room for the next one."""
        if isinstance(outcome, Exception):
            fault = outcome if isinstance(outcome, AsrError) else AsrError(f"{type(outcome).__name__}: {outcome}")
            for work in works:
                work.future.set_exception(fault)
        else:
            for work, segment in zip(works, outcome, strict=True):
                work.future.set_result(segment)
        self._clock.count(-1)
        self._room.release()


class _BusyClock:
    """Seconds in which at least one batch was at work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work = 0
        self._since = self._seconds = 0.0

    def count(self, more: int = 0) -> float:
        """Take note of so many `more` at work; the seconds so far."""
        with self._lock:
            now = perf_counter()
            self._seconds += now - self._since if self._at_work else 0.0
            self._since = now
            self._at_work += more
            return self._seconds


def warm_up(recognizer: Recognizer) -> None:
    """Have a recognizer compile and allocate what a first recording would have to wait for."""
    noise = np.random.default_rng(0).normal(0, 0.01, 2 * recognizer.model.sample_rate)
    recognizer.transcribe(noise.astype(np.float32))
