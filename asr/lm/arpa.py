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
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.errors import ModelError
from asr.io import write_whole
from asr.lm.ngram import BEGIN, END, UNKNOWN, Floats, Ints, NgramModel, block_starts, link
from asr.lm.text import open_packed

LN10 = math.log(10.0)
# What KenLM gives to an unknown word where the file has no `<unk>`; it also stands for the logarithm of 0.
IMPOSSIBLE = -100.0
COUNT_LINE = re.compile(rb"ngram\s+(\d{1,9})\s*=\s*(\d{1,18})$")
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
            with open_packed(self.path) as file:
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
        ancestors = model.parent[ancestors]
    texts = (" ".join([model.words[index] for index in row]) for row in ids.tolist())
    log_probs = (model.log_prob[nodes] / LN10).tolist()
    backoffs = (model.backoff[nodes] / LN10).tolist()
    for log_prob, text, backoff in zip(log_probs, texts, backoffs, strict=True):
        yield f"{log_prob:.7g}\t{text}\t{backoff:.7g}\n" if backoff else f"{log_prob:.7g}\t{text}\n"


@dataclass
class NgramTable:
    """All n-grams of one order, in any order of rows. `M` n-grams of `n` words."""

    ids: Ints  # (M, n) word ids
    log_prob: Floats  # (M,) natural log; NaN: to be filled in by backing off
    backoff: Floats  # (M,) natural log, 0 where the n-gram is no context


def build_model(words: list[str], tables: Sequence[NgramTable]) -> NgramModel:
    """The trie of `tables` (orders 1, 2, … in turn). The unigram table must hold every word id exactly once.

    A row listed twice counts once (the last one). The walk of `NgramModel` relies on the prefix and the suffix of every
    listed n-gram being listed too. Toolkits prune without keeping this promise, so missing ones are added with the
    probability that backing off gives them, which changes no score.
    """
    tables = close(list(tables), len(words))
    counts = [len(table.ids) for table in tables]
    starts = block_starts(counts)
    total = starts[-1]
    word = np.full(total, -1, np.int32)
    log_prob, backoff = np.zeros(total, np.float32), np.zeros(total, np.float32)
    parent, suffix = np.zeros(total, np.int32), np.zeros(total, np.int32)
    for order, table in enumerate(tables, start=1):
        block = slice(starts[order], starts[order + 1])
        word[block] = table.ids[:, -1]
        log_prob[block], backoff[block] = table.log_prob, table.backoff
        if order > 1:
            shorter = tables[order - 2].ids
            keys, prefixes, suffixes = row_keys(len(words), shorter, table.ids[:, :-1], table.ids[:, 1:])
            parent[block] = starts[order - 1] + np.searchsorted(keys, prefixes)
            suffix[block] = starts[order - 1] + np.searchsorted(keys, suffixes)
            missing = starts[order] + np.flatnonzero(np.isnan(log_prob[block]))
            log_prob[missing] = backoff[parent[missing]] + log_prob[suffix[missing]]
    backoff[starts[-2] :] = 0
    return link(words, starts, word, log_prob, backoff, parent, suffix)


def close(tables: list[NgramTable], n_words: int) -> list[NgramTable]:
    """Sort every table by its rows, drop repeated rows and add the missing prefixes and suffixes."""
    for order in range(len(tables), 0, -1):
        table = tables[order - 1]
        needed = [table.ids]
        if order < len(tables):
            longer = tables[order].ids
            needed += [longer[:, :-1], longer[:, 1:]]
        own, *others = row_keys(n_words, *needed)
        # Of equal rows `unique` keeps the first, hence the reversal: the last row of a file wins.
        keys, last = np.unique(own[::-1], return_index=True)
        rows = len(own) - 1 - last
        extra_ids = [table.ids[:0]]
        for key, ids in zip(others, needed[1:], strict=True):
            fresh, index = np.unique(key, return_index=True)
            absent = ~np.isin(fresh, keys, assume_unique=True)
            extra_ids.append(ids[index[absent]])
            keys = np.union1d(keys, fresh[absent])
        extra = np.concatenate(extra_ids)
        merged = NgramTable(
            ids=np.concatenate([table.ids[rows], extra]),
            log_prob=np.concatenate([table.log_prob[rows], np.full(len(extra), np.nan, np.float32)]),
            backoff=np.concatenate([table.backoff[rows], np.zeros(len(extra), np.float32)]),
        )
        if len(extra):
            (merged_keys,) = row_keys(n_words, merged.ids)
            by_row = np.argsort(merged_keys)
            merged = NgramTable(merged.ids[by_row], merged.log_prob[by_row], merged.backoff[by_row])
        tables[order - 1] = merged
    return tables


def row_keys(n_words: int, *tables: NDArray[Any]) -> list[NDArray[np.int64]]:
    """One whole number for each row of word ids, sorted like the rows and comparable between the `tables`.

    Rows that do not fit into 63 bits are folded column by column: equal beginnings get the rank that they have among
    all the tables' beginnings.
    """
    bits = max(1, (n_words - 1).bit_length())
    keys = [table[:, 0].astype(np.int64) for table in tables]
    used = bits
    for column in range(1, tables[0].shape[1]):
        if used + bits > 63:
            ranks = np.unique(np.concatenate(keys), return_inverse=True)[1]
            keys = np.split(ranks.astype(np.int64), np.cumsum([len(key) for key in keys])[:-1])
            used = max(1, (len(ranks)).bit_length())
        keys = [(key << bits) | table[:, column] for key, table in zip(keys, tables, strict=True)]
        used += bits
    return keys
