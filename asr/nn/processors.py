"""How many processors this process may use: fewer than the machine has, in a container or a batch system's share."""

from __future__ import annotations

import os


def processors() -> int:
    """Logical processors, at least 1."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
