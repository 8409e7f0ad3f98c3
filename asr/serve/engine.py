"""One recognizer for all who ask: chunks from every recording share batches. Texts come in the model's own case.

reader threads             network thread           search thread
recording → chunks   →     batch → network   →      search → words   →   segments, in the order of each recording

A recording is never taken as a whole. However long it is, a short one that comes later waits for a few batches only,
and one whose client has left is done with after the batch that it is in. Live speech goes before all else.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from time import perf_counter

import numpy as np

from asr.audio.segmentation import Chunk
from asr.decoding.lexicon_trie import alphabet_of
from asr.errors import AsrError
from asr.serve.recording import Hotwords, Recording
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
"""Searches for other hotwords that are kept; each holds a lexicon."""


@dataclass
class _Work:
    """A chunk to recognize and where its segment goes."""

    chunk: Chunk
    recognizer: Recognizer
    urgent: bool
    deliver: Callable[[Segment | None], None]
    fail: Callable[[AsrError], None]


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
        self._live: deque[tuple[_Work, Future[Segment | None]]] = deque()
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
        """Take on a recording; its callbacks tell how it goes."""
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
        future: Future[Segment | None] = Future()
        work = _Work(chunk, recognizer or self.recognizer, True, future.set_result, future.set_exception)
        with self._change:
            self._live.append((work, future))
            self._change.notify_all()
        return future

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
        waiting = sum(len(chunk.samples) for chunk in recording.chunks)
        if not (recording.reading or recording.end or self._closed or waiting >= _AHEAD * self._rate):
            recording.reading = True
            self._readers.submit(self._read, recording)

    def _read(self, recording: Recording) -> None:
        try:
            # Made here, where it keeps nobody else waiting, and once.
            recording.recognizer = recording.recognizer or self.prepare(recording.hotwords)
            end = self._fill(recording)
        except Exception as error:
            end = end_after(error, 0, str(recording.path))
        with self._change:
            recording.reading, recording.end = False, end
            if recording.cancelled:
                recording.close()
            self._change.notify_all()

    def _fill(self, recording: Recording) -> EndOfAudio | None:
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
            with self._change:
                recording.chunks.append(item.chunk)
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
            for _, future in self._live:
                future.cancel()
            return None

    def _let_go(self) -> None:
        """Drop the recordings that are done, and those that nobody waits for. Call with the lock held."""
        for recording in list(self._recordings):
            if recording.cancelled or recording.is_done:
                self._recordings.remove(recording)
                recording.finish()
                if not recording.reading:
                    recording.close()

    def _window(self) -> list[_Work]:
        """Chunks in turn from all recordings, those first that waited longest. Call with the lock held."""
        window = [work for work, future in self._live if future.set_running_or_notify_cancel()]
        self._live.clear()
        limit = (_LIVE_WINDOW if self.live_sessions else _WINDOW) * self._rate
        samples = 0
        while samples < limit and any(recording.chunks for recording in self._recordings):
            recording = self._recordings[0]
            self._recordings.rotate(-1)
            if recording.chunks:
                window.append(self._work(recording))
                samples += len(window[-1].chunk.samples)
        for recording in self._recordings:
            self._read_on(recording)
        return window

    def _work(self, recording: Recording) -> _Work:
        number, chunk = recording.take()

        def fail(error: AsrError) -> None:
            recording.end = EndOfAudio(0, str(recording.path), error=error)
            recording.finish()

        recognizer = recording.recognizer or self.recognizer
        return _Work(chunk, recognizer, False, lambda segment: recording.deliver(number, segment), fail)

    def _recognize(self, batch: list[RequestChunk], works: list[_Work], recognizer: Recognizer) -> None:
        self._room.acquire()
        self._clock.count(1)
        try:
            views = recognizer.views(batch)
        except Exception as error:
            self._done(works, error)
            return

        def search() -> None:
            problem: Exception | None = None
            try:
                segments = recognizer.search(batch, views, words=True)
                for work, segment in zip(works, segments, strict=True):
                    work.deliver(segment)
            except Exception as error:
                problem = error
            self._done(works, problem)

        self._searcher.submit(search)

    def _done(self, works: list[_Work], error: Exception | None) -> None:
        """Make room for the next batch; `error` is what went wrong with this one."""
        if error is not None:
            fault = error if isinstance(error, AsrError) else AsrError(f"{type(error).__name__}: {error}")
            for work in works:
                work.fail(fault)
        self._clock.count(-1)
        self._room.release()
        with self._change:
            self._change.notify_all()


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


_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_MOST = 50
_LONGEST = 40
_COMMON = frozenset(
    """a about after again all also am an and any are as at be because been before being between both but by can come
    could did do does done down each even every few first for from get give go good got had has have having he her here
    hers him his how i if in into is it its just know last like little look made make man many may me men might mine
    more most much must my never new no not now of off oh old on once one only or other our ours out over own people
    said same say see shall she should so some such take than that the their theirs them then there these they thing
    think this those three through time to too two under until up upon us very was way we well went were what when
    where which while who whom whose why will with within without would year yes yet you your yours""".split()  # noqa: SIM905 — a list of strings would be twenty times as long
)


def hotwords_of(prompt: str, keywords: Iterable[str], letters: Iterable[str]) -> tuple[str, ...]:
    """What to expect: each of `keywords`, and the words of `prompt` that are not too common to need it.

    A prompt is often a sentence, and *the* would be heard everywhere if it were expected. Words that the model cannot
    spell with its `letters` are left out, and so is what goes beyond fifty words, from the front: the end of a prompt
    is nearest to what is said next.
    """
    words = [word.replace("’", "'") for word in _WORD.findall(prompt)]
    words = [word for word in words if word.lower() not in _COMMON and 2 < len(word) <= _LONGEST]
    phrases = (" ".join(_WORD.findall(phrase.replace("’", "'"))) for phrase in keywords)
    wanted = [*words, *(phrase[: _LONGEST * 2] for phrase in phrases if phrase)]
    known = {form for letter in letters for form in (letter, letter.lower(), letter.upper())} | {" "}
    spelled = {word.upper(): None for word in wanted if known.issuperset(word)}
    return tuple(sorted(list(spelled)[-_MOST:]))
