"""Texts to train and measure language models on: one sentence a line, normalized, as words and as numbers.

Numbers stand in files where they are many: as long as the disk allows, and never in memory as a whole.
"""

from __future__ import annotations

import bz2
import gzip
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from asr.errors import AsrError, DataError
from asr.io import parse_json
from asr.lm.ngram import BEGIN_ID, CONTROL_WORDS, END_ID, SPECIAL_WORDS, UNKNOWN_ID, Ints
from asr.text.normalize import Normalizer, none, refuse_tags


def read_sentences(path: Path | str, normalize: Normalizer = none) -> Iterator[str]:
    """The sentences of a text, one a line, empty ones left out.

    Plain, gzip and bzip2 files are told apart by their content; in a manifest (`.jsonl`) the field `text` counts.
    A byte order mark is skipped. Raises `DataError` naming file and line when the file cannot be read, is not UTF-8, or
    holds what nobody speaks (`[laughter]`, `<s>`; see `refuse_tags`) or what `normalize` refuses.
    """
    path = Path(path)
    number = 0
    try:
        with open_packed(path) as file:
            for raw in file:
                number += 1
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                sentence = parse_json(line)["text"] if line and path.suffix == ".jsonl" else line
                refuse_tags(sentence)
                if sentence := normalize(sentence):
                    yield sentence
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, line {number}: not UTF-8", "Convert it, for example with iconv.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}, line {number}: not a line of a manifest with a field `text`") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the compressed file is torn ({error})") from error
    except OSError as error:
        raise DataError(f"cannot read the text {path}: {error.strerror or error}") from error
    except AsrError as error:
        raise DataError(f"{path}, line {number}: {error.message}", error.hint) from error


@contextmanager
def open_packed(path: Path) -> Iterator[IO[bytes]]:
    """What a plain, gzip or bzip2 file holds.

    It is opened once, and only looked at before it is read: what has been read of a pipe is gone.
    """
    with path.open("rb") as file:
        magic = file.peek(3)
        if magic[:3] == b"BZh":
            yield bz2.open(file)  # noqa: SIM115  - the file beneath is closed
        elif magic[:2] == b"\x1f\x8b":
            yield gzip.open(file)  # type: ignore[misc]  # noqa: SIM115
        else:
            yield file


class Column:
    """A one-dimensional array in a file, which grows at its end and is read slice by slice."""

    def __init__(self, path: Path, dtype: DTypeLike = np.int32) -> None:
        self.path, self._dtype, self._length = path, np.dtype(dtype), 0
        path.write_bytes(b"")

    def __len__(self) -> int:
        """Numbers written so far."""
        return self._length

    def __getitem__(self, where: slice) -> NDArray[Any]:
        """A copy of a slice without a step."""
        start, stop, _ = where.indices(self._length)
        return np.fromfile(self.path, self._dtype, max(0, stop - start), offset=start * self._dtype.itemsize)

    def append(self, values: NDArray[Any]) -> None:
        """Write `values` at the end. Raises `DataError` where the disk is full."""
        try:
            with self.path.open("ab") as file:
                file.write(np.ascontiguousarray(values, self._dtype).data)
        except OSError as error:
            raise DataError(
                f"cannot write the temporary file {self.path}: {error.strerror or error}",
                "Counting takes some 60 bytes of disk for each word; the environment variable TMPDIR says where.",
            ) from error
        self._length += len(values)

    def remove(self) -> None:
        """Give the disk back; the column is empty then."""
        self.path.unlink()
        self._length = 0


def spans(length: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that together cover `length`."""
    return (slice(start, min(start + size, length)) for start in range(0, length, size))


AT_ONCE = 1 << 22
"""Words in memory at once, where a text is kept in a file."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """A text as word ids: every sentence is `<s>`, its words, `</s>`."""

    words: list[str]  # id → word: `<unk>`, `<s>`, `</s>`, then the others
    counts: NDArray[np.int64]  # (V,) how often each of them comes
    ids: Ints | Column  # (T,)

    @property
    def unknown(self) -> int:
        """How many of the words are `<unk>`."""
        return int(self.counts[UNKNOWN_ID])

    @property
    def sentences(self) -> int:
        """How many sentences begin."""
        return int(self.counts[BEGIN_ID])


def tokenize(sentences: Iterable[str], words: list[str] | None = None) -> Tokens:
    """Number the words of `sentences`; words outside the vocabulary `words` (by default every word) become `<unk>`."""
    numbered = number_words(sentences)
    return renumber(numbered, most_frequent([numbered], [1.0]) if words is None else words)


def number_words(sentences: Iterable[str], folder: Path | None = None) -> Tokens:
    """A text in ids of its own words, in the order in which they come.

    With a `folder` the ids are in a file there, and in memory only words.
    """
    known: defaultdict[str, int] = defaultdict()
    known.default_factory = known.__len__
    for special in SPECIAL_WORDS:
        known[special]
    column = Column(folder / "provisional") if folder else None
    block = array("i")
    for sentence in sentences:
        block.append(BEGIN_ID)
        block.extend([known[word] for word in sentence.split()])
        block.append(END_ID)
        if column is not None and len(block) > AT_ONCE:
            column.append(np.frombuffer(block, np.int32))
            block = array("i")
    ids: Ints | Column = np.frombuffer(block, np.int32)
    if column is not None:
        column.append(np.frombuffer(block, np.int32))
        ids = column
    counts = np.zeros(len(known), np.int64)
    for span in spans(len(ids), AT_ONCE):
        counts += np.bincount(ids[span], minlength=len(known))
    return Tokens(list(known), counts, ids)


def most_frequent(texts: Sequence[Tokens], weights: Sequence[float], limit: int | None = None) -> list[str]:
    """The special words, then the `limit` most frequent others of all texts, sorted.

    What counts is a word's share of each text, by the texts' weights; of equal ones the first in the alphabet is kept.
    """
    shares: defaultdict[str, float] = defaultdict(float)
    for text, weight in zip(texts, weights, strict=True):
        relative = weight / max(1, int(np.sum(text.counts)))
        for word, count in zip(text.words[CONTROL_WORDS:], text.counts[CONTROL_WORDS:].tolist(), strict=True):
            shares[word] += relative * count
    return SPECIAL_WORDS + sorted(sorted(shares, key=lambda word: (-shares[word], word))[:limit])


def renumber(text: Tokens, words: list[str]) -> Tokens:
    """The same text in ids of `words`; its file, if it is in one, is replaced."""
    vocabulary = {word: index for index, word in enumerate(words)}
    final = np.array([vocabulary.get(word, UNKNOWN_ID) for word in text.words], np.int32)
    counts = np.bincount(final, text.counts, len(words)).astype(np.int64)
    if not isinstance(text.ids, Column):
        return Tokens(words, counts, final[text.ids])
    ids = Column(text.ids.path.with_name("ids"))
    for span in spans(len(text.ids), AT_ONCE):
        ids.append(final[text.ids[span]])
    text.ids.remove()
    return Tokens(words, counts, ids)
