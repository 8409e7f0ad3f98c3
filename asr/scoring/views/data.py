"""The report for other programs: JSON, CSV with a row per utterance, and what NIST's `sclite` prints (`.pra`, `.sys`).

The JSON has everything in it; its schema is described in docs/scoring.md.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from operator import attrgetter
from typing import Any

from asr.scoring.alignment import LETTERS, Counts, total
from asr.scoring.bootstrap import LEVEL, Interval
from asr.scoring.breakdown import Breakdown
from asr.scoring.report import Board, Report
from asr.scoring.result import Score, ScoredUtterance
from asr.scoring.significance import Comparison

SCHEMA = "asr-score-1"
BOARD_SCHEMA = "asr-board-1"
MOST_FREQUENT = 200
_COUNTS = ("hits", "substitutions", "deletions", "insertions", "errors")
COLUMNS = ["id", "speaker", "duration", "words", *_COUNTS, "wer"]
_cells = attrgetter(*_COUNTS)


def render_json(report: Report) -> str:
    """The report as text: the summary indented, then one utterance a line."""
    head = json.dumps(summarize(report), ensure_ascii=False, indent=2, default=str)
    lines = ",\n    ".join(json.dumps(item, ensure_ascii=False, default=str) for item in _utterances(report))
    return f'{head[:-2]},\n  "utterances": [\n    {lines}\n  ]\n}}\n'


def summarize(report: Report) -> dict[str, Any]:
    """Everything but the single utterances, as plain data."""
    comparison = report.comparison
    return {
        "schema": SCHEMA,
        "system": report.name,
        **rates(report.score),
        "normalizer": report.score.normalizer,
        "aligner": report.score.aligner,
        "case_folded": report.score.case_folded,
        "without_normalizer": _counts(report.score.raw_words) if report.score.raw_words else None,
        "interval": {
            "level": LEVEL,
            "utterances": _interval(report.over_utterances),
            "speakers": _interval(report.over_speakers) if report.over_speakers else None,
        },
        "comparison": _comparison(comparison, report) if comparison else None,
        "breakdowns": [_breakdown(item) for item in report.breakdowns],
        "substitutions": [
            {"reference": reference, "hypothesis": hypothesis, "count": count}
            for (reference, hypothesis), count in report.confusions.substitutions.most_common(MOST_FREQUENT)
        ],
        "deletions": _words(report.confusions.deletions),
        "insertions": _words(report.confusions.insertions),
        "most_often_wrong": [
            {"word": word, "wrong": count, "spoken": report.confusions.occurrences[word]}
            for word, count in report.confusions.wrong.most_common(MOST_FREQUENT)
        ],
        "vocabulary": asdict(share) | {"share_of_errors": share.share} if (share := report.vocabulary) else None,
        "formatting": asdict(report.formatting) if report.formatting else None,
        "worst": [utterance.id for utterance in report.worst],
        "inputs": dict(report.inputs),
        "settings": dict(report.settings),
    }


def render_board_json(board: Board) -> str:
    """A table of systems: what `summarize` says of each, every difference, and the texts of all."""
    systems = [{"name": report.name, **summarize(report)} for report in board.reports]
    differences = [
        {
            "baseline": each.first.name,
            "system": each.second.name,
            "p_value_holm": each.comparison.p_value,
            "significant_among_all": each.comparison.significant,
            **_compared(each.comparison, each.report),
        }
        for each in board.differences
    ]
    head = {"schema": BOARD_SCHEMA, "wer": board.reports[0].score.wer, "best": board.reports[0].name}
    rows = []
    for utterances in zip(*(report.score.utterances for report in board.reports), strict=True):
        first = utterances[0]
        texts = {
            report.name: {"hypothesis": each.hypothesis, "alignment": each.operations, "errors": each.words.errors}
            for report, each in zip(board.reports, utterances, strict=True)
        }
        rows.append({"id": first.id, "speaker": first.speaker, "reference": first.reference, "systems": texts})
    whole = {**head, "systems": systems, "differences": differences, "utterances": rows}
    return json.dumps(whole, ensure_ascii=False, indent=1, default=str) + "\n"


def rates(score: Score) -> dict[str, Any]:
    """The error rates of a score, all fractions, and the counts behind them."""
    return {
        **_pick(score, "wer", "cer", "cer_without_spaces", "mer", "wil", "utterance_error_rate"),
        "utterance_count": len(score.utterances),
        "utterances_with_errors": score.utterances_with_errors,
        "words": _counts(score.words),
        "characters": _counts(score.characters),
        "characters_without_spaces": _counts(score.letters),
    }


def _pick(thing: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _counts(counts: Counts) -> dict[str, Any]:
    return _pick(counts, "reference", "hypothesis", *_COUNTS, "error_rate")


def _interval(interval: Interval) -> dict[str, Any]:
    return _pick(interval, "low", "high", "units", "trusted", "note")


def _tested(interval: Interval) -> dict[str, Any]:
    return _interval(interval) | {"p_value": interval.p_value}


def _comparison(comparison: Comparison, report: Report) -> dict[str, Any]:
    baseline = rates(comparison.first)
    return {
        "baseline": report.baseline,
        **{f"baseline_{key}": baseline[key] for key in ("wer", "cer", "words")},
        **_compared(comparison, report),
    }


def _compared(comparison: Comparison, report: Report) -> dict[str, Any]:
    speakers = comparison.over_speakers
    return {
        **_pick(comparison, "difference", "relative", "significant"),
        "conclusion": report.conclusion,
        "bootstrap": {
            "utterances": _tested(comparison.over_utterances),
            "speakers": _tested(speakers) if speakers else None,
        },
        "matched_pairs": asdict(comparison.matched_pairs),
    }


def _breakdown(breakdown: Breakdown) -> dict[str, Any]:
    return {
        "field": breakdown.field,
        "unit": breakdown.unit,
        "groups": [
            {
                "value": group.label,
                "utterances": group.utterances,
                "wer": group.words.error_rate,
                "standard_error": group.deviation,
                "words": _counts(group.words),
            }
            for group in breakdown.groups
        ],
    }


def _words(counter: Counter[str]) -> list[dict[str, Any]]:
    return [{"word": word, "count": count} for word, count in counter.most_common(MOST_FREQUENT)]


def _utterances(report: Report) -> list[dict[str, Any]]:
    rows = [_utterance(utterance) for utterance in report.score.utterances]
    if report.comparison:
        for row, utterance in zip(rows, report.comparison.first.utterances, strict=True):
            row["baseline_hypothesis"] = utterance.hypothesis
            row["baseline_alignment"] = utterance.operations
            row["baseline_errors"] = utterance.words.errors
    return rows


def _utterance(utterance: ScoredUtterance) -> dict[str, Any]:
    words = utterance.words
    return {
        "id": utterance.id,
        **({"speaker": utterance.speaker} if utterance.speaker is not None else {}),
        "reference": utterance.reference,
        "hypothesis": utterance.hypothesis,
        "alignment": utterance.operations,
        "wer": words.error_rate,
        **_pick(words, "substitutions", "deletions", "insertions"),
        "fields": _plain({key: value for key, value in utterance.fields.items() if key != "speaker"}),
    }


def _plain(value: Any) -> Any:
    """Infinities and NaN are no JSON, however deep they lie."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
        row += [*_cells(words), f"{words.error_rate:.6f}", utterance.reference, utterance.hypothesis]
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
    return speaker, len(utterances), words.reference, [100 * count / whole for count in _cells(words)] + [100 * wrong]


def _line(row: tuple[str, int, int, list[float]], width: int) -> str:
    speaker, sentences, words, shares = row
    return (
        f"| {speaker:<{width}} | {sentences:6d} {words:8d} |"
        + "".join(f"{share:6.1f} " for share in shares)[:-1]
        + " |"
    )
