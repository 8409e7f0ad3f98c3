"""Open a language model file, whatever form it has.

The small file that is passed around (`binary`) takes a second to unpack. The flat arrays of a large one, as they lie in
memory, are therefore kept in the user's cache folder, 19 bytes an n-gram: mapped from there they are at hand at once,
only those pages are read that a search asks for, and all processes share them. What is kept may be deleted at any time.

    word · log_prob · backoff · suffix (N numbers each) · first_child (C + 1), all of 4 bytes · the words, a line each
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from asr.errors import AsrError, ModelError
from asr.io import clear_unfinished, fingerprint_text, is_stream, user_cache, write_whole
from asr.lm.arpa import read_arpa
from asr.lm.binary import is_binary, map_file, read_binary, read_header
from asr.lm.ngram import CONTROL_WORDS, NgramModel, block_starts
from asr.lm.text import read_sentences
from asr.text.normalize import librispeech

LARGE = 4 << 20
"""Bytes of a packed model that is worth keeping unpacked."""
KEPT = 2
"""Models that are kept at most: those that were used last."""
NEEDED_SPACE = 5
"""So many times what is kept must be free on the disk."""
ABANDONED = 3600
"""Seconds after which what is half written belongs to a process that was killed."""


def load_language_model(path: Path | str) -> NgramModel:
    """Read an n-gram model in the binary form or as an ARPA file (plain or gzip); the content tells which.

    Raises `ModelError` naming the file when it is missing, torn or neither.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelError(f"{path} is a folder, not an n-gram model", "Name a file: .ngram, .arpa or .arpa.gz.")
    if not path.exists():
        raise ModelError(f"the language model {path} does not exist", "Train one with `asr lm train`.")
    if is_stream(path):
        raise ModelError(f"{path} is a pipe or a device, not a file", "Write the language model to a file first.")
    return load_binary(path) if is_binary(path) else read_arpa(path)


def read_words(path: Path) -> list[str]:
    """The words of a language model, a manifest or a text, each once, in their order.

    An ARPA file is known by its name, what has the binary form by its content.
    """
    if path.suffix == ".ngram" or ".arpa" in path.suffixes or (path.is_file() and is_binary(path)):
        return load_language_model(path).words[CONTROL_WORDS:]
    return list(dict.fromkeys(word for sentence in read_sentences(path, librispeech) for word in sentence.split()))


def load_binary(path: Path) -> NgramModel:
    """What `read_binary` reads, from the cache where it is there. Errors as there."""
    if path.stat().st_size < LARGE:
        return read_binary(path)
    header = read_header(map_file(path), path)
    kept = user_cache() / f"asr-ngram-{fingerprint_text(repr(header))}"
    with suppress(OSError, ValueError):
        model = _map(kept, header.counts)
        with suppress(OSError):  # it may be another user's, to be read only
            os.utime(kept)
        return model
    model = read_binary(path)
    with suppress(OSError, AsrError):
        _keep(model, kept)
    return model


def _map(path: Path, counts: list[int]) -> NgramModel:
    """Raises `ValueError` where `path` does not hold a model of so many n-grams."""
    *_, contexts, total = block_starts(counts)
    numbers = np.memmap(path, np.int32, "r", shape=4 * total + contexts + 1).view(np.ndarray)
    word, log_prob, backoff, suffix, first_child = np.split(numbers, np.arange(1, 5) * total)
    with path.open("rb") as file:
        file.seek(numbers.nbytes)
        words = file.read().decode().split("\n")
    if len(words) != counts[0]:
        raise ValueError(f"{path} has {len(words)} words, not {counts[0]}")
    floats = log_prob.view(np.float32), backoff.view(np.float32)
    return NgramModel(len(counts), words, word, *floats, first_child, suffix)


def _keep(model: NgramModel, path: Path) -> None:
    arrays = (model.word, model.log_prob, model.backoff, model.suffix, model.first_child)
    size = sum(array.nbytes for array in arrays)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_unfinished(path.parent, "asr-ngram-", ABANDONED)
    if shutil.disk_usage(path.parent).free < NEEDED_SPACE * size:
        return
    print(f"asr: unpacking the language model for this machine, once: {size >> 20} MB in {path}", file=sys.stderr)
    with write_whole(path, "wb") as file:
        for array in arrays:
            file.write(array.data)
        file.write("\n".join(model.words).encode())
    others = sorted(path.parent.glob("asr-ngram-*"), key=lambda other: other.stat().st_mtime)
    for old in others[:-KEPT]:
        with suppress(OSError):  # Windows does not give up what somebody has mapped
            old.unlink()
