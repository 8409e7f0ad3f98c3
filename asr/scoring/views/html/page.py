"""The page put together: sections, data, style and script in one file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from asr.html.page import as_script_data, fill, policy_hash, read_page
from asr.scoring.report import Report
from asr.scoring.views.html import sections
from asr.scoring.views.html.audio import draw_waveform, embed_audio, find_audio, link_audio

DRAWN = 300


def render_html(report: Report, folder: Path, embed: bool = False) -> str:
    """The whole page, to be written into `folder`; audio is linked relative to that, or embedded.

    Only the page's own script and style may run (by their hash), and nothing may be fetched but recordings, so that
    a hostile hypothesis has no way to act even if it slipped through the escaping.
    """
    parts = [
        sections.headline(report),
        sections.verdict(report),
        sections.breakdowns(report),
        sections.words(report),
        sections.utterances(report),
        sections.footer(report),
    ]
    title = f"{report.name}: WER {report.score.wer * 100:.2f} %"
    return assemble(title, parts, as_script_data(_data(report, folder, embed)))


def assemble(title: str, parts: Sequence[str], data: str = "") -> str:
    """A page of `parts`; the script, which fills the list of utterances, is only in one with `data`."""
    css, js = read_page("base.css") + _read("page.css"), _read("page.js") if data else ""
    policy = (
        f"default-src 'none'; script-src '{policy_hash(js)}'; style-src '{policy_hash(css)}'; img-src data:; "
        "media-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )
    values = {
        "title": escape(title),
        "policy": policy,
        "css": css,
        "js": js,
        "body": "\n".join(parts),
        "data": data or "null",
    }
    return fill(_read("page.html"), values)


def _data(report: Report, folder: Path, embed: bool) -> dict[str, Any]:
    rows: list[list[Any]] = []
    embedded: dict[str, str] = {}
    baseline = report.comparison.first.utterances if report.comparison else None
    drawn = _drawn(report)
    for index, utterance in enumerate(report.score.utterances):
        path = find_audio(utterance)
        link = None
        if path is not None and embed:
            embedded[utterance.id] = embed_audio(utterance, path)
        elif path is not None:
            link = link_audio(utterance, path, folder)
        row = [
            utterance.id,
            utterance.speaker,
            utterance.reference,
            utterance.hypothesis,
            utterance.operations,
            utterance.number("duration"),
            link,
            _rounded(utterance.times),
            # Where in what is played the utterance begins: an embedded part is cut out of its recording.
            0.0 if path is None or embed else utterance.number("offset") or 0.0,
            draw_waveform(utterance, path) if path is not None and utterance.id in drawn else None,
        ]
        if baseline is not None:
            row += [baseline[index].hypothesis, baseline[index].operations, _rounded(baseline[index].times)]
        rows.append(row)
    return {"system": report.name, "baseline": report.baseline, "utterances": rows, "embedded": embedded}


def _drawn(report: Report) -> set[str]:
    """The utterances whose waveform is in the page: reading all of a large corpus would take minutes."""
    ranked = sorted(report.score.utterances, key=lambda utterance: -utterance.words.errors)
    return {utterance.id for utterance in ranked[:DRAWN]}


def _rounded(times: Sequence[tuple[float, float]]) -> list[float] | None:
    """Starts and ends in turn, to the hundredth of a second."""
    return [round(bound, 2) for bounds in times for bound in bounds] or None


def _read(name: str) -> str:
    return read_page(name, "asr.scoring.views.html")
