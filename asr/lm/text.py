"""Texts to train and measure language models on: one sentence a line, normalized, as words and as numbers."""

from __future__ import annotations

import bz2
import gzip
import json
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from asr.errors import AsrError, DataError
from asr.lm.ngram import BEGIN_ID, END_ID, SPECIAL_WORDS, UNKNOWN_ID, Ints
from asr.text.normalize import Normalizer, none


def read_sentences(path: Path | str, normalize: Normalizer = none) -> Iterator[str]:
    """The sentences of a text, one a line, empty ones left out.

    Plain, gzip and bzip2 files are told apart by their content; in a manifest (`.jsonl`) the field `text` counts.
    Raises `DataError` naming file and line when the file cannot be read, is not UTF-8, or holds what `normalize`
    refuses.
    """
    path = Path(path)
    number = 0
    try:
        with _open(path) as file:
            for raw in file:
                number += 1
                line = raw.decode("utf-8")
                sentence = normalize(json.loads(line)["text"] if path.suffix == ".jsonl" else line.strip())
                if "<" in sentence and not set(SPECIAL_WORDS).isdisjoint(sentence.split()):
                    raise DataError("the text holds one of the reserved words <unk>, <s>, </s>", "Remove it.")
                if sentence:
                    yield sentence
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, line {number}: not UTF-8", "Convert it, for example with iconv.") from error
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}, line {number}: not a line of a manifest with a field `text`") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: the compressed file is torn ({error})") from error
    except OSError as error:
        raise DataError(f"cannot read the text {path}: {error.strerror or error}") from error
    except AsrError as error:
        raise DataError(f"{path}, line {number}: {error.message}", error.hint) from error


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        magic = file.read(3)
    if magic == b"BZh":
        return bz2.open(path)
    return gzip.open(path) if magic[:2] == b"\x1f\x8b" else path.open("rb")  # type: ignore[return-value]


@dataclass(frozen=True, eq=False)
class Tokens:
    """A text as word ids: every sentence is `<s>`, its words, `</s>`."""

    words: list[str]  # id → word: `<unk>`, `<s>`, `</s>`, then the others sorted
    ids: Ints  # (T,)
    unknown: int  # how many of them are `<unk>`

    @property
    def sentences(self) -> int:
        """The number of sentences."""
        return int(np.sum(self.ids == BEGIN_ID))


def tokenize(sentences: Iterable[str], limit: int | None = None, words: list[str] | None = None) -> Tokens:
    """Number the words of `sentences`; words outside the vocabulary become `<unk>`.

    The vocabulary is `words`, or else every word, or else the `limit` most frequent ones (of equally frequent ones
    the first in the alphabet).
    """
    provisional: defaultdict[str, int] = defaultdict()
    provisional.default_factory = provisional.__len__
    for special in SPECIAL_WORDS:
        provisional[special]
    numbers = array("i")
    for sentence in sentences:
        numbers.append(BEGIN_ID)
        numbers.extend([provisional[word] for word in sentence.split()])
        numbers.append(END_ID)
    first_seen = list(provisional)
    found = np.frombuffer(numbers, np.int32)
    if words is None:
        counts = np.bincount(found, minlength=len(first_seen))
        chosen = sorted(range(len(SPECIAL_WORDS), len(first_seen)), key=lambda i: (-counts[i], first_seen[i]))[:limit]
        words = SPECIAL_WORDS + sorted(first_seen[index] for index in chosen)
    vocabulary = {word: index for index, word in enumerate(words)}
    final = np.array([vocabulary.get(word, UNKNOWN_ID) for word in first_seen], np.int32)
    ids = final[found]
    return Tokens(words, ids, int(np.sum(ids == UNKNOWN_ID)))
