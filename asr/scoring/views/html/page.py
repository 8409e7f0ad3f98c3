"""The page put together: sections, data, style and script in one file."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from asr.html.page import as_script_data, fill, policy_hash, read_page
from asr.scoring.report import Report
from asr.scoring.views.html import sections
from asr.scoring.views.html.audio import embed_audio, find_audio, link_audio


def render_html(report: Report, folder: Path, embed: bool = False) -> str:
    """The whole page, to be written into `folder`; audio is linked relative to that, or embedded.

    Only the page's own script and style may run (by their hash), and nothing may be fetched but recordings, so that
    a hostile hypothesis has no way to act even if it slipped through the escaping.
    """
    css, js = read_page("base.css") + _read("page.css"), _read("page.js")
    parts = [
        sections.headline(report),
        sections.verdict(report),
        sections.breakdowns(report),
        sections.words(report),
        sections.utterances(report),
        sections.footer(report),
    ]
    policy = (
        f"default-src 'none'; script-src '{policy_hash(js)}'; style-src '{policy_hash(css)}'; img-src data:; "
        "media-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )
    values = {
        "title": escape(f"{report.name}: WER {report.score.wer * 100:.2f} %"),
        "policy": policy,
        "css": css,
        "js": js,
        "body": "\n".join(parts),
        "data": as_script_data(_data(report, folder, embed)),
    }
    return fill(_read("page.html"), values)


def _data(report: Report, folder: Path, embed: bool) -> dict[str, Any]:
    rows: list[list[Any]] = []
    embedded: dict[str, str] = {}
    baseline = report.comparison.first.utterances if report.comparison else None
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
        ]
        if baseline is not None:
            row += [baseline[index].hypothesis, baseline[index].operations]
        rows.append(row)
    return {"system": report.name, "baseline": report.baseline, "utterances": rows, "embedded": embedded}


def _read(name: str) -> str:
    return read_page(name, "asr.scoring.views.html")
