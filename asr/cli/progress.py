"""Progress on standard error: a bar, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

Advance = Callable[[float], None]
"""Told how much more is done."""


@contextmanager
def shown(total: int, quiet: bool = False) -> Iterator[Advance]:
    """Show how many of `total` things are done while the block runs."""
    if quiet or total < 2 or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.progress import MofNCompleteColumn

    with _bar(MofNCompleteColumn()) as bar:
        yield partial(bar.advance, bar.add_task("", total=total))


@contextmanager
def sound_shown(total: Callable[[], float | None], quiet: bool = False) -> Iterator[Advance]:
    """Show how many seconds of sound are done, of `total()`, which is asked only where something is shown."""
    if quiet or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Sound(ProgressColumn):
        """Minutes of sound, done and in all."""

        def render(self, task: Task) -> Text:
            return Text(f"{_clock(task.completed)}/{_clock(task.total)}" if task.total else _clock(task.completed))

    with _bar(Sound()) as bar:
        yield partial(bar.advance, bar.add_task("", total=total()))


def _bar(column: Any) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

    columns = (BarColumn(), column, TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
