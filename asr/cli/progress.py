"""Progress on standard error: a bar, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

Advance = Callable[[float], None]
"""Told how much more is done."""


@contextmanager
def shown(total: float | Callable[[], float | None], quiet: bool = False, unit: str = "") -> Iterator[Advance]:
    """Show how much of `total` is done while the block runs; a function is asked for it where something is shown."""
    if quiet or not sys.stderr.isatty() or (not callable(total) and total < 2):
        yield lambda count: None
        return
    from rich import progress
    from rich.console import Console

    counts = (progress.BarColumn(), progress.MofNCompleteColumn(), progress.TextColumn(unit))
    times = (progress.TimeElapsedColumn(), progress.TimeRemainingColumn())
    with progress.Progress(*counts, *times, console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.advance, bar.add_task("", total=total() if callable(total) else total))
