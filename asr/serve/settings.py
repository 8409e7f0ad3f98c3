"""What a server allows: where it listens, whom it serves, and how much at a time."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from asr.errors import UsageError

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
