"""A whole run over many recordings: deliver what is done, name what failed, sum up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from time import perf_counter

from asr.transcription.result import Failure, Transcript


@dataclass
class Summary:
    """What a run came to; `seconds` of sound, `elapsed` seconds by the clock."""

    files: int = 0
    seconds: float = 0.0
    elapsed: float = 0.0
    skipped: int = 0
    failures: list[Failure] = field(default_factory=list)
    notices: dict[str, int] = field(default_factory=dict)
    """How many recordings each kind of notice concerns."""

    @property
    def failed(self) -> bool:
        """Whether any recording has no transcript."""
        return bool(self.failures)

    def __str__(self) -> str:
        files = f"{self.files} recording{'' if self.files == 1 else 's'}"
        parts = [f"{files}, {self._length()} of sound in {self.elapsed:.1f} s"]
        if self.elapsed and self.files:
            parts[0] += f" ({self.seconds / self.elapsed:.0f} × real time)"
        if self.skipped:
            parts.append(f"{self.skipped} skipped: their outputs were there")
        if self.failures:
            parts.append(f"{len(self.failures)} failed")
        return "; ".join(parts)

    def _length(self) -> str:
        if self.seconds < 60:
            return f"{self.seconds:.1f} s"
        return f"{self.seconds / 60:.1f} min" if self.seconds < 3600 else f"{self.seconds / 3600:.2f} h"


def deliver(
    outcomes: Iterable[Transcript | Failure],
    write: Callable[[Transcript], None],
    tell: Callable[[str], None],
    note: Callable[[str], None],
    summary: Summary,
) -> None:
    """Write each transcript as it comes, `tell` of failures and (once for each kind) `note` what is odd.

    Whatever `write` raises ends the run: a full disk is no fault of one recording. `summary` is kept up to date, so
    that it is right after an interruption too.
    """
    began = perf_counter()
    try:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                summary.failures.append(outcome)
                tell(describe(outcome))
                continue
            write(outcome)
            summary.files += 1
            summary.seconds += outcome.duration
            for notice in outcome.notices:
                _note(outcome.name, notice, note, summary)
    finally:
        summary.elapsed = perf_counter() - began
        for kind, count in summary.notices.items():
            if count > 1:
                note(f"{count - 1} more recordings: {kind}")


def describe(failure: Failure) -> str:
    """One line (and a hint) that names the recording and the reason."""
    text = str(failure.error)
    return text if failure.name in text else f"{failure.name}: {text}"


def _note(name: str, notice: str, note: Callable[[str], None], summary: Summary) -> None:
    kind = notice.split(" (")[0]
    summary.notices[kind] = summary.notices.get(kind, 0) + 1
    if summary.notices[kind] == 1:
        note(f"{name} {notice}")
