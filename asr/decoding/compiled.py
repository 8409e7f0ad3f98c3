"""The compiler of the beam search's kernels, whose code is spread over these rooms."""

from __future__ import annotations

from pathlib import Path

from asr.compiled import Compiler

_ROOM = Path(__file__).parent
_NAMES = ("compiled", "search", "fusion", "hotwords", "lexicon", "pieces")

COMPILER = Compiler(
    "the decoder",
    [*(_ROOM / f"{name}.py" for name in _NAMES), _ROOM.parent / "language" / "lookup.py"],
)
inner, kernel = COMPILER.inner, COMPILER.kernel
