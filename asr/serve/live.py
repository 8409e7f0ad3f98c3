"""`/live`: somebody speaks into a WebSocket and reads along.

The client sends a JSON message `{"type": "start", "sample_rate": 16000}` (with `"token"` where the server wants one,
and `"keywords"` to expect), then binary messages of 16-bit little-endian mono PCM, then `{"type": "stop"}`. The server
answers with JSON messages: `ready`; `provisional`, the text so far of what is being said, about every second;
`segment`, what was said until a pause, which does not change any more; `error`; and `done` after the last segment.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import numpy as np
import soxr
from starlette.websockets import WebSocket, WebSocketDisconnect

from asr.audio.segmentation import Chunk
from asr.errors import AsrError, UsageError
from asr.io import parse_json
from asr.serve.api import live_segment
from asr.serve.engine import Engine, Hotwords
from asr.serve.metrics import Metrics
from asr.serve.security import ServeOptions, bearer, token_matches
from asr.serve.segmenter import LiveSegmenter
from asr.transcription.punctuate import PunctuatedStream
from asr.transcription.recognizer import Recognizer
from asr.transcription.result import Segment

_TICK = 0.1
_PROVISIONAL_EVERY = 0.7
"""Seconds between provisional texts, the time to make one not counted."""
_NEW_SOUND = 0.2
"""Seconds of new sound that are worth another provisional text."""
_UNHEARD = 8
"""Closed chunks that may wait for the recognizer before no more sound is taken from the client."""
_STOPPING = {"type": "error", "code": "stopping", "message": "the server is about to stop"}


class RefusedError(Exception):
    """The session cannot go on: a code, a message, and the WebSocket's closing code."""

    def __init__(self, code: str, message: str, close: int = 1008) -> None:
        super().__init__(message)
        self.body = {"type": "error", "code": code, "message": message}
        self.close = close


class LiveSessions:
    """All live sessions of a server."""

    def __init__(self, engine: Engine, options: ServeOptions, metrics: Metrics) -> None:
        self._engine = engine
        self._options = options
        self._metrics = metrics
        self._stopping = asyncio.Event()

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one session from its first message to its last."""
        await websocket.accept()
        try:
            rate, hotwords = await self._start(websocket)
            if self._engine.live_sessions >= self._options.live:
                raise RefusedError("busy", f"{self._options.live} people speak already; try again in a moment", 1013)
            self._engine.live_sessions += 1
            self._metrics.live_total += 1
            try:
                recognizer = await self._prepare(hotwords)
                session = _Session(self._engine, websocket, rate, recognizer, self._options.live_timeout)
                try:
                    await session.run(self._stopping)
                finally:
                    self._metrics.audio_seconds += session.seconds
            finally:
                self._engine.live_sessions -= 1
        except (RefusedError, AsrError) as error:
            problem = RefusedError("internal_error", error.message, 1011) if isinstance(error, AsrError) else error
            with suppress(WebSocketDisconnect, RuntimeError):
                await websocket.send_json(problem.body)
                await websocket.close(problem.close)
        except (WebSocketDisconnect, RuntimeError):
            pass  # the client has left

    async def stop(self) -> None:
        """Have every session finish what is being said, and end."""
        self._stopping.set()
        while self._engine.live_sessions:
            await asyncio.sleep(_TICK)

    async def _start(self, websocket: WebSocket) -> tuple[int, Hotwords]:
        """The first message: who it is, the sample rate, and what to expect. Raises `RefusedError`."""
        try:
            start = _read(await asyncio.wait_for(websocket.receive(), 10.0))
        except asyncio.TimeoutError:
            start = None
        if start is None or start.get("type") != "start":
            raise RefusedError("no_start", 'send {"type": "start", "sample_rate": 16000} first')
        wanted = self._options.token
        given = start.get("token")
        given = given if isinstance(given, str) else bearer(websocket.headers)
        if wanted is not None and not token_matches(given, wanted):
            raise RefusedError("invalid_api_key", 'wrong or missing token; send it as "token" of the start message')
        rate = start.get("sample_rate", 16000)
        if type(rate) is not int or not 8000 <= rate <= 192_000:
            raise RefusedError("invalid_sample_rate", "sample_rate must be a whole number from 8000 to 192000")
        keywords = start.get("keywords", [])
        if not isinstance(keywords, list) or not all(isinstance(word, str) for word in keywords):
            raise RefusedError("invalid_keywords", "keywords must be a list of texts")
        return rate, self._engine.hotwords_of("", keywords)

    async def _prepare(self, hotwords: Hotwords) -> Recognizer:
        """Who expects the words. Raises `RefusedError`."""
        try:
            return await asyncio.to_thread(self._engine.prepare, hotwords)
        except UsageError as error:
            raise RefusedError("invalid_keywords", error.message) from error


class _Session:
    """One speaker."""

    def __init__(self, engine: Engine, websocket: WebSocket, rate: int, recognizer: Recognizer, timeout: float) -> None:
        self._engine = engine
        self._websocket = websocket
        self._recognizer = recognizer
        self._timeout = timeout
        self._rate = engine.recognizer.model.sample_rate
        self._resampler = None if rate == self._rate else soxr.ResampleStream(rate, self._rate, 1, "float32", "HQ")
        self._segmenter = LiveSegmenter(self._rate)
        self._samples = 0
        self._rest = b""
        self._count = 0
        # Nobody who watches words come waits for the next sentence: the mark at a segment's end is told by its past.
        self._punctuation = PunctuatedStream(engine.recognizer.punctuation, lookahead=0)
        self._closed: asyncio.Queue[asyncio.Future[Segment | None] | None] = asyncio.Queue(_UNHEARD)
        self._closings = 0

    @property
    def seconds(self) -> float:
        """Sound that came."""
        return self._samples / self._rate

    async def run(self, stopping: asyncio.Event) -> None:
        """Until the client says stop, leaves, or the server is to stop."""
        await self._websocket.send_json({"type": "ready", "sample_rate": self._rate})
        telling = self._telling = asyncio.ensure_future(self._tell())
        foretelling = asyncio.ensure_future(self._foretell())
        receiving = asyncio.ensure_future(self._receive())
        stop = asyncio.ensure_future(stopping.wait())
        try:
            await asyncio.wait((receiving, stop, telling), return_when=asyncio.FIRST_COMPLETED)
            foretelling.cancel()
            receiving.cancel()
            (refused,) = await asyncio.gather(receiving, return_exceptions=True)
            if isinstance(refused, Exception) and not isinstance(refused, RefusedError):
                raise refused
            await self._take_in(b"", last=True)
            await self._hand_on(None)
            await telling
            if isinstance(refused, RefusedError):
                raise refused
            if stop.done():
                await self._websocket.send_json(_STOPPING)
            await self._websocket.send_json({"type": "done", "duration": round(self.seconds, 3)})
            await self._websocket.close(1012 if stop.done() else 1000)
        finally:
            for task in (telling, foretelling, receiving, stop):
                task.cancel()
            await asyncio.gather(telling, foretelling, receiving, stop, return_exceptions=True)

    async def _receive(self) -> None:
        """Take in sound until the client says stop."""
        while True:
            try:
                message = await asyncio.wait_for(self._websocket.receive(), self._timeout)
            except asyncio.TimeoutError as error:
                raise RefusedError("timeout", f"no sound came for {self._timeout:g} s") from error
            if message.get("bytes") is None:
                command = _read(message)
                if command is not None and command.get("type") == "stop":
                    return
                raise RefusedError("unknown_message", 'send binary PCM, or {"type": "stop"}')
            await self._take_in(message["bytes"])

    async def _hand_on(self, item: asyncio.Future[Segment | None] | None) -> None:
        """Have `_tell` send it next; raises what has ended that, where the client has left."""
        putting = asyncio.ensure_future(self._closed.put(item))
        await asyncio.wait((putting, self._telling), return_when=asyncio.FIRST_COMPLETED)
        if not putting.done():
            putting.cancel()
            self._telling.result()

    async def _take_in(self, data: bytes, last: bool = False) -> None:
        """Hear what came, and hand on the chunks that it closes; after the `last` of it, what is still open."""
        data = self._rest + data
        whole = len(data) // 2 * 2
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(32768)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        self._samples += len(samples)
        chunks = self._segmenter.feed(samples)
        if last and (rest := self._segmenter.finish()) is not None:
            chunks.append(rest)
        for chunk in chunks:
            self._closings += 1
            await self._hand_on(self._recognized(chunk))

    def _recognized(self, chunk: Chunk) -> asyncio.Future[Segment | None]:
        return asyncio.wrap_future(self._engine.recognize(chunk, self._recognizer))

    async def _tell(self) -> None:
        """Send segments in their order, each as soon as it is known."""
        while (future := await self._closed.get()) is not None:
            segment = await future
            if segment is not None:
                for shown in self._punctuation.feed(segment):
                    await self._websocket.send_json(live_segment(self._count, shown.in_case("sentence")))
                    self._count += 1

    async def _foretell(self) -> None:
        """Send what is being said, as far as it can be told before its end."""
        seen = 0
        while True:
            await asyncio.sleep(_TICK)
            chunk, closings = self._segmenter.open_chunk(), self._closings
            if chunk is None or self._samples - seen < _NEW_SOUND * self._rate:
                continue
            seen = self._samples
            segment = await self._recognized(chunk)
            if segment is not None and closings == self._closings:
                message = live_segment(self._count, segment.in_case("sentence"), provisional=True)
                await self._websocket.send_json(message)
            await asyncio.sleep(_PROVISIONAL_EVERY)


def _read(message: Any) -> dict[str, Any] | None:
    """The JSON object in a text message, if it is one. Raises `WebSocketDisconnect` where the client has left."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    try:
        data = parse_json(message.get("text") or "")
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
