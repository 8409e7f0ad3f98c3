"""How the kernels are compiled: once per machine, kept in the user's cache folder, announced on stderr.

The compiled code lives outside the package, which may be read-only, in a folder named by a digest of the sources: numba
itself watches only the file of the outermost function, not of those that it calls, and would run stale code.
Where no folder can be written the kernels compile anew in every process.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

import asr

F = TypeVar("F", bound=Callable[..., Any])

_njit: Any = numba.njit
_numba_config: Any = numba.config
# Other threads run while a kernel does (nogil); a division by zero is ours to avoid, not to check. Without the runtime
# that counts references (_nrt) the search runs twice as fast, and kernels cannot allocate: callers bring the memory.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
_PACKAGE = Path(asr.__file__).parent
_SOURCES = [
    *(
        _PACKAGE / "decoding" / f"{name}.py"
        for name in ("compiled", "search", "fusion", "hotwords", "lexicon", "pieces")
    ),
    _PACKAGE / "language" / "lookup.py",
]


def inner(function: F) -> F:
    """Compile `function` as a part of the kernels that call it."""
    return cast("F", _njit(**_OPTIONS)(function))


def kernel(function: F) -> F:
    """Compile `function`, an entry point from Python, and keep the machine code for the next process."""
    before = _numba_config.CACHE_DIR
    _numba_config.CACHE_DIR = str(cache_folder())
    try:
        return cast("F", _njit(cache=True, **_OPTIONS)(function))
    except RuntimeError:  # numba finds no folder that it may write
        return cast("F", _njit(**_OPTIONS)(function))
    finally:
        _numba_config.CACHE_DIR = before


@cache
def cache_folder() -> Path:
    """Where the machine code of these very sources is kept: under `NUMBA_CACHE_DIR` or the user's cache folder."""
    digest = hashlib.sha256(numba.__version__.encode())
    for source in _SOURCES:
        digest.update(source.read_bytes())
    return Path(_numba_config.CACHE_DIR or _user_cache()) / f"asr-kernels-{digest.hexdigest()[:16]}"


@cache
def announce_compilation() -> None:
    """Say on stderr, once, that the next decoding has to wait for the compiler; silent when the cache is filled."""
    if not any(cache_folder().rglob("*.nbi")):
        print("asr: compiling the decoder for this machine, once; it takes some seconds …", file=sys.stderr)


def _user_cache() -> Path:
    """The platform's folder for what may be deleted at any time."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 (Path.home() raises where there is no home)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
