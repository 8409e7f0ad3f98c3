"""The page put together: sections, data, style and script in one file."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from asr.scoring.report import Report
from asr.scoring.views.html import sections
from asr.scoring.views.html.audio import embed_audio, find_audio, link_audio


def render_html(report: Report, folder: Path, embed: bool = False) -> str:
    """The whole page, to be written into `folder`; audio is linked relative to that, or embedded.

    Only the page's own script and style may run (by their hash), and nothing may be fetched but recordings, so that
    a hostile hypothesis has no way to act even if it slipped through the escaping.
    """
    css, js = _read("page.css"), _read("page.js")
    parts = [
        sections.headline(report),
        sections.verdict(report),
        sections.breakdowns(report),
        sections.words(report),
        sections.utterances(report),
        sections.footer(report),
    ]
    policy = (
        f"default-src 'none'; script-src '{_hash(js)}'; style-src '{_hash(css)}'; img-src data:; "
        "media-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    )
    values = {
        "title": escape(f"{report.name}: WER {report.score.wer * 100:.2f} %"),
        "policy": policy,
        "css": css,
        "js": js,
        "body": "\n".join(parts),
        "data": _as_script_data(_data(report, folder, embed)),
    }
    page = _read("page.html")
    head, *rest = page.split("{{")
    pieces = [head]
    for piece in rest:
        name, _, tail = piece.partition("}}")
        pieces += [values[name], tail]
    return "".join(pieces)


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


def _as_script_data(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _read(name: str) -> str:
    return resources.files("asr.scoring.views.html").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
