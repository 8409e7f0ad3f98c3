"""Reading references and hypotheses: which format a file is in, and its texts by utterance.

The formats and how they are told are in the table of `asr.scoring.formats`. A structure that is not known is refused:
its ids, times and headers would count as words. Files are UTF-8 (a byte order mark is skipped, UTF-16 with one is
read) unless an encoding is named.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr.errors import DataError
from asr.scoring.alignment import TimedWord
from asr.scoring.formats import (
    FORMATS,
    ID,
    PARSERS,
    RECORDINGS,
    SUBTITLE_TIME,
    TRN,
    Entry,
    Format,
    Parsed,
    Side,
    csv_dialect,
    is_known_header,
)

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_BY_SUFFIX: dict[str, Format] = {f".{form}": form for form in PARSERS if form not in ("kaldi", "plain")}
_BY_SUFFIX[".ndjson"] = "jsonl"
_UNKNOWN_SUFFIXES = ".ass .docx .eaf .flac .htm .html .lrc .mlf .mp3 .pdf .rttm .sbv .ssa .textgrid .ttml .wav .xlsx"
_NUMBER = r"-?\d+(?:\.\d+)?"
_STM_LINE = re.compile(rf"\S+ \S+ \S+ {_NUMBER} {_NUMBER}(?: .*)?")
_CTM_LINE = re.compile(r"\S+ \S+ \d+\.\d+ \d+\.\d+ \S+(?: [-\d.]+| NA)?(?: \S+)*")
# What structured files of no format of ours begin with, or have in every one of so many lines.
_BEGINNINGS = [
    ("markup", re.compile(r"<\?xml|<!DOCTYPE|<html|<tt\b", re.IGNORECASE)),
    ("a TextGrid", re.compile(r'File type = "ooTextFile')),
    ("an HTK label file", re.compile("#!MLF!#")),
    ("SubStation subtitles", re.compile(re.escape("[Script Info]"), re.IGNORECASE)),
    ("RTTM", re.compile(r"(?:SPEAKER|LEXEME|SPKR-INFO)(?:\s+\S+){6,}$")),
]
_STRUCTURES = [
    ("columns", re.compile(r"(?=[^\s,;|]*[^\W\d])(?=[^\s,;|]*[\d_/.])[^\s,;|]+[,;|]\S"), 1),
    ("columns", re.compile(r"[^|]+\|.*"), 2),
    ("times", re.compile(r"\[?\d+:\d\d(?::\d\d)?(?:[.,]\d+)?\]?(?:\s|,|$)|\d+\.\d+\s+\d+\.\d+\s"), 2),
    ("numbers of lines", re.compile(r"\d+[.:)](?:\s|$)"), 2),
    ("labels", re.compile(r"[^\s:]+(?: \d+)?:(?:\s|$)"), 2),
]


@dataclass(frozen=True)
class Transcripts:
    """The texts of one file by utterance id, in the file's order; of a doubled id the first text is kept.

    `times` are the words with their bounds in seconds, where the format has them. `text_field` is the column or key
    that the texts were taken from.
    """

    path: Path
    format: Format
    texts: Mapping[str, str]
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    doubled: tuple[str, ...] = ()
    times: Mapping[str, tuple[TimedWord, ...]] = field(default_factory=dict)
    text_field: str = ""

    @property
    def is_recording(self) -> bool:
        """Whether the file holds the text of one recording, and no ids."""
        return self.format in RECORDINGS


def read_transcripts(
    path: Path | str, side: Side = "reference", form: Format = "auto", encoding: str | None = None
) -> Transcripts:
    """Read one file. Raises `DataError` naming the file and the line when it is not what it seems."""
    path = Path(path)
    lines = _lines(path, encoding)
    form = _detect(path, lines) if form == "auto" else form
    found = PARSERS[form](lines, path, side)
    parsed = found if isinstance(found, Parsed) else Parsed(form, found)
    first: dict[str, Entry] = {}
    doubled: dict[str, None] = {}
    for entry in parsed.entries:
        if first.setdefault(entry.id, entry) is not entry:
            doubled[entry.id] = None
    texts = {name: entry.text for name, entry in first.items() if entry.text is not None}
    fields = {name: first[name].fields for name in texts}
    times = {name: first[name].times for name in texts if first[name].times}
    return Transcripts(path, parsed.format, texts, fields, tuple(doubled), times, parsed.field)


def _lines(path: Path, encoding: str | None) -> list[str]:
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if encoding is None:
        encoding = "utf-16" if data.startswith(_UTF16) else "utf-8"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: not {encoding} text", "Name its encoding (--encoding latin-1)."
        ) from error
    except (LookupError, ValueError, UnicodeError) as error:
        raise DataError(f"unknown encoding {encoding!r}") from error
    if "\0" in text:
        raise DataError(f"{path} is no text: it holds zero bytes", "Name its encoding if it is (--encoding utf-16-le).")
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def _detect(path: Path, lines: list[str]) -> Format:
    suffix = path.suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if suffix in _UNKNOWN_SUFFIXES.split():
        raise DataError(f"{path}: {suffix} is not a format that is known", _KNOWN)
    if path.name == "text":
        return "kaldi"
    filled = [line.strip() for line in lines if line.strip()]
    return _detect_by_content(path, filled) if filled else "plain"


def _detect_by_content(path: Path, filled: list[str]) -> Format:
    first = filled[0]
    _refuse(path, [what for what, pattern in _BEGINNINGS if pattern.match(first)])
    content = [line for line in filled if not line.startswith(";;")]
    if first.startswith("WEBVTT"):
        return "vtt"
    if first[0] in "{[" and filled[-1][-1] in "}]" and '"' in first + filled[min(1, len(filled) - 1)]:
        return "jsonl" if all(line.startswith("{") and line.endswith("}") for line in filled) else "json"
    if any(SUBTITLE_TIME.match(line) for line in filled[:50]):
        return "srt"
    if content and all(map(_is_trn, content)):
        return "trn"
    if all("\t" in line for line in filled):
        return "tsv"
    spaced = [" ".join(line.split()) for line in content]
    if content and all(map(_CTM_LINE.fullmatch, spaced)):
        return "ctm"
    if content and all(map(_STM_LINE.fullmatch, spaced)):
        return "stm"
    if is_known_header(next(csv_dialect(first, [first]))):
        return "csv"
    _refuse(
        path, [what for what, pattern, lines in _STRUCTURES if len(filled) >= lines and all(map(pattern.match, filled))]
    )
    names = [line.split(maxsplit=1)[0] for line in filled]
    return "kaldi" if len(set(names)) == len(names) and all(map(ID.fullmatch, names)) else "plain"


def _is_trn(line: str) -> bool:
    """An id with blanks must carry a digit: `(laughs out loud)` is a text."""
    match = TRN.match(line)
    return match is not None and (" " not in match[2] or any(map(str.isdigit, match[2])))


def _refuse(path: Path, structures: list[str]) -> None:
    if structures:
        raise DataError(f"{path} is not in a format that is known: {structures[0]} would count as words", _KNOWN)


_KNOWN = f"Known are: {', '.join(FORMATS[1:])} (--reference-format, --hypothesis-format)."
