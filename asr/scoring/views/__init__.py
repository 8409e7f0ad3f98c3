"""The views of a report: terminal, JSON, CSV, NIST text, HTML. Each is a function of the report alone."""

from __future__ import annotations

from pathlib import Path

from asr.errors import UsageError
from asr.io import write_text
from asr.scoring.report import Report

FORMS = ("html", "json", "csv", "pra", "sys")


def write_report(report: Report, path: Path | str, form: str | None = None, *, embed_audio: bool = False) -> None:
    """Write `report` as `form`, or as the suffix of `path` says: html, json, csv; pra, sys as NIST's `sclite` does.

    The page links recordings relative to `path`, or holds them with `embed_audio`. Raises `UsageError` for an unknown
    form.
    """
    path = Path(path)
    form = form or path.suffix.lstrip(".").lower()
    if form not in FORMS:
        raise UsageError(f"{path}: no report is written as {form!r}", f"Choose one of {', '.join(FORMS)}.")
    write_text(path, render(report, form, path.parent, embed_audio))


def render(report: Report, form: str, folder: Path, embed_audio: bool = False) -> str:
    """The text of `report` in one of `FORMS`, to be written into `folder`."""
    from asr.scoring.views import tables
    from asr.scoring.views.html.page import render_html
    from asr.scoring.views.json_report import render_json

    if form == "html":
        return render_html(report, folder, embed_audio)
    if form == "json":
        return render_json(report)
    if form == "csv":
        return tables.render_csv(report)
    return tables.render_pra(report.score) if form == "pra" else tables.render_sys(report.score, report.name)
