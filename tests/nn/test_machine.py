"""No more threads than processors that may be used."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from asr.nn.machine import processors


def test_there_is_at_least_one():
    assert 1 <= processors() <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no way to be given fewer processors here")
def test_one_that_is_given_is_all_there_are():
    one = min(os.sched_getaffinity(0))
    code = f"import os; os.sched_setaffinity(0, [{one}]); from asr.nn.machine import processors; print(processors())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
