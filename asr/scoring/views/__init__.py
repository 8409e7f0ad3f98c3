"""The views of a report: terminal, JSON, CSV, NIST text, HTML. Each is a function of the report alone."""

from __future__ import annotations

from pathlib import Path

from asr.errors import UsageError
from asr.io import write_whole
from asr.scoring.report import Board, Report

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
    _write(path, render(report, form, path.parent, embed_audio))


def render(report: Report, form: str, folder: Path, embed_audio: bool = False) -> str:
    """The text of `report` in one of `FORMS`, to be written into `folder`."""
    from asr.scoring.views import data
    from asr.scoring.views.page import render_html

    if form == "html":
        return render_html(report, folder, embed_audio)
    if form == "json":
        return data.render_json(report)
    if form == "csv":
        return data.render_csv(report)
    return data.render_pra(report.score) if form == "pra" else data.render_sys(report.score, report.name)


def write_board(board: Board, path: Path | str, form: str | None = None, *, embed_audio: bool = False) -> None:
    """Write a table of systems as html or json; the page of every pair of systems stands beside it, linked from it."""
    from asr.scoring.views.data import render_board_json
    from asr.scoring.views.page import pair_page, render_board_html

    path = Path(path)
    form = form or path.suffix.lstrip(".").lower()
    if form not in ("html", "json"):
        raise UsageError(f"{path}: no table of systems is written as {form!r}", "Choose html or json.")
    if form == "json":
        _write(path, render_board_json(board))
        return
    for difference in board.differences:
        page = path.parent / pair_page(board, difference, path.stem)
        write_report(difference.report, page, "html", embed_audio=embed_audio)
    _write(path, render_board_html(board, path.stem))


def _write(path: Path, text: str) -> None:
    """Half a letter, from a file name that is not UTF-8, must not keep the report from being written."""
    with write_whole(path, "wb") as file:
        file.write(text.encode("utf-8", "replace"))
