"""The compiled kernels of the beam search."""

from __future__ import annotations

from pathlib import Path

from asr.nn.numba_cache import Compiler

_DECODING = Path(__file__).parents[1]
_OTHERS = [_DECODING / "hotwords.py", _DECODING / "lexicon_trie.py", _DECODING.with_name("lm") / "lookup.py"]

COMPILER = Compiler("the decoder", [*sorted(_DECODING.glob("kernels/*.py")), *_OTHERS])
inner, kernel = COMPILER.inner, COMPILER.kernel
