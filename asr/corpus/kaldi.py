"""Kaldi data directories, both ways: wav.scp, text, utt2spk and, for stretches of longer recordings, segments.

    wav.scp    <recording> <path>                 text      <utterance> <words>
    segments   <utterance> <recording> <start> <end>        utt2spk   <utterance> <speaker>

Format: https://kaldi-asr.org/doc/data_prep.html. A wav.scp entry that is a command (`sox … |`) is refused: reading a
data directory must not run what is written in it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from asr.corpus.manifest import Utterance
from asr.corpus.prepare import Preparation, Track, numbered_lines, prepare
from asr.errors import DataError
from asr.io import write_text
from asr.text.normalize import get_normalizer


def prepare_kaldi(
    root: Path, out_dir: Path, *, name: str = "", normalizer: str = "none", track: Track | None = None
) -> Preparation:
    """Write `<out_dir>/<name>.jsonl` (the directory's own name by default) of a Kaldi data directory.

    Relative paths of wav.scp are looked up in the directory, then where the command runs, as Kaldi does. Raises
    `DataError` naming file and line for a malformed table.
    """
    problems: list[str] = []
    drafts = list(_read(root, problems))
    return prepare(
        name or root.resolve().name, drafts, out_dir, get_normalizer(normalizer), problems=problems, track=track
    )


def export_kaldi(utterances: Sequence[Utterance], folder: Path) -> None:
    """Write wav.scp, segments, text, utt2spk and spk2utt into `folder`.

    Tables are sorted bytewise as Kaldi wants; an utterance without a speaker is its own speaker, and its text is in
    one line. Raises `DataError` for ids with white space and paths of several lines, which the tables cannot hold.
    """
    for utterance in utterances:
        if len(str(utterance.audio).splitlines()) > 1:
            raise DataError(f"{utterance.id!r}: the path {str(utterance.audio)!r} is not one line, as Kaldi needs")
        for word in (utterance.id, utterance.speaker or utterance.id):
            if word.split() != [word]:
                raise DataError(f"{utterance.id!r}: the id or speaker {word!r} is not one word, as Kaldi needs")
    speakers = {utterance.id: utterance.speaker or utterance.id for utterance in utterances}
    members: dict[str, list[str]] = defaultdict(list)
    for identity in sorted(speakers, key=str.encode):
        members[speakers[identity]].append(identity)
    names = _recording_names(utterances)
    segments = {
        utterance.id: f"{names[utterance.audio]} {utterance.offset:.6f} {utterance.offset + utterance.duration:.6f}"
        for utterance in utterances
    }
    _write_table(folder / "wav.scp", {names[utterance.audio]: str(utterance.audio) for utterance in utterances})
    _write_table(folder / "segments", segments)
    _write_table(folder / "text", {utterance.id: " ".join(utterance.text.splitlines()) for utterance in utterances})
    _write_table(folder / "utt2spk", speakers)
    _write_table(folder / "spk2utt", {speaker: " ".join(ids) for speaker, ids in members.items()})


def _read(root: Path, problems: list[str]) -> Iterator[Utterance]:
    recordings = read_table(root / "wav.scp")
    texts = read_table(root / "text")
    speakers = read_table(root / "utt2spk", optional=True)
    segments = read_table(root / "segments", optional=True)
    stretches = _stretches(root, segments) if segments else ((name, name, 0.0, 0.0) for name in recordings)
    for identity, recording, start, duration in stretches:
        source = recordings.get(recording)
        if identity not in texts:
            problems.append(f"{identity}: not in {root / 'text'}")
        elif source is None:
            problems.append(f"{identity}: its recording {recording} is not in {root / 'wav.scp'}")
        elif source.endswith("|"):
            problems.append(f"{identity}: {source!r} is a command, and commands are not run; write the audio to a file")
        else:
            yield Utterance(
                identity, _locate(root, source), duration, texts[identity], speakers.get(identity), offset=start
            )
    listing = root / ("segments" if segments else "wav.scp")
    problems += [f"{identity}: not in {listing}" for identity in texts if identity not in (segments or recordings)]


def _stretches(root: Path, segments: Mapping[str, str]) -> Iterator[tuple[str, str, float, float]]:
    """(utterance, recording, start, duration) of each segment, in seconds."""
    for identity, row in segments.items():
        try:
            recording, start, end = row.split()
            begin = float(start)
            length = 0.0 if float(end) == -1 else float(end) - begin  # -1: to the end, as a duration of 0 means here
        except ValueError:
            raise DataError(f"{root / 'segments'}: {identity}: not a recording, a start and an end: {row!r}") from None
        if not (begin >= 0 and (0 < length < math.inf or float(end) == -1)):
            raise DataError(f"{root / 'segments'}: {identity}: ends before it starts, or never: {row!r}")
        yield identity, recording, begin, length


def _locate(root: Path, source: str) -> Path:
    within = root / source
    return (within if within.exists() else Path(source)).absolute()


def read_table(path: Path, optional: bool = False) -> dict[str, str]:
    """The rest of each line by its first word. Raises `DataError` naming a line whose word was there before."""
    if optional and not path.exists():
        return {}
    table: dict[str, str] = {}
    for number, line in numbered_lines(path):
        key, *value = line.split(maxsplit=1)
        if key in table:
            raise DataError(f"{path}, line {number}: {key} appears twice")
        table[key] = value[0].strip() if value else ""
    return table


def _write_table(path: Path, table: Mapping[str, str]) -> None:
    rows = sorted(table.items(), key=lambda row: row[0].encode())
    write_text(path, "".join(f"{key} {value}".rstrip() + "\n" for key, value in rows))


def _recording_names(utterances: Iterable[Utterance]) -> dict[Path, str]:
    """One word for each recording: its stem, with a number where two share it."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for audio in dict.fromkeys(utterance.audio for utterance in utterances):
        stem = name = "_".join(audio.stem.split()) or "recording"
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name)
        names[audio] = name
    return names
