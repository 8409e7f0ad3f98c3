"""Pairing references with hypotheses by id: what is missing, doubled or extra is never passed over in silence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from asr.errors import DataError, UsageError
from asr.scoring.alignment import Aligner
from asr.scoring.readers import Transcripts
from asr.scoring.result import Score, score

Missing = Literal["error", "delete", "skip"]
MISSING: tuple[Missing, ...] = ("error", "delete", "skip")
_LISTED = 5


@dataclass(frozen=True)
class Pairing:
    """References with their hypotheses, in the order of the references, and the ids that did not pair.

    `missing` have no hypothesis, `extra` no reference; of `doubled` ids the first text was taken.
    """

    ids: Sequence[str]
    references: Sequence[str]
    hypotheses: Sequence[str]
    speakers: Sequence[str | None]
    fields: Sequence[Mapping[str, Any]]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    doubled: tuple[str, ...]
    policy: Missing

    def score(self, normalizer: str = "none", aligner: Aligner = "levenshtein") -> Score:
        """Score the pairs."""
        return score(
            self.references,
            self.hypotheses,
            normalizer=normalizer,
            aligner=aligner,
            ids=self.ids,
            speakers=self.speakers,
            fields=self.fields,
        )


def pair(
    references: Transcripts, hypotheses: Transcripts, missing: Missing = "error", speaker_from: str | None = None
) -> Pairing:
    """Pair two files.

    `missing` says what becomes of a reference without a hypothesis: `error` refuses to score (so that no report
    flatters), `delete` counts every one of its words as deleted, `skip` leaves it out. Extra and doubled ids are
    refused under `error` and listed otherwise. `speaker_from` is a pattern whose first group finds the speaker in
    an id. Raises `DataError` listing the ids, `UsageError` for a bad pattern.
    """
    if missing not in MISSING:
        raise UsageError(f"unknown policy {missing!r} for missing hypotheses", f"Choose one of {', '.join(MISSING)}.")
    _check_lines(references, hypotheses)
    absent = tuple(identity for identity in references.texts if identity not in hypotheses.texts)
    extra = tuple(identity for identity in hypotheses.texts if identity not in references.texts)
    doubled = (*references.doubled, *hypotheses.doubled)
    if len(absent) == len(references.texts) and references.texts:
        raise DataError(
            f"{references.path} and {hypotheses.path} have no utterance in common",
            f"References are named like {_listing(absent, 1)}, hypotheses like {_listing(extra, 1) or '(none)'}.",
        )
    if missing == "error":
        _refuse_unpaired(references, hypotheses, absent, extra)
    ids = [identity for identity in references.texts if missing == "delete" or identity in hypotheses.texts]
    if not ids:
        raise DataError(f"{references.path} holds no utterance")
    fields = [references.fields.get(identity, {}) for identity in ids]
    return Pairing(
        ids=ids,
        references=[references.texts[identity] for identity in ids],
        hypotheses=[hypotheses.texts.get(identity, "") for identity in ids],
        speakers=_speakers(ids, fields, speaker_from),
        fields=fields,
        missing=absent,
        extra=extra,
        doubled=doubled,
        policy=missing,
    )


def _check_lines(references: Transcripts, hypotheses: Transcripts) -> None:
    """Plain text has no ids: both files must be plain and have the same number of lines."""
    if "plain" not in (references.format, hypotheses.format):
        return
    if references.format != hypotheses.format:
        raise DataError(
            f"{references.path} was read as {references.format}, {hypotheses.path} as {hypotheses.format}",
            "Plain text is paired by line and needs plain text on both sides; name the formats if this is a mistake.",
        )
    if len(references.texts) != len(hypotheses.texts):
        raise DataError(
            f"{references.path} has {len(references.texts)} lines, {hypotheses.path} has {len(hypotheses.texts)}",
            "Plain text is paired line by line; an empty hypothesis needs its empty line.",
        )


def _refuse_unpaired(
    references: Transcripts, hypotheses: Transcripts, absent: tuple[str, ...], extra: tuple[str, ...]
) -> None:
    problems = [
        f"{len(ids)} {what} ({_listing(ids)})"
        for ids, what in [
            (absent, f"without a hypothesis in {hypotheses.path}"),
            (extra, f"without a reference in {references.path}"),
            (references.doubled, f"more than once in {references.path}"),
            (hypotheses.doubled, f"more than once in {hypotheses.path}"),
        ]
        if ids
    ]
    if problems:
        raise DataError(
            "the utterances do not pair: " + "; ".join(problems),
            "Mend the files, or choose --missing delete (counts every missing word as an error) or --missing skip.",
        )


def _listing(ids: Sequence[str], limit: int = _LISTED) -> str:
    return ", ".join(ids[:limit]) + (", …" if len(ids) > limit > 1 else "")


def _speakers(ids: Sequence[str], fields: Sequence[Mapping[str, Any]], pattern: str | None) -> list[str | None]:
    if pattern is None:
        return [None if extra.get("speaker") is None else str(extra["speaker"]) for extra in fields]
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--speaker-from {pattern!r} is not a pattern: {error}") from error
    if compiled.groups < 1:
        raise UsageError(f"--speaker-from {pattern!r} has no group", r"For LibriSpeech ids: '^(\d+)-'.")
    matches = [compiled.search(identity) for identity in ids]
    for identity, match in zip(ids, matches, strict=True):
        if match is None:
            raise DataError(f"--speaker-from {pattern!r} finds no speaker in the id {identity!r}")
    return [match[1] for match in matches if match is not None]
