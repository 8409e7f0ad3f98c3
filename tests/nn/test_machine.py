"""No more threads than processors that may be used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr.nn import machine
from asr.nn.machine import processors


def test_there_is_at_least_one():
    assert 1 <= processors() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no way to be given fewer processors here")
def test_one_that_is_given_is_all_there_are():
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}]); from asr.nn.machine import processors; print(processors())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("20000 100000", 1),
        ("6400000 100000", 8),
        ("max 100000", 8),
        ("", 8),
    ],
)
def test_a_container_is_given_a_share_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, expected: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(f"{told}\n")
    monkeypatch.setattr(machine, "CPU_MAX", tmp_path / "cpu.max")
    assert processors() == expected
