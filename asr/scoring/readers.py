"""Reading references and hypotheses in the formats of the field.

| format  | a line is                                   | told by                                               |
|---------|---------------------------------------------|-------------------------------------------------------|
| `trn`   | `words (utterance-id)`                      | `.trn`, or every line ends with `(id)`                |
| `jsonl` | a manifest entry                            | `.jsonl`, `.json`, or every line is a JSON object     |
| `ctm`   | `id channel start duration word …`          | `.ctm`                                                |
| `tsv`   | `id`, a tab, words; or a header with `text` | `.tsv`, or a tab in every line                        |
| `kaldi` | `id words`                                  | a file named `text`, or distinct ids in the first column |
| `plain` | words; paired by line number                | everything else                                       |

Files are UTF-8 (a byte order mark is skipped, UTF-16 with one is read) unless an encoding is named.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from asr.errors import DataError

Format = Literal["auto", "trn", "jsonl", "ctm", "tsv", "kaldi", "plain"]
Side = Literal["reference", "hypothesis"]
FORMATS: tuple[Format, ...] = ("auto", "trn", "jsonl", "ctm", "tsv", "kaldi", "plain")

# Where JSON lines and TSV headers keep the text; a file may carry both sides (NeMo's `text` and `pred_text`).
TEXT_FIELDS: dict[Side, tuple[str, ...]] = {
    "reference": ("reference", "ref", "text", "sentence", "transcript"),
    "hypothesis": ("pred_text", "hypothesis", "hyp", "text", "transcript"),
}
_BOMS = [
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
# An id may hold pairs of parentheses (`take_(1)`): the one that ends the line closes just one, so texts may hold any.
_TRN = re.compile(r"^(.*?)\(((?:[^()\s]|\([^()\s]*\))+)\)$", re.DOTALL)
# An id carries a digit and something beside digits (`84-121123-0000`, `LJ001-0001`): `7 days later` is plain text.
_ID = re.compile(r"(?=.*\d)(?=.*[^\d.,:]).{3,}")
# As programs write numbers: `007`, `1_000` and `1e5` are names, and another number must not swallow them.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[-+][0-9]{2,})?")


@dataclass(frozen=True)
class Transcripts:
    """The texts of one file by utterance id, in the file's order; of a doubled id the first text is kept."""

    path: Path
    format: Format
    texts: Mapping[str, str]
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    doubled: tuple[str, ...] = ()


Entry = tuple[str, str, dict[str, Any]]


def read_transcripts(
    path: Path | str, side: Side = "reference", form: Format = "auto", encoding: str | None = None
) -> Transcripts:
    """Read one file. Raises `DataError` naming the file and the line when it is not what it seems."""
    path = Path(path)
    lines = _lines(path, encoding)
    form = _detect(path, lines) if form == "auto" else form
    texts: dict[str, str] = {}
    fields: dict[str, dict[str, Any]] = {}
    doubled: dict[str, None] = {}
    for identity, text, extra in _PARSERS[form](lines, path, side):
        if identity in texts:
            doubled[identity] = None
            continue
        texts[identity] = text
        if extra:
            fields[identity] = extra
    return Transcripts(path, form, texts, fields, tuple(doubled))


def _lines(path: Path, encoding: str | None) -> list[str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    if encoding is None:
        encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: not {encoding} text", "Name its encoding (--encoding latin-1)."
        ) from error
    except LookupError as error:
        raise DataError(f"unknown encoding {encoding!r}") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def _detect(path: Path, lines: list[str]) -> Format:
    suffix = path.suffix.lower()
    by_suffix: dict[str, Format] = {".trn": "trn", ".jsonl": "jsonl", ".json": "jsonl", ".ctm": "ctm", ".tsv": "tsv"}
    if suffix in by_suffix:
        return by_suffix[suffix]
    if path.name == "text":
        return "kaldi"
    filled = [line.strip() for line in lines if line.strip()]
    if not filled:
        return "plain"
    if all(line.startswith("{") and line.endswith("}") for line in filled):
        return "jsonl"
    if all(_TRN.match(line) for line in filled):
        return "trn"
    if all("\t" in line for line in filled):
        return "tsv"
    first = [line.split(maxsplit=1)[0] for line in filled]
    return "kaldi" if len(set(first)) == len(first) and all(map(_ID.fullmatch, first)) else "plain"


def _parse_trn(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        line = line.strip()
        if not line or line.startswith(";;"):
            continue
        match = _TRN.match(line)
        if not match:
            raise DataError(f"{path}, line {number}: no (utterance-id) at the end of the line")
        if "{" in match[1].split():
            raise DataError(f"{path}, line {number}: alternatives {{ a / b }} are not supported", "Keep one of them.")
        yield match[2], match[1].strip(), {}


def _parse_kaldi(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    for line in lines:
        if line.strip():
            identity, *text = line.strip().split(maxsplit=1)
            yield identity, text[0] if text else "", {}


def _parse_tsv(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    rows = [(number, line.split("\t")) for number, line in enumerate(lines, 1) if line.strip()]
    header = [cell.strip().lower() for cell in rows[0][1]] if rows else []
    text_name = next((name for name in TEXT_FIELDS[side] if name in header), None)
    if text_name is not None and ("id" in header or "utt_id" in header):
        for number, cells in rows[1:]:
            if len(cells) != len(header):
                raise DataError(f"{path}, line {number}: {len(cells)} columns, the header has {len(header)}")
            record: dict[str, Any] = dict(zip(header, cells, strict=True))
            identity, text = record.pop("id", None) or record.pop("utt_id"), record.pop(text_name)
            values = {name: _number_or_text(value) for name, value in record.items() if name != "speaker"}
            yield identity.strip(), text, record | values
        return
    for number, cells in rows:
        if len(cells) != 2:
            raise DataError(f"{path}, line {number}: expected an id, a tab and the text, found {len(cells)} columns")
        yield cells[0].strip(), cells[1], {}


def _parse_jsonl(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    base = path.resolve().parent
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, parse_constant=_refuse_constant)
            json.dumps(record, ensure_ascii=False).encode()  # half a surrogate pair could never be written again
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not valid JSON ({error})") from error
        if not isinstance(record, dict):
            raise DataError(f"{path}, line {number}: not a JSON object")
        name = next((name for name in TEXT_FIELDS[side] if isinstance(record.get(name), str)), None)
        if name is None:
            raise DataError(f"{path}, line {number}: no text ({' or '.join(TEXT_FIELDS[side])})")
        audio = record.get("audio_filepath")
        identity = record.get("id", Path(audio).stem if isinstance(audio, str) else None)
        if identity is None:
            raise DataError(f"{path}, line {number}: neither id nor audio_filepath")
        if isinstance(audio, str):
            record["audio_filepath"] = str(base / audio)
        occurrences = {key for keys in TEXT_FIELDS.values() for key in keys}
        yield (
            str(identity),
            record[name],
            {key: value for key, value in record.items() if key not in occurrences | {"id"}},
        )


def _parse_ctm(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    words: dict[str, list[tuple[float, str]]] = {}
    channels: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(";;"):
            continue
        cells = line.split()
        try:
            identity, channel, start, word = cells[0], cells[1], float(cells[2]), cells[4]
            float(cells[3])
        except (IndexError, ValueError) as error:
            raise DataError(f"{path}, line {number}: not `id channel start duration word`") from error
        if channels.setdefault(identity, channel) != channel:
            raise DataError(f"{path}, line {number}: {identity} has several channels", "Give every channel its own id.")
        words.setdefault(identity, []).append((start, word))
    for identity, timed in words.items():
        yield identity, " ".join(word for _, word in sorted(timed, key=lambda item: item[0])), {}


def _parse_plain(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    for number, line in enumerate(lines, 1):
        yield str(number), line, {}


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _number_or_text(value: str) -> float | str:
    written = _NUMBER.fullmatch(value.strip())
    if not written or not math.isfinite(float(value)):
        return value
    return float(value) if written[2] or written[3] else int(value)


Parser = Callable[[list[str], Path, Side], Iterable[Entry]]
_PARSERS: dict[Format, Parser] = {
    "trn": _parse_trn,
    "kaldi": _parse_kaldi,
    "tsv": _parse_tsv,
    "jsonl": _parse_jsonl,
    "ctm": _parse_ctm,
    "plain": _parse_plain,
}
