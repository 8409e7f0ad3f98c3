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


def decode(code: str = DECODE, **environment: str) -> tuple[str, str]:
    result = subprocess.run(
        [sys.executable, "-c", code],
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


PERPLEXITY = """
from pathlib import Path
from asr.lm.kneser_ney import train_ngram
from asr.lm.perplexity import measure
from asr.lm.text import tokenize
print(measure(train_ngram(tokenize(["A B", "B A"] * 9), 2).model, ["A B"]).words)
"""


@pytest.mark.parametrize("code", [PERPLEXITY, pytest.param(DECODE, marks=pytest.mark.slow)])
def test_nothing_is_kept_in_the_package(tmp_path, code):
    package = Path(__file__).resolve().parents[2] / "asr"
    before = set(package.rglob("*.nb?"))
    decode(code, XDG_CACHE_HOME=str(tmp_path), HOME=str(tmp_path), LOCALAPPDATA=str(tmp_path))
    assert set(package.rglob("*.nb?")) == before
    assert list(tmp_path.rglob("asr-kernels-*/**/*.nbi"))


# numba as it would be without the private option: it answers with a KeyError when it compiles.
WITHOUT_PRIVATE_OPTION = """
from numba.core.cpu import CPUTargetOptions
owner = next(one for one in CPUTargetOptions.__mro__ if "_nrt" in vars(one))
delattr(owner, "_nrt")
import numba
try:
    numba.njit(_nrt=False)(lambda: 1)()
except KeyError:
    print("refused")
from asr.nn.numba_cache import Compiler, takes
print(takes("_nrt", False), takes("nogil", True))
print(Compiler("a test", []).inner(lambda x: 2 * x + 1)(20))
"""


def test_a_numba_without_the_private_option_still_compiles():
    assert decode(WITHOUT_PRIVATE_OPTION)[0].split() == ["refused", "False", "True", "41"]


@pytest.mark.slow
def test_the_search_needs_no_private_option(tmp_path):
    text, _ = decode(WITHOUT_PRIVATE_OPTION + DECODE, NUMBA_CACHE_DIR=str(tmp_path))
    assert text.endswith("A")
