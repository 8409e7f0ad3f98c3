"""The server as a process: sockets, signals, and patience with slow clients."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import suppress
from types import FrameType

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from asr.errors import UsageError
from asr.serve.app import Service

_LIVE_DRAIN = 10.0
"""Seconds that live sessions have for their last words, of those that a stop may take."""
_DISCARD = 10.0
"""Seconds in which the rest of a refused upload is read and thrown away, so that its sender sees the answer."""
_LARGEST_MESSAGE = 1 << 20


def make_server(service: Service, sock: socket.socket) -> Server:
    """A server on a socket that listens already (see `bind`); `run` serves until it is told to stop."""
    config = uvicorn.Config(
        service.app,
        http=_protocol(service.options.head_timeout),
        ws="websockets-sansio",
        ws_max_size=_LARGEST_MESSAGE,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
    )
    return Server(config, service, sock)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `UsageError` naming the address where that cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(128)
    except UnicodeError as error:  # a label of a name is empty or too long
        raise UsageError(f"{host!r} is no name of a host", "Choose another --host.") from error
    except OSError as error:
        hint = {
            errno.EADDRINUSE: "Is another server running? Choose another --port.",
            errno.EACCES: "Choose a --port above 1023.",
        }.get(error.errno or 0, "Choose another --host.")
        raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror}", hint) from error
    return sock


class Server(uvicorn.Server):
    """Finishes what it began when it is told to stop: the first signal asks, a second one ends at once."""

    def __init__(self, config: uvicorn.Config, service: Service, sock: socket.socket) -> None:
        super().__init__(config)
        self._service = service
        self._sock = sock

    @property
    def address(self) -> str:
        """Where it is to be found."""
        host, port = self._sock.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until SIGINT or SIGTERM."""
        super().run(sockets or [self._sock])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Remember that a signal asked to stop."""
        self.force_exit = self.should_exit or self.force_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, let live sessions say their last words, wait for the rest, and end."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._service.options.drain
        self._service.is_draining = True
        for server in self.servers:
            server.close()
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._service.live.stop(), _LIVE_DRAIN)
        self.config.timeout_graceful_shutdown = max(1, int(end - clock()))
        await super().shutdown(sockets)


def _protocol(head_timeout: float) -> type[asyncio.Protocol]:
    """uvicorn's HTTP with two timers that it lacks: for the head of a request, and for what follows a refusal."""

    class Impatient(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._set_timer(head_timeout)

        def connection_lost(self, exc: Exception | None) -> None:
            self._set_timer(None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.conn.their_state is not h11.IDLE:
                if self.cycle is None or not self.cycle.response_complete:
                    self._set_timer(None)
            elif self._timer is None:
                self._set_timer(head_timeout)

        def on_response_complete(self) -> None:
            if self.conn.their_state is h11.SEND_BODY:
                self._set_timer(_DISCARD)
            super().on_response_complete()

        def _set_timer(self, seconds: float | None) -> None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None if seconds is None else self.loop.call_later(seconds, self._give_up)

        def _give_up(self) -> None:
            if self.transport.get_protocol() is self:  # and not that of a WebSocket since
                self.transport.close()

    return Impatient
