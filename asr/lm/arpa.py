"""ARPA files, the exchange format of n-gram language models: read from any toolkit, plain or gzip, and written.

The file holds base-10 logarithms, one n-gram a line: `log10 p <tab> words <tab> log10 back-off`, the last where the
n-gram is a context. Format: http://www.speech.sri.com/projects/srilm/manpages/ngram-format.5.html
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from array import array
from codecs import BOM_UTF8
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO

import numpy as np

from asr.errors import ModelError
from asr.io import write_whole
from asr.lm.ngram import BEGIN, END, UNKNOWN, Ints, NgramModel
from asr.lm.trie import NgramTable, build_model

LN10 = math.log(10.0)
# What KenLM gives to an unknown word where the file has no `<unk>`; it also stands for the logarithm of 0.
IMPOSSIBLE = -100.0
COUNT_LINE = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)$")
SPECIAL = [UNKNOWN.encode(), BEGIN.encode(), END.encode()]
ALIASES = {special.upper(): special for special in SPECIAL}
ROWS_AT_ONCE = 100_000


def read_arpa(path: Path | str) -> NgramModel:
    """Read an ARPA file (UTF-8 with or without a byte order mark, plain or gzip).

    A file without `<unk>` or `<s>` gets them with log10 p = -100; `<UNK>`, `<S>`, `</S>` are read as their lower-case
    forms; `-inf` counts as -100. Raises `ModelError` naming file and line when the file is torn, its counts are wrong,
    a word of an n-gram has no unigram, a number is none, `</s>` is missing or the encoding is another one.
    """
    lines = _Lines(Path(path))
    counts = _read_counts(lines)
    words, unigrams = _read_unigrams(lines, counts)
    ids = {word.encode(): index for index, word in enumerate(words)}
    ids.update({alias: ids[special] for alias, special in ALIASES.items() if alias not in ids})
    tables = [unigrams]
    for order in range(2, len(counts) + 1):
        tables.append(_read_section(lines, order, counts, ids))
    lines.expect(b"\\end\\")
    return build_model(words, tables)


def write_arpa(model: NgramModel, path: Path | str) -> None:
    """Write `model` as an ARPA file, gzip-compressed when the name ends in `.gz`."""
    path = Path(path)
    with write_whole(path, "wb") as target:
        # No time and no name in the gzip header: the same model gives the same bytes.
        packed = gzip.GzipFile("", "wb", fileobj=target, compresslevel=6, mtime=0) if path.suffix == ".gz" else None
        with packed or nullcontext(target) as file:
            file.write(b"\\data\\\n")
            for order, count in enumerate(model.counts, start=1):
                file.write(f"ngram {order}={count}\n".encode())
            for order, block in enumerate(model.blocks[1:], start=1):
                file.write(f"\n\\{order}-grams:\n".encode())
                for first in range(block.start, block.stop, ROWS_AT_ONCE):
                    nodes = np.arange(first, min(first + ROWS_AT_ONCE, block.stop), dtype=np.int32)
                    file.write("".join(_format_rows(model, nodes, order)).encode())
            file.write(b"\n\\end\\\n")


class _Lines:
    """A cursor over the lines that are not blank (`line`, b"" at the end); every complaint names file and line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self._lines = self._read()
        self.line = next(self._lines, b"")

    def _read(self) -> Iterator[bytes]:
        try:
            with _open(self.path) as file:
                for raw in file:
                    self.number += 1
                    line = raw.removeprefix(BOM_UTF8).strip() if self.number == 1 else raw.strip()
                    if line:
                        yield line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self.wrong(f"the compressed file is torn ({error})", "Fetch or write it again.") from error
        except OSError as error:
            raise ModelError(f"cannot read the language model {self.path}: {error.strerror or error}") from error

    def advance(self) -> None:
        self.line = next(self._lines, b"")

    def expect(self, heading: bytes) -> None:
        """Step over the line `heading`."""
        if self.line != heading:
            found = repr(self.line[:60].decode(errors="replace")) if self.line else "the end of the file"
            hint = "The file is torn, or the counts under \\data\\ are wrong: write it again."
            raise self.wrong(f"expected {heading.decode()}, found {found}", hint)
        self.advance()

    def wrong(self, what: str, hint: str = "") -> ModelError:
        return ModelError(f"{self.path}, line {self.number}: {what}", hint)


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if compressed else path.open("rb")  # type: ignore[return-value]


def _read_counts(lines: _Lines) -> list[int]:
    """The numbers of n-grams of orders 1, 2, …; toolkits may write remarks above `\\data\\`."""
    while lines.line and lines.line != b"\\data\\":
        lines.advance()
    if not lines.line:
        hint = "Is it an ARPA file in UTF-8? Other encodings can be converted with iconv."
        raise ModelError(f"{lines.path}: no \\data\\ section, so this is not an ARPA language model", hint)
    lines.advance()
    counts: list[int] = []
    while match := COUNT_LINE.match(lines.line):
        if int(match[1]) != len(counts) + 1:
            raise lines.wrong(f"expected the number of {len(counts) + 1}-grams, found {lines.line.decode()!r}")
        counts.append(int(match[2]))
        lines.advance()
    if not counts:
        raise lines.wrong("no numbers of n-grams under \\data\\")
    return counts


def _read_unigrams(lines: _Lines, counts: list[int]) -> tuple[list[str], NgramTable]:
    """The vocabulary in our order (special words first, the others sorted) and its table."""
    lines.expect(b"\\1-grams:")
    rows: dict[bytes, tuple[float, float]] = {}
    for _ in range(counts[0]):
        (word,), log_prob, backoff = _parse(lines, 1, last=len(counts) == 1)
        word = ALIASES.get(word, word)
        if word in rows:
            raise lines.wrong(f"the word {word.decode(errors='replace')!r} is listed twice")
        try:
            word.decode()
        except UnicodeDecodeError as error:
            hint = "Convert the file, for example with iconv -f latin1 -t utf-8."
            raise lines.wrong(f"the word {word!r} is not UTF-8", hint) from error
        rows[word] = log_prob, backoff
        lines.advance()
    if END.encode() not in rows:
        hint = "It was trained without sentence ends: train it on a sentence a line."
        raise ModelError(f"{lines.path}: the language model has no {END}", hint)
    for special in SPECIAL:
        rows.setdefault(special, (IMPOSSIBLE, 0.0))
    ordered = SPECIAL + sorted(rows.keys() - set(SPECIAL))
    values = np.array([rows[word] for word in ordered]) * LN10
    ids = np.arange(len(ordered), dtype=np.int32)[:, None]
    table = NgramTable(ids, values[:, 0].astype(np.float32), values[:, 1].astype(np.float32))
    return [word.decode() for word in ordered], table


def _read_section(lines: _Lines, order: int, counts: list[int], ids: dict[bytes, int]) -> NgramTable:
    lines.expect(b"\\%d-grams:" % order)
    flat, log_probs, backoffs = array("i"), array("d"), array("d")
    for _ in range(counts[order - 1]):
        words, log_prob, backoff = _parse(lines, order, last=order == len(counts))
        try:
            flat.extend([ids[word] for word in words])
        except KeyError as error:
            unknown = error.args[0].decode(errors="replace")
            raise lines.wrong(f"the word {unknown!r} is not among the unigrams") from None
        log_probs.append(log_prob)
        backoffs.append(backoff)
        lines.advance()
    return NgramTable(
        np.array(flat, np.int32).reshape(-1, order),
        (np.array(log_probs) * LN10).astype(np.float32),
        (np.array(backoffs) * LN10).astype(np.float32),
    )


def _parse(lines: _Lines, order: int, *, last: bool) -> tuple[list[bytes], float, float]:
    """The words, log10 probability and log10 back-off of the current line."""
    fields = lines.line.split()
    if len(fields) != order + 1 and (last or len(fields) != order + 2):
        if lines.line.startswith(b"\\") or not lines.line:
            lines.expect(b"another %d-gram" % order)
        raise lines.wrong(f"not a {order}-gram: {lines.line[:60].decode(errors='replace')!r}")
    try:
        log_prob = float(fields[0])
        backoff = float(fields[-1]) if len(fields) == order + 2 else 0.0
    except ValueError:
        raise lines.wrong(f"not a number in {lines.line[:60].decode(errors='replace')!r}") from None
    # 1e-6: probabilities of 1 come out of rounding a little above
    if not log_prob <= 1e-6 or math.isnan(backoff) or backoff == math.inf:
        raise lines.wrong(f"not a log-probability: {lines.line[:60].decode(errors='replace')!r}")
    return fields[1 : order + 1], max(log_prob, IMPOSSIBLE), max(backoff, IMPOSSIBLE)


def _format_rows(model: NgramModel, nodes: Ints, order: int) -> Iterator[str]:
    ids = np.empty((len(nodes), order), np.int32)
    ancestors = nodes
    for column in range(order - 1, -1, -1):
        ids[:, column] = model.word[ancestors]
        # The parent is the last node whose children begin at or before this one.
        ancestors = np.searchsorted(model.first_child, ancestors, side="right").astype(np.int32) - 1
    texts = (" ".join([model.words[index] for index in row]) for row in ids.tolist())
    log_probs = (model.log_prob[nodes] / LN10).tolist()
    backoffs = (model.backoff[nodes] / LN10).tolist()
    for log_prob, text, backoff in zip(log_probs, texts, backoffs, strict=True):
        yield f"{log_prob:.7g}\t{text}\t{backoff:.7g}\n" if backoff else f"{log_prob:.7g}\t{text}\n"
