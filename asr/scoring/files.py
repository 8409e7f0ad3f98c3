"""From files to a report or a board: what `asr score` does, as two functions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.errors import DataError, UsageError
from asr.scoring.alignment import Aligner
from asr.scoring.pairing import Missing, Pairing, Tags, pair
from asr.scoring.readers import FORMATS, Format, Transcripts, read_transcripts
from asr.scoring.report import Board, Report, baseline_inputs, build_board, build_report
from asr.scoring.result import Score, compose, normalize_word


@dataclass(frozen=True)
class ScoreOptions:
    """How files are read, paired and scored; the same for all systems. Raises `UsageError` for unknown names."""

    missing: Missing = "error"
    normalizer: str | Sequence[str] = "none"
    aligner: Aligner = "levenshtein"
    case_sensitive: bool = False
    tags: Tags = "skip"
    speaker_from: str | None = None
    reference_format: Format = "auto"
    hypothesis_format: Format = "auto"
    encoding: str | None = None

    def __post_init__(self) -> None:
        for form in (self.reference_format, self.hypothesis_format):
            if form not in FORMATS:
                raise UsageError(f"unknown format {form!r}", f"Choose one of {', '.join(FORMATS)}.")
        compose(self.normalizer)


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
    """Read, pair, score and report, with `options` as in `ScoreOptions`.

    `against` is another system's hypotheses (in `hypothesis_format` too); `names` are those of both systems. Raises
    `UsageError` for an unknown option, `DataError` for files that cannot be read or do not pair.
    """
    how = ScoreOptions(**options)
    known = None if vocabulary is None else read_vocabulary(vocabulary, how.encoding, how.normalizer)
    paths = [hypothesis, *([against] if against is not None else [])]
    named = name_systems(paths, names)
    system, *others = _score_systems(reference, paths, how)
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
    """Read, pair and score any number of systems, with `options` as in `ScoreOptions`; errors as `report_on_files`."""
    how = ScoreOptions(**options)
    named = name_systems(hypotheses, names)
    systems = _score_systems(reference, hypotheses, how)
    return build_board(
        [
            build_report(score, name=name, by=by, inputs=inputs)
            for name, (score, inputs) in zip(named, systems, strict=True)
        ]
    )


def _score_systems(
    reference: Path, hypotheses: Sequence[Path], how: ScoreOptions
) -> list[tuple[Score, dict[str, Any]]]:
    """The score of each system, and what its report says of the files."""
    references = read_transcripts(reference, "reference", how.reference_format, how.encoding)
    systems: list[tuple[Score, dict[str, Any]]] = []
    ids: Sequence[str] = ()
    for path in hypotheses:
        transcripts = read_transcripts(path, "hypothesis", how.hypothesis_format, how.encoding)
        pairing = pair(references, transcripts, how.missing, how.speaker_from, how.tags)
        if systems and pairing.ids != ids:
            raise DataError(
                f"{hypotheses[0]} and {path} lack hypotheses for different utterances, which cannot be left out fairly",
                "Use --missing delete, or mend the files.",
            )
        ids = pairing.ids
        score = pairing.score(how.normalizer, how.aligner, how.case_sensitive)
        systems.append((score, _inputs(references, transcripts, pairing)))
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


def _inputs(references: Transcripts, hypotheses: Transcripts, pairing: Pairing) -> dict[str, Any]:
    return {
        "reference": _shown(references.path),
        "reference_format": references.format,
        "reference_field": references.text_field,
        "hypothesis": _shown(hypotheses.path),
        "hypothesis_format": hypotheses.format,
        "hypothesis_field": hypotheses.text_field,
        "missing_policy": pairing.policy,
        "missing": list(pairing.missing),
        "extra": list(pairing.extra),
        "doubled": list(pairing.doubled),
        "reference_doubled": list(pairing.reference_doubled),
        "tags": dict(pairing.tags),
    }
