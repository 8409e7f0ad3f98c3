"""A person's own recordings: audio with a text file beside each, or one table of path and text.

take1.wav  take1.txt            pairs, at any depth
transcripts.tsv                 path<TAB>text, no header, paths relative to the table
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from asr.audio import is_audio
from asr.corpus.manifest import Utterance
from asr.corpus.prepare import Preparation, Track, numbered_lines, prepare
from asr.errors import DataError, UsageError
from asr.io import walk
from asr.text.normalize import get_normalizer

TABLE = "transcripts.tsv"
# Names of texts that lie beside recordings and belong to none of them.
ABOUT = frozenset({"readme", "licence", "license", "copying", "notice", "transcripts"})


def prepare_folder(
    root: Path,
    out_dir: Path,
    *,
    name: str = "",
    normalizer: str = "librispeech",
    speaker: str | None = None,
    speaker_from: str | None = None,
    track: Track | None = None,
) -> Preparation:
    """Write `<out_dir>/<name>.jsonl` (the folder's own name by default) of all recordings under `root` with a text.

    `root` is a folder (its `transcripts.tsv` is used when there is one, pairs otherwise) or the table itself.
    `speaker` names the one voice of the folder; `speaker_from` is a regular expression whose one group finds the
    speaker in the relative path. Raises `UsageError` for a bad expression, `DataError` when nothing is found, or in
    one of the paths no speaker.
    """
    if not root.exists():
        raise DataError(f"{root} does not exist")
    find_speaker = _speaker_finder(speaker, speaker_from)
    normalize = get_normalizer(normalizer)
    problems: list[str] = []
    table = root if root.is_file() else root / TABLE
    folder = table.parent
    listed = _from_table(table, problems) if table.is_file() else _from_pairs(folder, problems)
    drafts = []
    for path, text in listed:
        if not text.strip():
            problems.append(f"{folder / path}: its text is empty")
            continue
        drafts.append(Utterance(_identity(path), folder / path, 0.0, text, find_speaker(path.as_posix())))
    if not drafts:
        raise DataError(
            f"no recordings with texts in {root}",
            f"Put a .txt beside each recording, or a {TABLE} of path, tab and text into the folder.",
        )
    return prepare(name or folder.resolve().name, drafts, out_dir, normalize, problems=problems, track=track)


def _from_table(table: Path, problems: list[str]) -> Iterator[tuple[Path, str]]:
    for number, line in numbered_lines(table):
        path, tab, text = line.partition("\t")
        if "\t" in text.rstrip():
            columns = line.rstrip().count("\t") + 1
            problems.append(f"{table}, line {number}: {columns} columns instead of two, path and text")
        elif tab and path:
            yield Path(path), text
        else:
            problems.append(f"{table}, line {number}: no tab between path and text")


def _from_pairs(folder: Path, problems: list[str]) -> Iterator[tuple[Path, str]]:
    files = sorted(path for path in walk(folder) if not path.is_dir())
    recordings = [path for path in files if is_audio(path)]
    for audio in recordings:
        transcript = audio.with_suffix(".txt")
        try:
            text = transcript.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            problems.append(f"{audio}: no {transcript.name} beside it")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{transcript}: {error}")
        else:
            yield audio.relative_to(folder), text
    problems += _texts_alone(files, recordings)


def _texts_alone(files: Sequence[Path], recordings: Sequence[Path]) -> Iterator[str]:
    """A problem for each text without a recording, in folders that hold recordings: elsewhere it may be any text."""
    places = {audio.parent for audio in recordings}
    names = {audio.with_suffix("") for audio in recordings}
    for path in files:
        is_text = path.suffix.lower() == ".txt" and not path.name.startswith(".") and path.stem.lower() not in ABOUT
        if is_text and path.parent in places and path.with_suffix("") not in names:
            yield f"{path}: no recording of this name beside it"


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

    def find(path: str) -> str:
        match = expression.search(path)
        if match is None:
            raise DataError(f"--speaker-from {pattern!r} finds no speaker in {path!r}")
        return match[1]

    return find
