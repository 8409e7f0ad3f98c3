"""Plain text for other programs: one row per utterance as CSV, and what NIST's `sclite` prints (`.pra`, `.sys`)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from operator import attrgetter

from asr.scoring.alignment import LETTERS, total
from asr.scoring.report import Report
from asr.scoring.result import Score, ScoredUtterance

_COUNTS = ("hits", "substitutions", "deletions", "insertions", "errors")
COLUMNS = ["id", "speaker", "duration", "words", *_COUNTS, "wer"]
_counts = attrgetter(*_COUNTS)


def render_csv(report: Report) -> str:
    """The table as CSV text (RFC 4180 quoting, line feeds); with a comparison also the baseline's columns."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    baseline = report.comparison.first.utterances if report.comparison else None
    extra = ["baseline_errors", "baseline_hypothesis"] if baseline else []
    writer.writerow([*COLUMNS, "reference", "hypothesis", *extra])
    for index, utterance in enumerate(report.score.utterances):
        words = utterance.words
        row = [utterance.id, utterance.speaker or "", utterance.fields.get("duration", ""), words.reference]
        row += [*_counts(words), f"{words.error_rate:.6f}", utterance.reference, utterance.hypothesis]
        if baseline:
            row += [baseline[index].words.errors, baseline[index].hypothesis]
        writer.writerow(row)
    return file.getvalue()


def render_pra(score: Score) -> str:
    """The alignment of every utterance: reference over hypothesis, errors in capitals, gaps as asterisks."""
    return "\n".join("\n".join(_pra(utterance)) for utterance in score.utterances)


def _pra(utterance: ScoredUtterance) -> Iterator[str]:
    words = utterance.words
    yield f"id: ({utterance.id})"
    yield f"Scores: (#C #S #D #I) {words.hits} {words.substitutions} {words.deletions} {words.insertions}"
    lines: tuple[list[str], list[str], list[str]] = ([], [], [])
    for pair in utterance.pairs:
        wrong = pair.kind != "equal"
        width = max(len(pair.reference or ""), len(pair.hypothesis or ""))
        for line, word in zip(lines, (pair.reference, pair.hypothesis), strict=False):
            shown = "*" * width if word is None else word.upper() if wrong else word
            line.append(shown.ljust(width))
        lines[2].append((LETTERS[pair.kind] if wrong else "").ljust(width))
    for name, line in zip(("REF:  ", "HYP:  ", "Eval: "), lines, strict=True):
        yield (name + " ".join(line)).rstrip()
    yield ""


def render_sys(score: Score, name: str) -> str:
    """Percentages by speaker and over all words, in the layout of `sclite -o sum`."""
    speakers: dict[str, list[ScoredUtterance]] = {}
    for utterance in score.utterances:
        speakers.setdefault(utterance.speaker or "(all)", []).append(utterance)
    rows = [_row(speaker, utterances) for speaker, utterances in sorted(speakers.items())]
    width = max(8, *(len(row[0]) for row in rows))
    rule = "|" + "-" * (width + 2) + "+" + "-" * 17 + "+" + "-" * 42 + "|"
    heading = f"| {'SPKR':<{width}} |  # Snt    # Wrd |  Corr    Sub    Del    Ins    Err  S.Err |"
    body = [heading, rule, *(_line(row, width) for row in rows), rule.replace("-", "=")]
    body.append(_line(_row("Sum/Avg", score.utterances), width))
    frame = "," + "-" * (len(rule) - 2) + "."
    title = f"|{name:^{len(rule) - 2}}|"
    return "\n".join([frame, title, rule, *body, "`" + frame[1:-1] + "'"]) + "\n"


def _row(speaker: str, utterances: Sequence[ScoredUtterance]) -> tuple[str, int, int, list[float]]:
    words = total(utterance.words for utterance in utterances)
    whole = max(words.reference, 1)
    wrong = sum(1 for utterance in utterances if utterance.edits) / max(len(utterances), 1)
    return speaker, len(utterances), words.reference, [100 * count / whole for count in _counts(words)] + [100 * wrong]


def _line(row: tuple[str, int, int, list[float]], width: int) -> str:
    speaker, sentences, words, shares = row
    return (
        f"| {speaker:<{width}} | {sentences:6d} {words:8d} |"
        + "".join(f"{share:6.1f} " for share in shares)[:-1]
        + " |"
    )
