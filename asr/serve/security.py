"""What a server allows: whom it serves, told by token, host and page, and how much at a time."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from asr.errors import UsageError
from asr.serve.api import ApiError
from asr.serve.metrics import Metrics

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class ServeOptions:
    """Settings of a server; sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    """Whoever asks for a transcript must bring it, as `Authorization: Bearer TOKEN`."""
    max_upload: int = 200 * MEGABYTE
    queue: int = 32
    """Requests that are served or wait at one time; the next is told to come again (429)."""
    live: int = 4
    """Live sessions at one time."""
    cors: tuple[str, ...] = ()
    """Origins of other pages that may use the server from a browser."""
    upload_patience: float = 30.0
    """An upload may take this long, and a second more for each `upload_rate` bytes that have come."""
    upload_rate: int = 10_000
    head_timeout: float = 10.0
    """A request line and its headers must have come in this time."""
    live_timeout: float = 60.0
    """A live session that says nothing for this long is ended."""
    drain: float = 30.0
    """What has begun may take this long to finish when the server is told to stop."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port must be from 0 to 65535, not {self.port}")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token.strip()):
            raise UsageError("the token must be printable ASCII, and not empty")
        if min(self.max_upload, self.queue, self.live) < 1:
            raise UsageError("the upload limit, the queue and the number of live sessions must be at least 1")
        # As browsers write it.
        object.__setattr__(self, "cors", tuple(origin.rstrip("/").lower() for origin in self.cors))
        for origin in self.cors:
            if origin != "*" and not origin.startswith(("http://", "https://")):
                raise UsageError(f"{origin!r} is no origin of a page", "For example https://example.org")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine as seen from itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
    "Cache-Control": "no-store",
}
_OPEN = {"/", "/style.css", "/page.js", "/health"}
"""What needs no token: it tells nothing of anybody."""
_OWN_WAY = {"/live"}
"""What asks for the token itself: a browser cannot send headers with a WebSocket."""


def token_matches(given: str | None, wanted: str) -> bool:
    """Whether two tokens are the same, in a time that does not tell how much of them is."""
    return hmac.compare_digest((given or "").encode("utf-8", "surrogateescape"), wanted.encode())


def bearer(headers: Headers) -> str | None:
    """The token in an `Authorization: Bearer` header."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


class Guard:
    """Around the application: turns away who may not ask, counts the answers, and gives each its security headers.

    A page on the web must not be able to use the server of somebody who visits it. Its requests carry its own origin,
    which is refused; and where only this machine is served, so is a host name that is not this machine's, behind which
    such a page hides by DNS rebinding.
    """

    def __init__(self, app: ASGIApp, options: ServeOptions, is_draining: Callable[[], bool], metrics: Metrics) -> None:
        self._app = app
        self._options = options
        self._is_draining = is_draining
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        problem = self._problem(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.count_answer(scope["path"], message["status"])
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = self._app if problem is None else problem.response()
        await app(scope, receive, send_with_headers)

    def _problem(self, scope: Scope) -> ApiError | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._options.is_local and not is_loopback(_name_of(host)):
            return ApiError(
                403, "this server is for this machine only; ask for it as 127.0.0.1 or localhost", "host_not_allowed"
            )
        origin = headers.get("origin")
        if origin is not None and not _may_ask(origin, host, self._options.cors):
            return ApiError(
                403, f"pages of {origin[:200]} may not use this server; start it with --cors to allow that", "cors"
            )
        if self._is_draining() and scope["path"] != "/health":
            return ApiError(503, "the server is about to stop", "stopping", headers={"Retry-After": "5"})
        wanted = self._options.token
        if wanted is None or scope["path"] in _OPEN | _OWN_WAY:
            return None
        if not token_matches(bearer(headers), wanted):
            return ApiError(
                401,
                "wrong or missing token; send it as Authorization: Bearer TOKEN",
                "invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None


def _name_of(host: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _may_ask(origin: str, host: str, allowed: Iterable[str]) -> bool:
    """Whether a page of `origin` may ask a server that it calls `host`: its own pages, and those that are allowed."""
    try:
        own = urlsplit(origin).netloc
    except ValueError:
        return False
    return own == host or origin in allowed or "*" in allowed
