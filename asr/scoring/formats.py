"""The formats of the field that references and hypotheses come in, each a function from lines to utterances.

| format       | a line is                                     | told by                                               |
|--------------|-----------------------------------------------|-------------------------------------------------------|
| `trn`        | `words (id)`, or PocketSphinx's `(id score)`  | `.trn`, or every line ends with `(id)`                |
| `jsonl`      | a manifest entry                              | `.jsonl`, or every line is a JSON object              |
| `json`       | the whole is a list of such entries           | `.json`                                               |
| `whisper`    | the JSON of one recording, Whisper's or ours  | `.json` with `text` or `segments`                     |
| `ctm`        | `id channel start duration word …`            | `.ctm`, or every line is one                          |
| `stm`        | `id channel speaker start end <labels> words` | `.stm`, or every line is one                          |
| `srt`, `vtt` | subtitles of one recording                    | `.srt`, `.vtt`, `WEBVTT`, or times with `-->`         |
| `csv`        | a table with a header that is known           | `.csv`, or such a header                              |
| `tsv`        | `id`, a tab, words; or a table with a header  | `.tsv`, or a tab in every line                        |
| `segments`   | `start`, `end`, `text` of one recording       | a TSV with that header                                |
| `kaldi`      | `id words`                                    | a file named `text`, or ids alone in the first column |
| `plain`      | words; paired by line number                  | everything else                                       |
"""

from __future__ import annotations

import csv
import html
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeGuard, get_args

from asr.errors import DataError
from asr.io import parse_json
from asr.scoring.alignment import TimedWord

Format = Literal[
    "auto", "trn", "jsonl", "json", "whisper", "ctm", "stm", "srt", "vtt", "csv", "tsv", "segments", "kaldi", "plain"
]
Side = Literal["reference", "hypothesis"]
FORMATS: tuple[Format, ...] = tuple(form for form in get_args(Format) if form not in ("whisper", "segments"))
"""Those that a file may be said to be in; the other two are told by what stands in it."""
RECORDINGS: frozenset[Format] = frozenset({"whisper", "srt", "vtt", "segments"})
"""Formats that hold the text of one recording and no ids."""

# Where JSON and tables keep the text; a file may carry both sides (NeMo's `text` and `pred_text`).
TEXT_FIELDS: dict[Side, tuple[str, ...]] = {
    "reference": ("reference", "ref", "ground_truth", "text", "sentence", "transcript", "transcription"),
    "hypothesis": (
        "pred_text", "hypothesis", "hyp", "prediction", "text", "sentence", "transcript", "transcription",
    ),
}  # fmt: skip
_TEXTS = frozenset(name for names in TEXT_FIELDS.values() for name in names)
_IDS = ("id", "utt_id", "utterance_id", "uttid", "utt", "utterance", "key")
_PATHS = (
    "audio_filepath", "audio_path", "audio", "wav_filename", "wav_path", "wav", "path", "file", "filename", "file_name",
)  # fmt: skip
_NOT_FIELDS = _TEXTS | {*_IDS, "words"}
_HEADER_WORDS = frozenset(
    {*_TEXTS, *_IDS, *_PATHS, "speaker", "duration", "start", "end", "name", "clip", "phrase", "label", "words"}
    | {"target", "output", "caption", "content", "raw_text", "normalized_text"}
)
# An id may hold pairs of parentheses (`take_(1)`): the one that ends the line closes just one, so texts may hold any.
TRN = re.compile(r"^(.*?)\(((?:[^()]|\([^()]*\))+)\)$", re.DOTALL)
_SCORE = re.compile(r"\s+-\d+(?:\.\d+)?$")  # PocketSphinx writes the score of the hypothesis after the id
# An id carries a digit and something beside digits (`84-121123-0000`, `LJ001-0001`), or signs that no word has:
# `7 days later` is plain text.
ID = re.compile(r"(?=.*\d)(?=.*[^\d.,:]).{3,}|.*\w[_/]\w.*")
# As programs write numbers: `007`, `1_000` and `1e5` are names, and another number must not swallow them.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?(e[-+][0-9]{2,})?")
_CLOCK = r"(?:\d+:)?\d{1,2}:\d{2}(?:[,.]\d{1,3})?"
SUBTITLE_TIME = re.compile(rf"\[?({_CLOCK})\s*-->\s*({_CLOCK})(\]?)(.*)$")
_MARKUP = re.compile(r"</?(?:i|b|u|s|c|v|font|ruby|rt|lang)(?:[.\s][^<>]*)?>|<\d[\d:.]*>|\{\\[^{}]*\}", re.IGNORECASE)


class Entry(NamedTuple):
    """One utterance of a file; `text` is None where its place is empty."""

    id: str
    text: str | None
    fields: dict[str, Any]
    times: tuple[TimedWord, ...] = ()


class Parsed(NamedTuple):
    """What a file holds: its format, its utterances, and the column or key that their texts are in."""

    format: Format
    entries: Iterable[Entry]
    field: str = ""


Record = tuple[int, dict[str, Any]]
"""The line of an entry, and its keys."""


def _content(lines: list[str]) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers; `;;` begins a comment."""
    for number, line in enumerate(map(str.strip, lines), 1):
        if line and not line.startswith(";;"):
            yield number, line


def _parse_trn(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    for number, line in _content(lines):
        match = TRN.match(line)
        if not match:
            raise DataError(f"{path}, line {number}: no (utterance-id) at the end of the line")
        if "{" in match[1].split():
            raise DataError(f"{path}, line {number}: alternatives {{ a / b }} are not supported", "Keep one of them.")
        identity = " ".join(_SCORE.sub("", match[2].strip()).split())
        if not identity:
            raise DataError(f"{path}, line {number}: the utterance id is empty")
        yield Entry(identity, match[1].strip(), {})


def _parse_kaldi(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    for line in lines:
        if line.strip():
            identity, *text = line.strip().split(maxsplit=1)
            yield Entry(identity, text[0] if text else "", {})


def _parse_plain(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    return (Entry(str(number), line, {}) for number, line in enumerate(lines, 1))


def _parse_tsv(lines: list[str], path: Path, side: Side) -> Parsed:
    rows = [(number, line.split("\t")) for number, line in enumerate(lines, 1) if line.strip()]
    header = [_column(cell) for cell in rows[0][1]] if rows else []
    if {"start", "end", "text"} <= set(header) and not {*_IDS, *_PATHS} & set(header):
        return Parsed("segments", [Entry(path.stem, " ".join(record["text"] for _, record in _table(rows, path)), {})])
    if is_known_header(header):
        return _from_records("tsv", list(_table(rows, path)), path, side)
    if rows:
        _refuse_header(header, [cells for _, cells in rows[1:]], path)
    return Parsed("tsv", _parse_pairs(rows, path))


def _parse_pairs(rows: list[tuple[int, list[str]]], path: Path) -> Iterator[Entry]:
    for number, cells in rows:
        if len(cells) != 2 or not cells[0].strip():
            raise DataError(f"{path}, line {number}: expected an id, a tab and the text, found {len(cells)} columns")
        yield Entry(cells[0].strip(), cells[1], {})


def _parse_csv(lines: list[str], path: Path, side: Side) -> Parsed:
    try:
        reader = csv_dialect(lines[0] if lines else "", [line + "\n" for line in lines])
        rows = [(reader.line_num, cells) for cells in reader if any(map(str.strip, cells))]
    except csv.Error as error:
        raise DataError(f"{path}: not a table ({error})") from error
    header = [_column(cell) for cell in rows[0][1]] if rows else []
    if not is_known_header(header, with_id=False):
        raise DataError(
            f"{path}: no column of its first line is known ({', '.join(header[:6])})",
            f"Name the columns: {_IDS[0]} or {_PATHS[0]}, and one of {', '.join(TEXT_FIELDS[side])}.",
        )
    return _from_records("csv", list(_table(rows, path)), path, side)


def csv_dialect(first: str, lines: Iterable[str]) -> Any:
    """A reader of `lines`, parted by whatever parts the first one: commas, semicolons, tabs or bars."""
    csv.field_size_limit(2**31 - 1)  # by itself it refuses more than 131,072 letters: the words of three hours
    return csv.reader(lines, delimiter=max(",;\t|", key=first.count), strict=False)


def is_known_header(cells: Sequence[str], with_id: bool = True) -> bool:
    """Whether these are names of columns, one of a text among them, and one of an id."""
    names = set(map(_column, cells))
    return bool(names & _TEXTS) and len(cells) > 1 and (not with_id or bool(names & {*_IDS, *_PATHS}))


def _column(cell: str) -> str:
    """The name of a column; `Utt-ID` and `file name` are known as utt_id and file_name."""
    name = cell.strip().lower()
    known = re.sub(r"[\s-]+", "_", name)
    return known if known in _HEADER_WORDS else name


def _refuse_header(header: list[str], rows: list[list[str]], path: Path) -> None:
    """A first line of names that are not known would be scored as an utterance."""
    named = len(header) > 1 and all(re.fullmatch(r"[a-z_ -]+", cell) for cell in header)
    single = not any(" " in cell for cell in header)
    # The other ids have what the first has not: a digit, a folder, a suffix.
    other = bool(rows) and all(re.search(r"[\d./]", cells[0]) for cells in rows)
    known = _HEADER_WORDS & (set(header) if single else set(header[0].split()))
    if named and ((single and other) or (known and (single or other))):
        raise DataError(
            f"{path}, line 1: these look like names of columns, and are not known: {', '.join(header)}",
            f"Call them {_IDS[0]} and {TEXT_FIELDS['reference'][3]}, or take the line out.",
        )


def _table(rows: list[tuple[int, list[str]]], path: Path) -> Iterator[Record]:
    """The rows under their header; a cell is a number where it is written as one, a speaker never is."""
    (_, header), *rest = rows
    names = [_column(cell) for cell in header]
    if len(set(names)) != len(names):
        raise DataError(f"{path}, line 1: a name of a column stands there twice")
    for number, cells in rest:
        if len(cells) != len(names):
            raise DataError(f"{path}, line {number}: {len(cells)} columns, the header has {len(names)}")
        yield number, {name: _cell(name, cell) for name, cell in zip(names, cells, strict=True)}


def _cell(name: str, cell: str) -> float | str | None:
    """What a cell of the column `name` says; None where nothing is known."""
    if name in _TEXTS or name in _IDS or name in _PATHS:
        return cell
    if not cell.strip():
        return None
    written = _NUMBER.fullmatch(cell.strip())
    if name == "speaker" or not written or not math.isfinite(float(cell)):
        return cell
    return float(cell) if written[2] or written[3] else int(cell)


def _parse_jsonl(lines: list[str], path: Path, side: Side) -> Parsed:
    records = [(number, _load(line, path, number)) for number, line in enumerate(lines, 1) if line.strip()]
    if len(records) == 1 and "segments" in records[0][1] and not _is_entry(records[0][1]):
        return _parse_recording(records[0][1], path)
    return _from_records("jsonl", records, path, side)


def _parse_json(lines: list[str], path: Path, side: Side) -> Parsed:
    """One document: a list of entries, or what a recognizer wrote of one recording. Else JSON lines by another name."""
    try:
        document = parse_json("\n".join(lines), parse_constant=_refuse_constant)
    except UnicodeEncodeError as error:
        raise DataError(f"{path}: not valid JSON ({error})") from error
    except ValueError:
        return _parse_jsonl(lines, path, side)
    if isinstance(document, list) and all(isinstance(item, dict) for item in document):
        records = list(enumerate(document, 1))
        return _from_records("json", records, path, side)
    if not isinstance(document, dict):
        raise DataError(f"{path}: neither a list of utterances nor the text of a recording")
    if _is_entry(document):
        return _from_records("jsonl", [(1, document)], path, side)
    return _parse_recording(document, path)


def _is_entry(document: Mapping[str, Any]) -> bool:
    """Whether it names its utterance, and so is no text of a recording without an id."""
    return any(name in document for name in _IDS + _PATHS[:1])


def _parse_recording(document: Mapping[str, Any], path: Path) -> Parsed:
    """Whisper's JSON and its kin: a text, segments with texts, words with times."""
    parts = document.get("segments", document.get("transcription"))
    segments = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    words = [word for part in [*segments, document] for word in _timed_words(part)]
    texts = [part["text"] for part in segments if isinstance(part.get("text"), str)]
    if isinstance(document.get("text"), str):
        texts = [document["text"]]
    if not texts:
        raise DataError(f"{path}: neither utterances nor the text of a recording", "Known keys: text, segments.")
    return Parsed("whisper", [Entry(path.stem, " ".join(texts), {}, tuple(words))])


def _timed_words(record: Mapping[str, Any]) -> Iterator[TimedWord]:
    listed = record.get("words", record.get("result"))
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            word, start, end = item.get("word", item.get("text")), item.get("start"), item.get("end")
            if isinstance(word, str) and is_number(start) and is_number(end):
                yield TimedWord(float(start), float(end), word.strip())


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value of a file is a number that a float can hold; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _from_records(form: Format, records: list[Record], path: Path, side: Side) -> Parsed:
    """Utterances from entries with keys. The text is in one field throughout: no other stands in where it is empty."""
    name = next((name for name in TEXT_FIELDS[side] if any(name in record for _, record in records)), "")
    return Parsed(form, _utterances(records, name, path, side, numbered=form == "csv"), name)


def _utterances(records: list[Record], name: str, path: Path, side: Side, numbered: bool) -> Iterator[Entry]:
    base = path.resolve().parent
    for (number, record), identity in zip(records, _identities(records, path, numbered), strict=True):
        text = record.get(name)
        if text is not None and not isinstance(text, str):
            raise DataError(f"{path}, line {number}: the {name} of {identity} is no text but {json.dumps(text)[:40]}")
        if text is None and (side == "reference" or not name):
            raise DataError(f"{path}, line {number}: no text of {identity} ({name or ' or '.join(TEXT_FIELDS[side])})")
        fields = {key: value for key, value in record.items() if key not in _NOT_FIELDS}
        if isinstance(record.get("audio_filepath"), str):
            fields["audio_filepath"] = str(base / record["audio_filepath"])
        yield Entry(identity, text, fields, tuple(_timed_words(record)))


def _identities(records: list[Record], path: Path, numbered: bool) -> Iterator[str]:
    """Ids, or the names of the recordings without their folders; with them where two names would be alike."""
    paths = [_path_of(record) for _, record in records]
    stems = [Path(each).stem if each is not None else "" for each in paths]
    alike = len({*zip(stems, paths, strict=True)}) != len(set(stems))
    known = any(name in record for name in _IDS for _, record in records) or any(paths)
    for (number, record), stem, place in zip(records, stems, paths, strict=True):
        identity = next((record[name] for name in _IDS if record.get(name) not in (None, "")), None)
        if identity is None and place is not None:
            identity = str(Path(place).with_suffix("")) if alike else stem
        if identity is None and numbered and not known:
            identity = number
        if isinstance(identity, bool) or not isinstance(identity, str | int | float):
            raise DataError(f"{path}, line {number}: neither id nor audio_filepath")
        yield str(identity).strip()


def _path_of(record: Mapping[str, Any]) -> str | None:
    value = next((record[name] for name in _PATHS if record.get(name)), None)
    value = value.get("path") if isinstance(value, dict) else value
    return value.strip() if isinstance(value, str) and Path(value.strip()).stem else None


def _parse_ctm(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    words: dict[str, list[TimedWord]] = {}
    channels: dict[str, str] = {}
    for number, line in _content(lines):
        cells = line.split()
        try:
            identity, channel, start, length, word = cells[0], cells[1], float(cells[2]), float(cells[3]), cells[4]
        except (IndexError, ValueError) as error:
            raise DataError(f"{path}, line {number}: not `id channel start duration word`") from error
        if not (math.isfinite(start) and math.isfinite(length)):
            raise DataError(f"{path}, line {number}: {cells[2]} and {cells[3]} are no times")
        if word.startswith("<ALT"):
            raise DataError(f"{path}, line {number}: alternatives are not supported", "Keep one of them.")
        if channels.setdefault(identity, channel) != channel:
            raise DataError(f"{path}, line {number}: {identity} has several channels", "Give every channel its own id.")
        words.setdefault(identity, []).append(TimedWord(start, start + length, word))
    for identity, timed in words.items():
        timed.sort(key=lambda word: word.start)
        yield Entry(identity, " ".join(word.word for word in timed), {}, tuple(timed))


def _parse_stm(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    """The segments of a recording joined in the order of time: CTM and STM name recordings, not utterances."""
    segments: dict[str, list[tuple[float, str]]] = {}
    speakers: dict[str, set[tuple[str, str]]] = {}
    for number, line in _content(lines):
        cells = line.split(maxsplit=5)
        try:
            identity, channel, speaker, start = cells[0], cells[1], cells[2], float(cells[3])
            float(cells[4])
        except (IndexError, ValueError) as error:
            raise DataError(f"{path}, line {number}: not `id channel speaker start end words`") from error
        text = re.sub(r"^<[^<>]*>\s*", "", cells[5]) if len(cells) > 5 else ""
        if text.strip().upper() == "IGNORE_TIME_SEGMENT_IN_SCORING":
            raise DataError(
                f"{path}, line {number}: a stretch to be left out of scoring, which needs times on both sides",
                "Take it out of both files.",
            )
        segments.setdefault(identity, []).append((start, "" if speaker == "inter_segment_gap" else text))
        speakers.setdefault(identity, set()).add((channel, speaker))
        if len({one for one, _ in speakers[identity]}) > 1:
            raise DataError(f"{path}, line {number}: {identity} has several channels", "Give every channel its own id.")
    for identity, timed in segments.items():
        names = {name for _, name in speakers[identity]} - {"inter_segment_gap"}
        text = " ".join(text for _, text in sorted(timed, key=lambda item: item[0]) if text)
        yield Entry(identity, text, {"speaker": names.pop()} if len(names) == 1 else {})


def _parse_subtitles(lines: list[str], path: Path, side: Side) -> Iterator[Entry]:
    texts = list(_cue_lines(lines))
    if not texts and any(line.strip() and not line.startswith("WEBVTT") for line in lines):
        raise DataError(f"{path}: no line has times with -->", "Is it a file of subtitles?")
    yield Entry(path.stem, " ".join(texts), {})


def _cue_lines(lines: list[str]) -> Iterator[str]:
    """The text of the cues: what stands between a line of times and the next empty line, or the next cue's number."""
    within = False
    for line, following in pairwise([*map(str.strip, lines), ""]):
        times = SUBTITLE_TIME.match(line)
        if times:
            within = not times[3]
            if times[3]:  # as Whisper prints it: [00:00.000 --> 00:02.000] words
                yield times[4].strip()
        elif within and line and not (line.isdecimal() and SUBTITLE_TIME.match(following)):
            yield html.unescape(_MARKUP.sub("", line)).strip()
        else:
            within = within and bool(line)


def _load(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        record = parse_json(line, parse_constant=_refuse_constant)
    except ValueError as error:
        raise DataError(f"{path}, line {number}: not valid JSON ({error})") from error
    if not isinstance(record, dict):
        raise DataError(f"{path}, line {number}: not a JSON object")
    return record


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


PARSERS: dict[Format, Callable[[list[str], Path, Side], Parsed | Iterable[Entry]]] = {
    "trn": _parse_trn,
    "kaldi": _parse_kaldi,
    "plain": _parse_plain,
    "ctm": _parse_ctm,
    "stm": _parse_stm,
    "srt": _parse_subtitles,
    "vtt": _parse_subtitles,
    "csv": _parse_csv,
    "tsv": _parse_tsv,
    "jsonl": _parse_jsonl,
    "json": _parse_json,
}
"""Utterances alone where all of the format's files are alike, else with what was found out on the way."""
