"""`POST /v1/audio/transcriptions`: a recording comes in, its transcript goes out, whole or as it is recognized."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from asr.errors import AsrError
from asr.serve.api import (
    TEXT_FORMATS,
    ApiError,
    Wanted,
    as_json,
    delta_event,
    done_event,
    event_bytes,
    of_recording,
    read_fields,
)
from asr.serve.engine import Engine, Recording
from asr.serve.metrics import Metrics
from asr.serve.security import ServeOptions
from asr.serve.upload import TemporaryFolder, receive_upload
from asr.transcription.punctuate import PunctuatedStream, punctuate
from asr.transcription.reader import EndOfAudio
from asr.transcription.result import Segment, Transcript
from asr.transcription.timestamps import without_overlap
from asr.transcription.writers import render

T = TypeVar("T")
_KEEP_ALIVE = 10.0
"""Seconds after which a stream that has nothing to say shows that it is alive."""


class Transcriptions:
    """The endpoint, with a bounded number of requests at a time."""

    def __init__(
        self, engine: Engine, model: str, options: ServeOptions, folder: TemporaryFolder, metrics: Metrics
    ) -> None:
        self.waiting = 0
        """Requests that are being served or wait; their uploads count from the first byte."""
        self._engine = engine
        self._model = model
        self._options = options
        self._folder = folder
        self._metrics = metrics

    async def answer(self, request: Request) -> Response:
        """Serve one request."""
        try:
            return await self._answer(request)
        except ClientDisconnect:
            self._metrics.cancelled += 1
            return Response(status_code=499)  # which nobody reads

    async def _answer(self, request: Request) -> Response:
        with ExitStack() as until_answered:
            until_answered.enter_context(self._place())
            path = until_answered.enter_context(self._folder.new_file())
            upload = await receive_upload(request, path, self._options)
            wanted = read_fields(upload, self._model)
            hotwords = self._engine.hotwords_of(wanted.prompt, wanted.keywords)
            job = _Job(self._engine, path, upload.file_name or "", hotwords)
            until_answered.callback(job.cancel)
            if wanted.stream:
                events = self._events(job, await _while_connected(request, job.next()), wanted)
                return _EventStream(events, until_answered.pop_all())
            transcript = await _while_connected(request, job.transcript())
            self._metrics.audio_seconds += transcript.duration
        if wanted.response_format in TEXT_FORMATS:
            form, kind = TEXT_FORMATS[wanted.response_format]
            return PlainTextResponse(render(transcript, form), media_type=kind)
        return JSONResponse(as_json(transcript, wanted))

    @contextmanager
    def _place(self) -> Iterator[None]:
        """A place in the queue. Raises `ApiError` (429) when it is full."""
        if self.waiting >= self._options.queue:
            raise ApiError(
                429,
                f"{self.waiting} requests are waiting already; try again in a moment",
                "queue_full",
                headers={"Retry-After": "2"},
            )
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def _events(self, job: _Job, first: Segment | EndOfAudio, wanted: Wanted) -> AsyncIterator[bytes]:
        """The transcript as server-sent events, a segment each, then all of it."""
        segments: list[Segment] = []
        item = first
        coming: asyncio.Future[Segment | EndOfAudio] | None = None
        try:
            while isinstance(item, Segment):
                segments.append(item)
                yield delta_event(len(segments) - 1, item, wanted)
                coming = asyncio.ensure_future(job.next())
                while not (await asyncio.wait((coming,), timeout=_KEEP_ALIVE))[0]:
                    yield b": still at work\n\n"
                item = coming.result()
            transcript = job.as_transcript(segments, item)
            self._metrics.audio_seconds += transcript.duration
            yield done_event(transcript, wanted)
        except ApiError as error:
            yield event_bytes(error.body())
        except (asyncio.CancelledError, GeneratorExit):
            self._metrics.cancelled += 1
            raise
        finally:
            if coming is not None:
                coming.cancel()


class _EventStream(StreamingResponse):
    """Server-sent events, and what they hold until they end, even where they never begin."""

    def __init__(self, events: AsyncIterator[bytes], resources: ExitStack) -> None:
        super().__init__(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._resources:
            await super().__call__(scope, receive, send)


class _Job:
    """A recording in the engine, as the event loop sees it."""

    def __init__(self, engine: Engine, path: Path, name: str, hotwords: tuple[str, ...]) -> None:
        loop = asyncio.get_running_loop()

        def put(item: Future[Segment | None] | EndOfAudio) -> None:
            loop.call_soon_threadsafe(self._items.put_nowait, item)

        self._engine = engine
        self._name = name
        self._items: asyncio.Queue[Future[Segment | None] | EndOfAudio] = asyncio.Queue()
        self._said_until = 0.0
        self._punctuation = engine.recognizer.punctuation
        self._stream = PunctuatedStream(self._punctuation)
        self._shown: deque[Segment | EndOfAudio] = deque()
        self._recording = Recording(path, put, hotwords)
        engine.submit(self._recording)

    async def next(self) -> Segment | EndOfAudio:
        """The next segment as it is shown, or the end. Raises `ApiError` where a fault ends the recording."""
        while not self._shown:
            item = await self._recognized()
            self._shown += self._stream.feed(item) if isinstance(item, Segment) else [*self._stream.finish(), item]
        item = self._shown.popleft()
        return item.in_case("sentence") if isinstance(item, Segment) else self._checked(item)

    async def transcript(self) -> Transcript:
        """All of it. Raises `ApiError`."""
        segments: list[Segment] = []
        while isinstance(item := await self._recognized(), Segment):
            segments.append(item)
        transcript = self.as_transcript(segments, self._checked(item))
        return (await asyncio.to_thread(punctuate, transcript, self._punctuation)).in_case("sentence")

    async def _recognized(self) -> Segment | EndOfAudio:
        """The next segment in the model's own case, or the end."""
        while not isinstance(item := await self._items.get(), EndOfAudio):
            try:
                segment = await asyncio.wrap_future(item)
            except AsrError as error:
                return EndOfAudio(0, self._name, error=error)
            if segment is not None:
                segment = without_overlap(segment, self._said_until)
                self._said_until = segment.end
                return segment
        return item

    def _checked(self, end: EndOfAudio) -> EndOfAudio:
        if end.error is not None:
            raise of_recording(end.error, str(self._recording.path), self._name)
        return end

    def as_transcript(self, segments: list[Segment], end: EndOfAudio) -> Transcript:
        """What has come, put together."""
        return Transcript(self._name, round(end.duration, 3), tuple(segments), end.notices)

    def cancel(self) -> None:
        """Stop work on it."""
        self._engine.cancel(self._recording)


async def _while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Raises `ClientDisconnect` when the client leaves before; the body must have been read."""
    result, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((result, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not result.done():
            raise ClientDisconnect
        return result.result()
    finally:
        result.cancel()
        leaving.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
