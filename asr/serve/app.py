"""The application: which address is answered by what."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from time import time
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from asr.config import validate
from asr.errors import AsrError
from asr.html import read_page
from asr.io import parse_json
from asr.serve.api import ApiError, check_model, handle_api_error, handle_fault, handle_http_error
from asr.serve.engine import Engine
from asr.serve.live import LiveSessions
from asr.serve.metrics import CONTENT_TYPE, Metrics
from asr.serve.security import Guard, ServeOptions
from asr.serve.transcriptions import Transcriptions
from asr.serve.upload import TemporaryFolder, read_blocks
from asr.transcription.result import Transcript
from asr.transcription.writers import FORMATS

_LARGEST_TRANSCRIPT = 20_000_000


class Service:
    """One model behind all addresses. `app` is the ASGI application; `close` lets go of threads and files."""

    def __init__(self, engine: Engine, model: str, options: ServeOptions | None = None) -> None:
        """`model` is the name that clients know it by."""
        self.options = options or ServeOptions()
        self.model = model
        self.engine = engine
        self.is_draining = False
        self.metrics = Metrics()
        self._started = int(time())
        self._folder = TemporaryFolder()
        self._transcriptions = Transcriptions(engine, model, self.options, self._folder, self.metrics)
        self.live = LiveSessions(engine, self.options, self.metrics)
        self._files = _page_files()
        self.app = self._build()

    def close(self) -> None:
        """End the engine's threads and remove what was uploaded."""
        self.engine.close()
        self._folder.close()

    def _build(self) -> ASGIApp:
        routes = [
            Route("/v1/audio/transcriptions", self._transcriptions.answer, methods=["POST"]),
            Route("/v1/models", self._models),
            Route("/v1/models/{name:path}", self._model),
            Route("/formats/{form}", self._format, methods=["POST"]),
            Route("/health", self._health),
            Route("/metrics", self._metrics_page),
            *(Route(path, self._file) for path in self._files),
            WebSocketRoute("/live", self.live.serve),
        ]
        handlers: Any = {ApiError: handle_api_error, HTTPException: handle_http_error, Exception: handle_fault}

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            try:
                yield
            finally:
                self.close()

        app = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
        # Around it and not among its middleware, outside of which Starlette answers after a bug.
        guard = Guard(app, self.options, lambda: self.is_draining, self.metrics)
        if not self.options.cors:
            return guard
        # Outermost, so that a page may read why it is turned away.
        return CORSMiddleware(guard, self.options.cors, allow_methods=["GET", "POST"], allow_headers=["*"])

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._record()]})

    async def _model(self, request: Request) -> Response:
        check_model(request.path_params["name"], self.model)
        return JSONResponse(self._record())

    def _record(self) -> dict[str, Any]:
        return {"id": self.model, "object": "model", "created": self._started, "owned_by": "asr"}

    async def _format(self, request: Request) -> Response:
        """A transcript that the page holds, in the format of a file."""
        if (form := request.path_params["form"]) not in FORMATS:
            raise ApiError(404, f"the formats are {', '.join(FORMATS)}, not {form[:60]!r}", "not_found")
        too_large = ApiError(413, "the transcript is too long", "transcript_too_large")
        blocks = [block async for block in read_blocks(request, self.options, _LARGEST_TRANSCRIPT, too_large)]
        return PlainTextResponse(await run_in_threadpool(_render, b"".join(blocks), form))

    async def _health(self, request: Request) -> Response:
        state = "stopping" if self.is_draining else "ok"
        return JSONResponse({"status": state, "model": self.model}, 503 if self.is_draining else 200)

    async def _metrics_page(self, request: Request) -> Response:
        waiting, limit = self._transcriptions.waiting, self.options.queue
        text = self.metrics.render(waiting, limit, self.engine.live_sessions, self.engine.busy_seconds)
        return Response(text, headers={"Content-Type": CONTENT_TYPE})

    async def _file(self, request: Request) -> Response:
        kind, text = self._files[request.url.path]
        return Response(text, media_type=kind, headers={"Cache-Control": "no-cache"})


def _render(body: bytes, form: str) -> str:
    try:
        data = parse_json(body.decode(), parse_constant=_as_time, parse_float=_as_time)
        if isinstance(data, dict):
            data = {key: value for key, value in data.items() if key in ("name", "duration", "segments", "notices")}
        transcript = validate(Transcript, data, "the transcript")
        return FORMATS[form](transcript)
    except (ValueError, OverflowError, AsrError) as error:
        text = error.message if isinstance(error, AsrError) else str(error)
        raise ApiError(400, f"this is no transcript: {text[:500]}", "invalid_transcript") from error


def _as_time(text: str) -> float:
    """A number in a transcript. JSON has none that is not finite, but Python reads them all the same."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no time")
    return number


def _page_files() -> dict[str, tuple[str, str]]:
    """The page by path: media type and text. Its style is that of all pages of the project, and its own."""
    read_own = partial(read_page, package="asr.serve.static")
    return {
        "/": ("text/html", read_own("index.html")),
        "/style.css": ("text/css", read_page("base.css") + read_own("page.css")),
        "/page.js": ("text/javascript", read_own("page.js")),
    }
