"""The file of the known words: a word, a tab, its pronunciations separated by blanks; sorted, UTF-8, gzip."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from pathlib import Path

from asr.errors import ModelError
from asr.files import write_whole
from asr.pronunciation.phones import SIGNS

HINT = "Copy the model again, or make the folder with recipes/pronunciation.py."

_SIGNS = frozenset(SIGNS)


def read_words(path: Path) -> dict[str, str]:
    """Words and their pronunciations, these joined by blanks.

    Raises `ModelError` naming the file when it is missing, torn, or holds what `flaw` objects to.
    """
    try:
        words = _parse(_decompressed(path.read_bytes()).decode("utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing", HINT) from error
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}", HINT) from error
    if wrong := flaw(words):
        raise ModelError(f"{path} is damaged: {wrong}", HINT)
    return words


def write_words(path: Path, words: Mapping[str, str]) -> None:
    """Write what `read_words` reads; the same words give the same bytes."""
    text = "".join(f"{word}\t{words[word]}\n" for word in sorted(words))
    with write_whole(path, "wb") as file:
        file.write(_compressed(text.encode("utf-8")))


def flaw(words: Mapping[str, str]) -> str:
    """What is wrong with words and their pronunciations joined by blanks; "" where all is well.

    Words are in capitals and without white space; each has a pronunciation, and all are made of the signs of `PHONES`.
    """
    # All at once first: to look at a hundred thousand words one by one would double the time of loading.
    if words and _plain("\n".join(words), len(words)) and _spoken(" ".join(words.values())):
        return ""
    return next(filter(None, (_flaw_of(word, joined) for word, joined in words.items())), "")


def _parse(text: str) -> dict[str, str]:
    """Raises `ValueError` for a line that is cut off or not of two fields, and for a word that comes again."""
    *lines, rest = text.split("\n")
    if rest:
        raise ValueError("its last line is cut off")
    words = dict(line.split("\t") for line in lines)
    if len(words) != len(lines):
        raise ValueError("a word is listed twice")
    return words


def _plain(words: str, count: int) -> bool:
    return words.isascii() and words == words.upper() and len(words.split()) == count == len(words.split("\n"))


def _spoken(joined: str) -> bool:
    return "  " not in f" {joined} " and set(joined) - {" "} <= _SIGNS


def _flaw_of(word: str, joined: str) -> str:
    if word.split() != [word] or not _is_unicode(word):
        return f"{word!r} is not a word"
    if word != word.upper():
        return f"{word!r} is not in capitals"
    for spoken in joined.split(" "):
        if not spoken:
            return f"{word!r} lacks a pronunciation"
        if foreign := sorted(set(spoken) - _SIGNS):
            return f"{word!r} is spoken with {', '.join(map(repr, foreign))}, which no phone is written as"
    return ""


def _is_unicode(word: str) -> bool:
    """Whether `word` can be written in UTF-8, which half a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in word)


def _decompressed(data: bytes) -> bytes:
    # To gzip nothing at all is a file of no members; to us it is one that was cut off at once.
    if not data:
        raise ValueError("it is empty")
    return gzip.decompress(data)


def _compressed(data: bytes) -> bytes:
    """Gzip without the time of day or a name; `gzip.compress` writes other headers in other versions of Python."""
    target = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as file:
        file.write(data)
    return target.getvalue()
