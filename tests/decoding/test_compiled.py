"""The kernels in fresh processes: announced once, kept in the user's cache, working where nothing is writable."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DECODE = """
import numpy as np
from asr.decoding import BeamDecoder
print(BeamDecoder(["<blank>", "A"]).decode(np.log(np.array([[0.1, 0.9], [0.9, 0.1]], np.float32)))[0].text)
"""


def decode(**environment: str) -> tuple[str, str]:
    result = subprocess.run(
        [sys.executable, "-c", DECODE],
        capture_output=True,
        text=True,
        check=True,
        env={**{key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}, **environment},
        cwd=Path(__file__).resolve().parents[2],
    )
    return result.stdout.strip(), result.stderr


@pytest.mark.slow
def test_only_the_very_first_run_compiles_and_says_so(tmp_path):
    text, first = decode(XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path), LOCALAPPDATA=str(tmp_path))
    assert (text, first.count("compiling")) == ("A", 1)
    assert list(tmp_path.rglob("asr-kernels-*/**/*.nbi"))
    assert decode(XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path), LOCALAPPDATA=str(tmp_path)) == ("A", "")


@pytest.mark.slow
def test_where_no_cache_can_be_written_it_compiles_in_memory(tmp_path):
    wall = tmp_path / "file"
    wall.write_text("a file where a folder would have to be")
    text, messages = decode(NUMBA_CACHE_DIR=str(wall))
    assert (text, messages.count("compiling")) == ("A", 1)
