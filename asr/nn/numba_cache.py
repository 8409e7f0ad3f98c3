"""How kernels are compiled: once per machine, kept in the user's cache folder, announced on stderr.

The compiled code lives outside the package, which may be read-only, in a folder named by a digest of the sources: numba
itself watches only the file of the outermost function, not of those that it calls, and would run stale code.
Where no folder can be written the kernels compile anew in every process.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

from asr.io import user_cache

F = TypeVar("F", bound=Callable[..., Any])

_njit: Any = numba.njit
_numba_config: Any = numba.config


def takes(option: str, value: Any) -> bool:
    """Whether numba knows an option of its own that it promises to nobody; asked as it asks itself when it compiles."""
    try:
        core: Any = numba.core
        core.registry.cpu_target.options.parse_as_flags(core.compiler.Flags(), {option: value})
    except (AttributeError, KeyError, TypeError):
        return False
    return True


# Other threads run while a kernel does (nogil); a division by zero is ours to avoid, not to check. Without the runtime
# that counts references (_nrt) the search runs twice as fast, and kernels cannot allocate: callers bring the memory.
_PRIVATE = {"_nrt": False} if takes("_nrt", False) else {}
_OPTIONS = {"nogil": True, "error_model": "numpy"} | _PRIVATE


def constant(value: int) -> int:
    """A number of type int64: of each plain one numba makes a type, and compiles anew whatever it is passed to."""
    return cast("int", np.int64(value))


class Compiler:
    """Compiles the kernels whose code is in `sources`; `fastmath` names the liberties that LLVM may take."""

    def __init__(self, purpose: str, sources: Sequence[Path], fastmath: Sequence[str] = ()) -> None:
        self.purpose = purpose
        self._sources = [Path(__file__), *sources]
        self._options = _OPTIONS | {"fastmath": set(fastmath)}
        self._announced = False

    def inner(self, function: F) -> F:
        """Compile `function` as a part of the kernels that call it."""
        return cast("F", _njit(**self._options)(function))

    def kernel(self, function: F) -> F:
        """Compile `function`, an entry point from Python, and keep the machine code for the next process."""
        before = _numba_config.CACHE_DIR
        _numba_config.CACHE_DIR = str(self.folder)
        try:
            return cast("F", _njit(cache=True, **self._options)(function))
        except RuntimeError:  # numba finds no folder that it may write
            return cast("F", _njit(**self._options)(function))
        finally:
            _numba_config.CACHE_DIR = before

    @cached_property
    def folder(self) -> Path:
        """Where the machine code of these very sources is kept: under `NUMBA_CACHE_DIR` or the user's cache folder."""
        digest = hashlib.sha256(numba.__version__.encode())
        for source in self._sources:
            digest.update(source.read_bytes())
        return Path(_numba_config.CACHE_DIR or user_cache()) / f"asr-kernels-{digest.hexdigest()[:16]}"

    def announce(self) -> None:
        """Say on stderr, once, that the next call has to wait for the compiler; silent when the cache is filled."""
        if not self._announced and not any(self.folder.rglob("*.nbi")):
            print(f"asr: compiling {self.purpose} for this machine, once; it takes some seconds …", file=sys.stderr)
        self._announced = True
