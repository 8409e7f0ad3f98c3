"""What the server has done, in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from time import monotonic

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PATHS = ("/v1/audio/transcriptions", "/v1/models", "/formats", "/health", "/metrics", "/live")
"""What is counted by name; all else is "other", so that strangers cannot fill the counter."""


class Metrics:
    """Counts since the start. Only the event loop's thread writes them."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        """Answered requests by path and status."""
        self.audio_seconds = 0.0
        """Sound that has been transcribed."""
        self.live_total = 0
        self.cancelled = 0
        """Requests whose client left before the answer."""
        self._started = monotonic()

    def count_answer(self, path: str, status: int) -> None:
        """One more request for `path` is answered with that status."""
        name = next((known for known in _PATHS if path == known or path.startswith(f"{known}/")), "other")
        self.requests[name, status] += 1

    def render(self, queue: int, capacity: int, live: int, busy_seconds: float) -> str:
        """All as text: `queue` requests of at most `capacity` and `live` sessions at present, `busy_seconds` so far."""
        speed = self.audio_seconds / busy_seconds if busy_seconds else 0.0
        single = [
            ("asr_requests_cancelled_total", "counter", "Requests whose client left early.", self.cancelled),
            ("asr_audio_seconds_total", "counter", "Seconds of sound transcribed.", self.audio_seconds),
            ("asr_busy_seconds_total", "counter", "Seconds that the recognizer was at work.", busy_seconds),
            ("asr_times_real_time", "gauge", "Seconds of sound for each second at work, since the start.", speed),
            ("asr_queue_length", "gauge", "Requests being served or waiting.", queue),
            ("asr_queue_capacity", "gauge", "Requests that may wait before others are refused.", capacity),
            ("asr_live_sessions", "gauge", "Open live sessions.", live),
            ("asr_live_sessions_total", "counter", "Live sessions opened.", self.live_total),
            ("asr_uptime_seconds", "gauge", "Seconds since the start.", monotonic() - self._started),
        ]
        answered = {f'{{path="{path}",status="{status}"}}': n for (path, status), n in sorted(self.requests.items())}
        lines = _family("asr_requests_total", "counter", "Answered requests.", answered)
        return lines + "".join(_family(name, kind, text, {"": value}) for name, kind, text, value in single)


def _family(name: str, kind: str, text: str, samples: Mapping[str, float]) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    return "\n".join([*lines, *(f"{name}{labels} {value:.12g}" for labels, value in samples.items())]) + "\n"
