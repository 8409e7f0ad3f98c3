"""From files to a report or a board: what `asr score` does, as two functions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr.errors import DataError, UsageError
from asr.scoring.alignment import Aligner
from asr.scoring.formats import Format, Side
from asr.scoring.pairing import Missing, Tags, pair
from asr.scoring.readers import Transcripts, read_transcripts
from asr.scoring.report import Board, Report, baseline_inputs, build_board, build_report
from asr.scoring.result import Score, compose, normalize_word


def report_on_files(
    reference: Path,
    hypothesis: Path,
    *,
    against: Path | None = None,
    names: Sequence[str] = (),
    by: Sequence[str] = (),
    vocabulary: Path | None = None,
    **options: Any,
) -> Report:
    """Read, pair, score and report, with `options` as of `_score_systems`.

    `against` is another system's hypotheses (in `hypothesis_format` too); `names` are those of both systems. Raises
    `UsageError` for an unknown option, `DataError` for files that cannot be read or do not pair.
    """
    known = None
    if vocabulary is not None:
        known = read_vocabulary(vocabulary, options.get("encoding"), options.get("normalizer", "none"))
    paths = [hypothesis, *([against] if against is not None else [])]
    named = name_systems(paths, names)
    system, *others = _score_systems(reference, paths, **options)
    score, inputs = system
    for _, other in others:
        inputs |= baseline_inputs(other)
    return build_report(
        score,
        name=named[0],
        by=by,
        against=others[0][0] if others else None,
        baseline=named[-1],
        vocabulary=known,
        inputs=inputs,
    )


def board_of_files(
    reference: Path, hypotheses: Sequence[Path], *, names: Sequence[str] = (), by: Sequence[str] = (), **options: Any
) -> Board:
    """Read, pair and score any number of systems; `options` and errors are those of `report_on_files`."""
    named = name_systems(hypotheses, names)
    systems = _score_systems(reference, hypotheses, **options)
    return build_board(
        [
            build_report(score, name=name, by=by, inputs=inputs)
            for name, (score, inputs) in zip(named, systems, strict=True)
        ]
    )


def _score_systems(
    reference: Path,
    hypotheses: Sequence[Path],
    *,
    missing: Missing = "error",
    normalizer: str | Sequence[str] = "none",
    aligner: Aligner = "levenshtein",
    case_sensitive: bool = False,
    tags: Tags = "skip",
    speaker_from: str | None = None,
    reference_format: Format = "auto",
    hypothesis_format: Format = "auto",
    encoding: str | None = None,
) -> list[tuple[Score, dict[str, Any]]]:
    """The score of each system, and what its report says of the files. All are read, paired and scored alike."""
    references = read_transcripts(reference, "reference", reference_format, encoding)
    systems: list[tuple[Score, dict[str, Any]]] = []
    ids: Sequence[str] = ()
    for path in hypotheses:
        transcripts = read_transcripts(path, "hypothesis", hypothesis_format, encoding)
        pairing = pair(references, transcripts, missing, speaker_from, tags)
        if systems and pairing.ids != ids:
            raise DataError(
                f"{hypotheses[0]} and {path} lack hypotheses for different utterances, which cannot be left out fairly",
                "Use --missing delete, or mend the files.",
            )
        ids = pairing.ids
        score = pairing.score(normalizer=normalizer, aligner=aligner, case_sensitive=case_sensitive)
        inputs = _facts("reference", references) | _facts("hypothesis", transcripts) | pairing.inputs
        systems.append((score, inputs))
    return systems


def read_vocabulary(path: Path, encoding: str | None = None, normalizer: str | Sequence[str] = "none") -> set[str]:
    """Every word that occurs in a text; of JSON lines, in their texts. Words are normalized one by one."""
    normalize = compose(normalizer)
    form: Format = "jsonl" if path.suffix.lower() in (".jsonl", ".json") else "plain"
    texts = read_transcripts(path, "reference", form, encoding).texts
    written = {word for text in texts.values() for word in text.split()}
    words = {word for each in written for word in normalize_word(normalize, each).split()}
    if not words:
        raise DataError(f"{path} holds no word")
    return words


def name_systems(paths: Sequence[Path], names: Sequence[str] = ()) -> list[str]:
    """Short names: those given, or the files', with their folders where these are alike, or numbered."""
    if names:
        if len(names) != len(paths):
            raise UsageError(f"{len(names)} names for {len(paths)} systems", "Give --name once for each, in order.")
        if len(set(names)) != len(names):
            raise UsageError("two systems have the same name", "Give each --name once.")
        return list(names)
    found = [_shown(path.stem) for path in paths]
    if len(set(found)) != len(found):
        found = [_shown(f"{path.parent.name}/{path.name}") for path in paths]
    if len(set(found)) != len(found):
        found = [f"{name} ({number})" for number, name in enumerate(found, 1)]
    return found


def _shown(path: Path | str) -> str:
    """A file name as text that can be written, whatever bytes it is made of."""
    return os.fsencode(path).decode("utf-8", "replace")


def _facts(side: Side, transcripts: Transcripts) -> dict[str, Any]:
    """What a report says of a file."""
    form, field = transcripts.format, transcripts.text_field
    return {side: _shown(transcripts.path), f"{side}_format": form, f"{side}_field": field}
