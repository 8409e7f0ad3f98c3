"""A person's own recordings: audio with a text file beside each, or one table of path and text.

take1.wav  take1.txt            pairs, at any depth
transcripts.tsv                 path<TAB>text, no header, paths relative to the table
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from asr.corpus.manifest import Utterance
from asr.corpus.preparation import Preparation, Track, is_audio, prepare
from asr.errors import DataError, UsageError
from asr.text.normalise import get_normaliser

TABLE = "transcripts.tsv"


def prepare_folder(
    root: Path,
    out_dir: Path,
    *,
    name: str = "",
    normaliser: str = "librispeech",
    speaker: str | None = None,
    speaker_from: str | None = None,
    track: Track | None = None,
) -> Preparation:
    """Write `<out_dir>/<name>.jsonl` (the folder's own name by default) of all recordings under `root` with a text.

    `root` is a folder (its `transcripts.tsv` is used when there is one, pairs otherwise) or the table itself.
    `speaker` names the one voice of the folder; `speaker_from` is a regular expression whose one group finds the
    speaker in the relative path. Raises `UsageError` for a bad expression, `DataError` when nothing is found.
    """
    if not root.exists():
        raise DataError(f"{root} does not exist")
    find_speaker = _speaker_finder(speaker, speaker_from)
    normalise = get_normaliser(normaliser)
    problems: list[str] = []
    table = root if root.is_file() else root / TABLE
    folder = table.parent
    listed = _from_table(table, problems) if table.is_file() else _from_pairs(folder, problems)
    drafts = [
        Utterance(_identity(path), folder / path, 0.0, text, find_speaker(path.as_posix())) for path, text in listed
    ]
    if not drafts:
        raise DataError(
            f"no recordings with texts in {root}",
            f"Put a .txt beside each recording, or a {TABLE} of path, tab and text into the folder.",
        )
    return prepare(name or folder.resolve().name, drafts, out_dir, normalise, problems=problems, track=track)


def _from_table(table: Path, problems: list[str]) -> Iterator[tuple[Path, str]]:
    try:
        lines = table.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{table} cannot be read: {error}", "It must be UTF-8 text.") from error
    for number, line in enumerate(lines, 1):
        path, tab, text = line.partition("\t")
        if tab and path:
            yield Path(path), text
        elif line.strip():
            problems.append(f"{table}, line {number}: no tab between path and text")


def _from_pairs(folder: Path, problems: list[str]) -> Iterator[tuple[Path, str]]:
    for audio in sorted(path for path in folder.rglob("*") if is_audio(path)):
        transcript = audio.with_suffix(".txt")
        try:
            text = transcript.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            problems.append(f"{audio}: no {transcript.name} beside it")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{transcript}: {error}")
        else:
            yield audio.relative_to(folder), text


def _identity(path: Path) -> str:
    """`a b/take1.wav` → `a_b-take1`: one word without parentheses, as trn files need, unique within the folder."""
    return re.sub(r"[\s()]", "_", "-".join(part for part in path.with_suffix("").parts if part not in ("/", "..")))


def _speaker_finder(speaker: str | None, pattern: str | None) -> Callable[[str], str | None]:
    if pattern is None:
        return lambda path: speaker
    if speaker is not None:
        raise UsageError("--speaker and --speaker-from exclude each other")
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--speaker-from {pattern!r} is not a regular expression: {error}") from None
    if expression.groups != 1:
        raise UsageError(
            f"--speaker-from {pattern!r} must have one group, not {expression.groups}",
            "For speaker/take.wav that is '^([^/]+)/'.",
        )

    def find(path: str) -> str | None:
        match = expression.search(path)
        return match[1] if match else None

    return find
