"""The parts of the page, each a function from the report to escaped markup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from asr.scoring.bootstrap import Interval
from asr.scoring.report import Report, describe_inputs, notices
from asr.scoring.significance import format_p_value
from asr.scoring.views import charts

LISTED = 12


def headline(report: Report) -> str:
    """The name, the WER with its intervals, the other rates, the kinds of errors."""
    score, words = report.score, report.score.words
    intervals = _intervals(report.over_utterances, report.over_speakers)
    tiles = [
        ("CER", f"{score.cer * 100:.2f} %", "with spaces"),
        ("CER", f"{score.cer_without_spaces * 100:.2f} %", "without spaces"),
        ("With errors", f"{score.utterance_error_rate * 100:.1f} %", f"of {len(score.utterances):,} utterances"),
        ("MER", f"{score.mer * 100:.2f} %", "match error rate"),
        ("WIL", f"{score.wil * 100:.2f} %", "information lost"),
    ]
    if score.raw_words is not None:
        tiles.append(("WER, raw", f"{score.raw_words.error_rate * 100:.2f} %", "without the normalizer"))
    if report.vocabulary is not None:
        share = report.vocabulary
        note = f"{share.outside:,} of {share.words:,} words"
        tiles.append(("Wrong words outside vocabulary", f"{share.share * 100:.1f} %", note))
    kinds = [
        ("s", "substituted", words.substitutions),
        ("d", "deleted", words.deletions),
        ("i", "inserted", words.insertions),
    ]
    legend = "".join(f'<li><span class="key-{key}"></span>{count:,} {name}</li>' for key, name, count in kinds)
    return f"""<header><p class="kicker">Word error report</p><h1>{escape(report.name)}</h1>
<p class="soft small">{escape(_about(report))}</p></header>
<section class="hero" aria-label="Error rates">
<div class="card"><div class="big">{score.wer * 100:.2f}<small> % WER</small></div>
<p class="soft small">{words.errors:,} errors in {words.reference:,} words</p>{charts.strip(score.wer, intervals)}</div>
<div class="card"><dl class="tiles">{"".join(_tile(*tile) for tile in tiles)}</dl>
<div class="split">{charts.split([(f"fill-{key}", count) for key, _, count in kinds])}</div>
<ul class="legend">{legend}</ul></div></section>
{"".join(map(notice, _warnings(report)))}"""


def verdict(report: Report) -> str:
    """What may be concluded of two systems; nothing without a second one."""
    comparison = report.comparison
    if comparison is None:
        return ""
    intervals = _intervals(comparison.over_utterances, comparison.over_speakers)
    pairs = comparison.matched_pairs
    return f"""<h2>Compared with {escape(report.baseline)}</h2>
<section class="card verdict{" yes" if comparison.significant else ""}"><p>{escape(report.conclusion)}</p>
<div class="grid"><dl class="tiles">
{_tile(report.baseline, f"{comparison.first.wer * 100:.2f} %", "WER")}
{_tile(report.name, f"{comparison.second.wer * 100:.2f} %", "WER")}
{_tile("Difference", charts.signed(comparison.difference), "points")}
{_tile("Matched pairs", format_p_value(comparison.p_value), f"{pairs.segments:,} segments")}
</dl>{charts.strip(comparison.difference, intervals, around_zero=True)}</div></section>"""


def breakdowns(report: Report) -> str:
    """One chart per field, and how errors are spread over utterances."""
    counts = Counter(min(utterance.words.errors, 8) for utterance in report.score.utterances)
    spread = [(f"{errors}" if errors < 8 else "8+", counts[errors]) for errors in range(9)]
    cards = [_card("Errors per utterance", charts.histogram(spread, "utterances by errors"))]
    for breakdown in report.breakdowns:
        hidden = len(breakdown.groups) - charts.SHOWN
        rest = f'<p class="soft small">and {hidden:,} more groups, in the JSON</p>' if hidden > 0 else ""
        cards.append(_card(charts.title(breakdown), charts.bars(breakdown) + rest))
    return f'<h2>Where it hurts</h2><div class="flow">{"".join(cards)}</div>'


def words(report: Report) -> str:
    """The words that go wrong; choosing one shows its utterances."""
    confusions = report.confusions
    tables: list[tuple[str, str, Counter[Any]]] = [
        ("Substituted", "S", confusions.substitutions),
        ("Deleted", "D", confusions.deletions),
        ("Inserted", "I", confusions.insertions),
        ("Most often wrong", "W", confusions.wrong),
    ]
    cards = []
    for title, kind, counter in tables:
        items = ""
        for words, count in counter.most_common(LISTED):
            of_all = f" of {confusions.occurrences[words]:,}" if kind == "W" else ""
            items += _word(kind, words if kind == "S" else (words,), f"{count:,}{of_all}")
        cards += [_card(title, f'<ul class="words">{items}</ul>')] if items else []
    if not cards:
        return ""
    return (
        '<h2>Words <span class="soft small">– choose one to see where</span></h2>'
        f'<div class="grid words-grid">{"".join(cards)}</div>'
    )


def utterances(report: Report) -> str:
    """The controls and the empty table that the script fills."""
    speakers = sorted({utterance.speaker for utterance in report.score.utterances if utterance.speaker is not None})
    kinds = [("", "all"), ("any", "with errors"), ("s", "substitutions"), ("d", "deletions"), ("i", "insertions")]
    kinds.append(("none", "without errors"))
    controls = [
        '<label class="wide">Search<input id="search" type="search" placeholder="words, id or speaker  ( / )"></label>',
        _select("kind", "Errors", kinds),
    ]
    if speakers:
        controls.append(_select("speaker", "Speaker", [("", "all"), *((name, name) for name in speakers)]))
    columns = [("id", "Utterance", ""), ("errors", "Errors", "n"), ("rate", "WER", "n")]
    if report.comparison is not None:
        changes = [("", "all"), ("better", "fewer errors"), ("worse", "more errors"), ("other", "other text")]
        controls.append(_select("change", f"Against {report.baseline}", changes))
        columns.append(("difference", "Change", "n"))
    columns.append(("words", "Reference and hypothesis, by length", ""))
    heads = "".join(
        f'<th scope="col"{f" class={kind}" if kind else ""}{" aria-sort=descending" if key == "errors" else ""}>'
        f'<button type="button" data-key="{key}">{name}</button></th>'
        for key, name, kind in columns
    )
    return f"""<h2 id="utterances">Utterances</h2>
<div class="controls">{"".join(controls)}<output id="count" aria-live="polite"></output></div>
<p id="picked" hidden>only with <b></b> <button type="button" class="plain">show all</button></p>
<div class="card table"><table class="list"><thead><tr>{heads}</tr></thead><tbody id="rows"></tbody></table>
<div class="more" id="more"><button type="button" class="plain">Show more</button></div></div>
<noscript><p class="notice">The list of utterances needs JavaScript; everything above does not.</p></noscript>"""


def footer(report: Report) -> str:
    """What was read, and how it was scored."""
    facts: dict[str, Any] = {
        "normalizer": report.score.normalizer,
        "alignment": report.score.aligner + (", letter case folded" if report.score.case_folded else ""),
        "intervals": "studentized bootstrap; the lines across the bars are 1.96 standard errors",
        **report.inputs,
        **_flat(report.settings),
    }
    rows = "".join(
        f"<tr><td>{escape(key.replace('_', ' '))}</td><td>{escape(_plain(value))}</td></tr>"
        for key, value in facts.items()
        if value not in ([], {}, None, "")
    )
    return f"<footer><h3>How this was made</h3><table>{rows}</table></footer>"


def _about(report: Report) -> str:
    """What was scored, in one line."""
    reference = report.inputs.get("reference")
    speakers = len({utterance.speaker for utterance in report.score.utterances if utterance.speaker is not None})
    parts = [f"{len(report.score.utterances):,} utterances", f"{report.score.words.reference:,} words"]
    parts += [f"{speakers:,} speakers"] if speakers else []
    parts += [describe_inputs(report)] if report.inputs else []
    parts += [f"normalizer {report.score.normalizer}", f"alignment {report.score.aligner}"]
    return (f"scored against {reference}: " if reference else "") + ", ".join(parts)


def _intervals(*intervals: Interval | None) -> list[Interval]:
    return [interval for interval in intervals if interval is not None and interval.exists]


def _tile(name: str, value: str, note: str) -> str:
    return f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"


def _card(title: str, content: str) -> str:
    return f'<section class="card"><h3>{escape(title)}</h3>{content}</section>'


def notice(line: str) -> str:
    """A line that a reader must know beside the figures."""
    return f'<p class="notice">{escape(line)}</p>'


def _warnings(report: Report) -> Iterable[str]:
    yield from notices(report)
    for interval in (report.over_utterances, report.over_speakers):
        if interval is not None and interval.exists and not interval.trusted:
            yield f"The interval over {interval.unit} is not reliable: {interval.note}."


def _word(kind: str, shown: tuple[str, ...], count: str) -> str:
    sides = ("hypothesis",) if kind == "I" else ("reference", "hypothesis")
    data = {"kind": kind, **dict(zip(sides, shown, strict=False))}
    attributes = " ".join(f'data-{key}="{escape(value)}"' for key, value in data.items())
    text = '<span class="arrow">→</span>'.join(map(escape, shown))
    return f'<li><button type="button" {attributes}><span>{text}</span><b>{count}</b></button></li>'


def _select(name: str, label: str, options: Iterable[tuple[str, str]]) -> str:
    listed = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options)
    return f'<label>{escape(label)}<select id="{name}">{listed}</select></label>'


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in groups, one row for each."""
    rows: dict[str, Any] = {}
    for key, value in settings.items():
        rows |= {f"{key} {name}": item for name, item in value.items()} if isinstance(value, dict) else {key: value}
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value[:20])) + (", …" if len(value) > 20 else "")
    return f"{value:.4g}" if isinstance(value, float) else str(value)
