"""Manifests of everyday speech and, of the same corpora, of what may be trained on beside it.

    prepare.py CORPORA MANIFESTS

Writes `everyday-tune.jsonl` and `everyday-report.jsonl` (ids in `splits/`, field `source`), for every corpus a
`CORPUS-rest.jsonl` without their speakers and sentences, and `everyday-sentences.txt`, what language models must not
have read. A corpus that is not there is left out and named.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from sources import SOURCES

from asr.cli.main import plain_errors
from asr.corpus.manifest import Utterance, read_manifest, write_manifest
from asr.corpus.prepare import prepare
from asr.errors import DataError
from asr.io import write_whole
from asr.text.normalize import none

SPLITS = Path(__file__).parent / "splits"
RUN = 8
"""No sentence of training shares so many words in a row with an evaluated one."""
QUIETEST_DB = -50.0
WORDS_A_SECOND = (0.5, 4.8)
"""Softer, slower or faster recordings do not hold what their text says."""


def main(corpora: Path, manifests: Path) -> None:
    """Write the manifests and say what is in them."""
    found: dict[str, list[Utterance]] = {}
    for folder in SOURCES:
        try:
            found[folder] = _prepared(corpora, folder, manifests)
        except DataError as error:
            print(f"everyday speech without {folder}: {error}")
    if not found:
        raise DataError(f"{corpora} holds none of {', '.join(SOURCES)}")
    utterances = {one.id: one for corpus in found.values() for one in corpus}
    evaluated: list[Utterance] = []
    for side in ("tune", "report"):
        ids = (SPLITS / f"everyday-{side}.ids.txt").read_text(encoding="utf-8").split()
        chosen = [utterances[one] for one in ids if one in utterances]
        write_manifest(manifests / f"everyday-{side}.jsonl", chosen)
        print(f"everyday-{side}: {len(chosen)} of {len(ids)} utterances, {_hours(chosen)}")
        evaluated += chosen
    with write_whole(manifests / "everyday-sentences.txt") as file:
        file.writelines(f"{text}\n" for text in sorted({one.text for one in evaluated}))
    for folder, corpus in found.items():
        rest = [one for one in without(corpus, evaluated) if is_plausible(one)]
        if rest:
            write_manifest(manifests / f"{folder}-rest.jsonl", rest)
            print(f"{folder}-rest: {len(rest)} of {len(corpus)} utterances, {_hours(rest)}")


def without(corpus: Iterable[Utterance], evaluated: Sequence[Utterance]) -> list[Utterance]:
    """The utterances that share neither speaker nor sentence, nor eight words in a row, with an evaluated one."""
    speakers = {one.speaker for one in evaluated} - {None}
    sentences = {_words(one.text) for one in evaluated}
    runs = {run for words in sentences for run in _runs(words)}
    return [
        one
        for one in corpus
        if one.speaker not in speakers
        and (words := _words(one.text)) not in sentences
        and runs.isdisjoint(_runs(words))
    ]


def is_plausible(utterance: Utterance) -> bool:
    """Whether the recording may hold what the text says."""
    pace = len(utterance.text.split()) / utterance.duration
    return utterance.extra["level_db"] > QUIETEST_DB and WORDS_A_SECOND[0] < pace < WORDS_A_SECOND[1]


def _prepared(corpora: Path, folder: str, manifests: Path) -> list[Utterance]:
    if not (corpora / folder).is_dir():
        raise DataError(f"{corpora / folder} is missing", "README.md says where it comes from.")
    drafts = [draft for draft in SOURCES[folder](corpora / folder) if draft.text]
    done = prepare(f"everyday-all-{folder}", drafts, manifests, none)
    for problem in done.problems:
        print(problem, file=sys.stderr)
    return read_manifest(done.manifest)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace("'", "").split())


def _runs(words: Sequence[str]) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + RUN]) for start in range(len(words) - RUN + 1)}


def _hours(utterances: Sequence[Utterance]) -> str:
    return f"{sum(one.duration for one in utterances) / 3600:.2f} h"


if __name__ == "__main__":
    with plain_errors():
        main(Path(sys.argv[1]), Path(sys.argv[2]))
