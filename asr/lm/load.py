"""Open a language model file, whatever form it has."""

from __future__ import annotations

from pathlib import Path

from asr.errors import ModelError
from asr.io import is_stream
from asr.lm.arpa import read_arpa
from asr.lm.binary import is_binary
from asr.lm.mapped import load_binary
from asr.lm.ngram import CONTROL_WORDS, NgramModel
from asr.lm.text import read_sentences
from asr.text.normalize import librispeech


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
    """The words of a language model, a manifest or a text, each once, in their order."""
    if path.suffix == ".ngram" or ".arpa" in path.suffixes:
        return load_language_model(path).words[CONTROL_WORDS:]
    return list(dict.fromkeys(word for sentence in read_sentences(path, librispeech) for word in sentence.split()))
