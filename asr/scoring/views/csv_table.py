"""One row per utterance, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io

from asr.scoring.report import Report

COLUMNS = ["id", "speaker", "duration", "words", "hits", "substitutions", "deletions", "insertions", "errors", "wer"]


def render_csv(report: Report) -> str:
    """The table as CSV text (RFC 4180 quoting, line feeds); with a comparison also the baseline's columns."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    baseline = report.comparison.first.utterances if report.comparison else None
    extra = ["baseline_errors", "baseline_hypothesis"] if baseline else []
    writer.writerow([*COLUMNS, "reference", "hypothesis", *extra])
    for index, utterance in enumerate(report.score.utterances):
        words = utterance.words
        row = [
            utterance.id,
            utterance.speaker or "",
            utterance.fields.get("duration", ""),
            words.reference,
            words.hits,
            words.substitutions,
            words.deletions,
            words.insertions,
            words.errors,
            f"{words.error_rate:.6f}",
            utterance.reference,
            utterance.hypothesis,
        ]
        if baseline:
            row += [baseline[index].words.errors, baseline[index].hypothesis]
        writer.writerow(row)
    return file.getvalue()
