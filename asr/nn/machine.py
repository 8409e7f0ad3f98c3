"""What this process may use of the machine: its processors, and the memory that libraries would keep."""

from __future__ import annotations

import ctypes
import math
import os
import sys
from pathlib import Path

CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux says a container's share: microseconds of computing in a period, or `max`, and the period."""


def processors() -> int:
    """Logical processors, at least 1: fewer than there are in a container or a batch system's share."""
    given = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        share, period = map(int, CPU_MAX.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return given
    return max(1, min(given, math.ceil(share / period)))


def release_unused() -> None:
    """Give freed memory back to the system. Where the C library is not glibc, do nothing.

    Without it a run's memory grows for hours, to several times what it uses; a call takes milliseconds.
    """
    if sys.platform.startswith("linux") and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
        trim(0)
