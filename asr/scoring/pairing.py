"""Pairing references with hypotheses by id: what is missing, doubled or extra is never passed over in silence."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from asr.errors import DataError, UsageError
from asr.scoring.alignment import TimedWord
from asr.scoring.readers import Transcripts
from asr.scoring.result import Score, score
from asr.text.normalize import find_tags

Missing = Literal["error", "delete", "skip"]
Tags = Literal["skip", "keep"]
_LISTED = 5
_BRACKET = re.compile(r"[\[<{(]")


@dataclass(frozen=True)
class Pairing:
    """References with their hypotheses, in the order of the references, and the words of the latter with their bounds.

    `inputs` says how they were paired: ids that are `missing` have no hypothesis, `extra` ones no reference; of those
    that are `doubled` among the hypotheses, and `reference_doubled`, the first text was taken; `tags` were left out
    because nobody speaks them.
    """

    ids: Sequence[str]
    references: Sequence[str]
    hypotheses: Sequence[str]
    speakers: Sequence[str | None]
    fields: Sequence[Mapping[str, Any]]
    times: Sequence[Sequence[TimedWord]]
    inputs: dict[str, Any]

    def score(self, **options: Any) -> Score:
        """Score the pairs, with `options` as in `asr.scoring.score`."""
        return score(
            self.references,
            self.hypotheses,
            ids=self.ids,
            speakers=self.speakers,
            fields=self.fields,
            times=self.times,
            **options,
        )


def pair(
    references: Transcripts,
    hypotheses: Transcripts,
    missing: Missing = "error",
    speaker_from: str | None = None,
    tags: Tags = "skip",
) -> Pairing:
    """Pair two files.

    `missing` says what becomes of a reference without a hypothesis: `error` refuses to score (so that no report
    flatters), `delete` counts every one of its words as deleted, `skip` leaves it out. Extra and doubled ids are
    refused under `error` and listed otherwise. `speaker_from` is a pattern whose first group finds the speaker in
    an id. `tags` says what becomes of `[noise]`, `<unk>` and the like: `skip` leaves them out and counts them, `keep`
    takes them as words. Raises `DataError` listing the ids, `UsageError` for a bad pattern.
    """
    _refuse_one_field(references, hypotheses)
    references, hypotheses = _as_recordings(references, hypotheses)
    references, hypotheses = _with_blanks(references, hypotheses), _with_blanks(hypotheses, references)
    _check_lines(references, hypotheses)
    found: Counter[str] = Counter()
    references, hypotheses = (_without_tags(each, tags, found) for each in (references, hypotheses))
    absent = tuple(identity for identity in references.texts if identity not in hypotheses.texts)
    extra = tuple(identity for identity in hypotheses.texts if identity not in references.texts)
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
        times=[hypotheses.times.get(identity, ()) for identity in ids],
        inputs={
            "missing_policy": missing,
            "missing": list(absent),
            "extra": list(extra),
            "doubled": list(hypotheses.doubled),
            "reference_doubled": list(references.doubled),
            "tags": dict(sorted(found.items(), key=lambda item: (-item[1], item[0]))),
        },
    )


def _refuse_one_field(references: Transcripts, hypotheses: Transcripts) -> None:
    """The same texts on both sides would be a WER of zero."""
    field = references.text_field
    if field and field == hypotheses.text_field and references.path.resolve() == hypotheses.path.resolve():
        raise DataError(
            f"both sides would be the field {field!r} of {references.path}",
            "Hypotheses may be called pred_text, hypothesis, hyp or prediction.",
        )


def _as_recordings(references: Transcripts, hypotheses: Transcripts) -> tuple[Transcripts, Transcripts]:
    """The text of a recording without an id pairs with any other single text; lines of plain text are joined to one."""
    if not (references.is_recording or hypotheses.is_recording):
        return references, hypotheses
    one, other = (_joined(each) if each.format == "plain" else each for each in (references, hypotheses))
    if len(one.texts) == len(other.texts) == 1:
        return one, _renamed(other, next(iter(one.texts)))
    return one, other


def _with_blanks(transcripts: Transcripts, others: Transcripts) -> Transcripts:
    """A CTM or STM writes the id `a b` as `a_b`, since a blank would end it; here it gets its blank back."""
    if transcripts.format not in ("ctm", "stm"):
        return transcripts
    names = {"_".join(name.split()): name for name in others.texts if name not in transcripts.texts}
    names = {written: name for written, name in names.items() if written not in others.texts}

    def rename(values: Mapping[str, Any]) -> dict[str, Any]:
        return {names.get(name, name): value for name, value in values.items()}

    return replace(
        transcripts,
        texts=rename(transcripts.texts),
        times=rename(transcripts.times),
        fields=rename(transcripts.fields),
        doubled=tuple(names.get(name, name) for name in transcripts.doubled),
    )


def _joined(lines: Transcripts) -> Transcripts:
    return replace(lines, format="segments", texts={lines.path.stem: " ".join(lines.texts.values())})


def _renamed(one: Transcripts, name: str) -> Transcripts:
    (text,) = one.texts.values()
    return replace(one, texts={name: text}, times=dict.fromkeys([name], *one.times.values()) if one.times else {})


def _without_tags(transcripts: Transcripts, policy: Tags, found: Counter[str]) -> Transcripts:
    """The texts without what nobody speaks, which is added to `found`. Raises `DataError` for alternatives."""
    texts, times = dict(transcripts.texts), dict(transcripts.times)
    for identity, text in transcripts.texts.items():
        if not _BRACKET.search(text):
            continue
        text = " ".join(text.split())
        matches = list(find_tags(text))
        if any(match[0].startswith("{") and "/" in match[0] for match in matches):
            raise DataError(
                f"{transcripts.path}: {identity} has alternatives {{ a / b }}, which are not supported",
                "Keep one of them.",
            )
        if policy == "skip":
            found.update(" ".join(match[0].split()) for match in matches)
            for match in reversed(matches):
                text = f"{text[: match.start()]} {text[match.end() :]}"
            texts[identity] = text
            if identity in times:
                times[identity] = tuple(word for word in times[identity] if not any(find_tags(word.word)))
    return replace(transcripts, texts=texts, times=times)


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
        known = [extra.get("speaker") for extra in fields]
        return [None if speaker is None or speaker == "" else str(speaker) for speaker in known]
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--speaker-from {pattern!r} is not a pattern: {error}") from error
    if compiled.groups < 1:
        raise UsageError(f"--speaker-from {pattern!r} has no group", r"For LibriSpeech ids: '^(\d+)-'.")
    speakers: list[str | None] = []
    for identity in ids:
        match = compiled.search(identity)
        if match is None or match[1] is None:
            raise DataError(f"--speaker-from {pattern!r} finds no speaker in the id {identity!r}")
        speakers.append(match[1])
    return speakers
