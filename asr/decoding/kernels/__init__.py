"""The compiled kernels of the beam search."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np

from asr.nn.numba_cache import Compiler

_ASR = Path(__file__).parents[2]
_SOURCES = (
    "decoding/kernels/*.py",
    "decoding/hotwords.py",
    "decoding/lexicon_trie.py",
    "lm/lookup.py",
)

COMPILER = Compiler(
    "the decoder",
    sorted(path for pattern in _SOURCES for path in _ASR.glob(pattern)),
)
inner, kernel = COMPILER.inner, COMPILER.kernel


def constant(value: int) -> int:
    """A number of type int64: of each plain one numba makes a type, and compiles anew whatever it is passed to."""
    return cast("int", np.int64(value))
