"""From files to a report: what `asr score` does, as one function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asr.errors import DataError, UsageError
from asr.scoring.alignment import ALIGNERS, Aligner
from asr.scoring.pairing import Missing, Pairing, pair
from asr.scoring.readers import FORMATS, Format, Transcripts, read_transcripts
from asr.scoring.report import Report, build_report
from asr.scoring.result import normalize_word
from asr.text.normalize import get_normalizer


def report_on_files(
    reference: Path,
    hypothesis: Path,
    *,
    against: Path | None = None,
    by: Sequence[str] = (),
    missing: Missing = "error",
    normalizer: str = "none",
    aligner: Aligner = "levenshtein",
    speaker_from: str | None = None,
    vocabulary: Path | None = None,
    reference_format: Format = "auto",
    hypothesis_format: Format = "auto",
    encoding: str | None = None,
) -> Report:
    """Read, pair, score and report. `against` is another system's hypotheses (in `hypothesis_format` too).

    Raises `UsageError` for an unknown option, `DataError` for files that cannot be read or do not pair.
    """
    for form in (reference_format, hypothesis_format):
        if form not in FORMATS:
            raise UsageError(f"unknown format {form!r}", f"Choose one of {', '.join(FORMATS)}.")
    if aligner not in ALIGNERS:
        raise UsageError(f"unknown aligner {aligner!r}", f"Choose one of {', '.join(ALIGNERS)}.")
    known = None if vocabulary is None else read_vocabulary(vocabulary, encoding, normalizer)
    references = read_transcripts(reference, "reference", reference_format, encoding)
    hypotheses = read_transcripts(hypothesis, "hypothesis", hypothesis_format, encoding)
    pairing = pair(references, hypotheses, missing, speaker_from)
    inputs = _inputs(references, hypotheses, pairing)
    score = pairing.score(normalizer, aligner)
    if against is None:
        return build_report(score, name=hypothesis.stem, by=by, vocabulary=known, inputs=inputs)
    others = read_transcripts(against, "hypothesis", hypothesis_format, encoding)
    other_pairing = pair(references, others, missing, speaker_from)
    if other_pairing.ids != pairing.ids:
        raise DataError(
            f"{hypothesis} and {against} lack hypotheses for different utterances, which cannot be left out fairly",
            "Use --missing delete, or mend the files.",
        )
    name, baseline = _names(hypothesis, against)
    return build_report(
        score,
        name=name,
        by=by,
        against=other_pairing.score(normalizer, aligner),
        baseline=baseline,
        vocabulary=known,
        inputs=inputs | _baseline_inputs(others, other_pairing),
    )


def read_vocabulary(path: Path, encoding: str | None = None, normalizer: str = "none") -> set[str]:
    """Every word that occurs in a text; of JSON lines, in their texts. Words are normalized one by one."""
    normalize = get_normalizer(normalizer)
    form: Format = "jsonl" if path.suffix.lower() in (".jsonl", ".json") else "plain"
    texts = read_transcripts(path, "reference", form, encoding).texts
    written = {word for text in texts.values() for word in text.split()}
    words = {word for each in written for word in normalize_word(normalize, each).split()}
    if not words:
        raise DataError(f"{path} holds no word")
    return words


def _inputs(references: Transcripts, hypotheses: Transcripts, pairing: Pairing) -> dict[str, object]:
    return {
        "reference": str(references.path),
        "reference_format": references.format,
        "hypothesis": str(hypotheses.path),
        "hypothesis_format": hypotheses.format,
        "missing_policy": pairing.policy,
        "missing": list(pairing.missing),
        "extra": list(pairing.extra),
        "doubled": list(pairing.doubled),
    }


def _baseline_inputs(others: Transcripts, pairing: Pairing) -> dict[str, object]:
    return {
        "baseline": str(others.path),
        "baseline_missing": list(pairing.missing),
        "baseline_extra": list(pairing.extra),
        "baseline_doubled": list(others.doubled),  # those of the references stand in `doubled`
    }


def _names(hypothesis: Path, against: Path) -> tuple[str, str]:
    """Short names of two systems: the files', or with their folders where these are alike."""
    if hypothesis.stem != against.stem:
        return hypothesis.stem, against.stem
    return f"{hypothesis.parent.name}/{hypothesis.name}", f"{against.parent.name}/{against.name}"
