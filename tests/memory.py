"""The memory that a process has taken itself."""

from __future__ import annotations

import re
from pathlib import Path


def peak_mib() -> int:
    """Peak of this process's resident memory in MiB, since it runs this program.

    Not `ru_maxrss`: in a child that begins at what its parent, a whole test run, had taken.
    """
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) // 1024
