"""The self-contained page: sections, data, style and script in one file that opens from disk, without a network.

Recordings are linked from it or held in it. The page of several systems is made in the same way: their error rates side
by side, every difference, the breakdowns of each.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import string
import sys
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from asr.errors import AudioError
from asr.html import read_page
from asr.io import is_file
from asr.scoring.report import Board, Difference, Report, describe_inputs, notices
from asr.scoring.result import ScoredUtterance
from asr.scoring.significance import format_p_value
from asr.scoring.views import charts, sections

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
    page = string.Template(_read("page.html"))
    return page.substitute(
        title=escape(title), policy=policy, css=css, js=js, body="\n".join(parts), data=data or "null"
    )


def as_script_data(data: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def policy_hash(text: str) -> str:
    """What a content security policy calls the script or style with exactly this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def _data(report: Report, folder: Path, embed: bool) -> dict[str, Any]:
    rows: list[list[Any]] = []
    baseline = report.comparison.first.utterances if report.comparison else None
    # Drawn where most is wrong: reading all of a large corpus would take minutes.
    ranked = sorted(report.score.utterances, key=lambda utterance: -utterance.words.errors)
    drawn, unreadable = {utterance.id for utterance in ranked[:DRAWN]}, report.settings.get("unreadable", {})
    for index, utterance in enumerate(report.score.utterances):
        path = None if utterance.id in unreadable else find_audio(utterance)
        source = None
        if path is not None:
            source = embed_audio(utterance, path) if embed else link_audio(utterance, path, folder)
        row = [
            utterance.id,
            utterance.speaker,
            utterance.reference,
            utterance.hypothesis,
            utterance.operations,
            utterance.number("duration"),
            source,
            _rounded(utterance.times),
            # Where in what is played the utterance begins: an embedded part is cut out of its recording.
            0.0 if path is None or embed else utterance.number("offset") or 0.0,
            draw_waveform(utterance, path) if path is not None and utterance.id in drawn else None,
        ]
        if baseline is not None:
            row += [baseline[index].hypothesis, baseline[index].operations, _rounded(baseline[index].times)]
        rows.append(row)
    return {"system": report.name, "baseline": report.baseline, "utterances": rows}


def _rounded(times: Sequence[tuple[float, float]]) -> list[float] | None:
    """Starts and ends in turn, to the hundredth of a second."""
    return [round(bound, 2) for bounds in times for bound in bounds] or None


def _read(name: str) -> str:
    return read_page(name, "asr.scoring.views")


COLUMNS = 240  # of a drawn waveform
_LONGEST = 48_000 * 600  # samples read of one utterance
_SLACK = 0.1  # seconds by which a recording may be longer than its utterance and still be all of it
_UNREADABLE = (OSError, RuntimeError, ValueError, OverflowError)
_LEVELS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".webm": "audio/webm",
}


def find_audio(utterance: ScoredUtterance) -> Path | None:
    """The recording on disk, if the manifest names one and it is there."""
    name = utterance.fields.get("audio_filepath")
    return Path(name) if isinstance(name, str) and is_file(name) else None


def link_audio(utterance: ScoredUtterance, path: Path, folder: Path) -> str:
    """A link to `path` relative to the page's `folder`; a part of a longer recording carries its times."""
    try:
        link = quote(Path(os.path.relpath(path, folder.resolve())).as_posix())
    except ValueError:  # another drive
        link = path.resolve().as_uri()
    start, end = _part(utterance)
    return f"{link}#t={start:g},{end:g}" if start else link


def embed_audio(utterance: ScoredUtterance, path: Path) -> str:
    """The recording as a `data:` address; of a longer recording only the utterance, as FLAC.

    Raises `AudioError` when it cannot be read.
    """
    kind = _TYPES.get(path.suffix.lower())
    try:
        if kind is None or _is_part(utterance, path):
            kind, data = "audio/flac", _cut(utterance, path)
        else:
            data = path.read_bytes()
    except _UNREADABLE as error:
        raise AudioError(f"{path} cannot be embedded: {error}", "Link the audio instead (no --embed-audio).") from error
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def draw_waveform(utterance: ScoredUtterance, path: Path) -> tuple[str, float] | None:
    """The loudest sample in each of `COLUMNS` stretches of an utterance, a letter each, and its length in seconds.

    None if it cannot be read. The letters count from 0 to 63 in the alphabet of base64, of the loudest sample.
    """
    import numpy as np

    try:
        sound, rate = _samples(utterance, path, _LONGEST)
    except _UNREADABLE:
        return None
    samples = np.abs(np.where(np.isfinite(sound), sound, 0.0)).max(axis=1)
    if not len(samples):
        return None
    peaks = np.array([part.max(initial=0.0) for part in np.array_split(samples, COLUMNS)])
    levels = np.round(63 * peaks / max(float(peaks.max()), 1e-9)).astype(int)
    return "".join(_LEVELS[level] for level in levels), round(len(samples) / rate, 3)


def _part(utterance: ScoredUtterance) -> tuple[float, float]:
    start = utterance.number("offset") or 0.0
    return start, start + (utterance.number("duration") or 0.0)


def _is_part(utterance: ScoredUtterance, path: Path) -> bool:
    """Whether more than the utterance is in its recording, as far as that can be told."""
    import soundfile

    start, end = _part(utterance)
    if start or not end:
        return bool(start)
    try:
        return bool(soundfile.info(path).duration > end + _SLACK)
    except _UNREADABLE:  # a browser may know the format all the same
        return False


def _samples(utterance: ScoredUtterance, path: Path, most: int = sys.maxsize) -> tuple[Any, int]:
    """The samples (N, channels) of an utterance, no more than `most`, and how many are a second."""
    import soundfile

    start, end = _part(utterance)
    with soundfile.SoundFile(path) as file:
        file.seek(round(start * file.samplerate))
        length = max(0, round((end - start) * file.samplerate)) or most
        return file.read(min(length, most), always_2d=True), file.samplerate


def _cut(utterance: ScoredUtterance, path: Path) -> bytes:
    import soundfile

    samples, rate = _samples(utterance, path)
    memory = io.BytesIO()
    soundfile.write(memory, samples, rate, format="FLAC")
    return memory.getvalue()


def render_board_html(board: Board, stem: str) -> str:
    """The page; `stem` is its file's name, after which the pages of the pairs are named."""
    best = board.reports[0]
    title = f"{len(board.reports)} systems: {best.name} has the lowest WER, {best.score.wer * 100:.2f} %"
    return assemble(title, [_head(board), _systems(board), _differences(board, stem), _breakdowns(board)])


def pair_page(board: Board, difference: Difference, stem: str) -> str:
    """The file name of a comparison: ranks, since names may hold anything."""
    ranks = [board.reports.index(report) + 1 for report in (difference.second, difference.first)]
    return f"{stem}-{ranks[0]}-{ranks[1]}.html"


def _head(board: Board) -> str:
    score = board.reports[0].score
    about = f"{len(score.utterances):,} utterances, {score.words.reference:,} words, normalizer {score.normalizer}"
    lines = [f"{report.name}: {line}" for report in board.reports for line in notices(report)]
    return (
        f'<header><p class="kicker">Word error report</p><h1>{len(board.reports)} systems</h1>'
        f'<p class="soft small">{escape(about)}, alignment {score.aligner}; '
        f"{escape(describe_inputs(board.reports[0]))}</p></header>" + "".join(map(sections.notice, lines))
    )


def _systems(board: Board) -> str:
    highest = max(max(report.score.wer, report.interval.high) for report in board.reports)
    rows = "".join(_system(rank, report, highest) for rank, report in enumerate(board.reports, 1))
    heads = "".join(
        f'<th scope="col"{kind}>{name}</th>'
        for name, kind in [
            ("", ""), ("System", ""), ("WER", " class=n"), ("95 % interval", ""), ("Sub.", " class=n"),
            ("Del.", " class=n"), ("Ins.", " class=n"), ("CER", " class=n"),
        ]
    )  # fmt: skip
    return (
        f'<h2>Systems</h2><div class="card table scroll"><table class="board"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _system(rank: int, report: Report, highest: float) -> str:
    score, words, interval = report.score, report.score.words, report.interval
    bounds = str(interval) if interval.exists else "none"
    doubt = "" if interval.trusted else f' <span class="soft">not reliable: {escape(interval.note)}</span>'
    over = f"over {interval.units:,} {interval.unit}"
    cells = [words.substitutions, words.deletions, words.insertions]
    return (
        f'<tr><td class="n soft">{rank}</td><th scope="row">{escape(report.name)}</th>'
        f'<td class="n"><b>{score.wer * 100:.2f} %</b></td>'
        f'<td class="spread">{charts.span(score.wer, interval, highest)}<small>{bounds} {over}{doubt}</small></td>'
        + "".join(f'<td class="n">{count:,}</td>' for count in cells)
        + f'<td class="n">{score.cer * 100:.2f} %</td></tr>'
    )


def _differences(board: Board, stem: str) -> str:
    heads = "".join(f'<th scope="col">{escape(report.name)}</th>' for report in board.reports[1:])
    rows = []
    for index, better in enumerate(board.reports[:-1]):
        cells = ["<td></td>"] * index
        for worse in board.reports[index + 1 :]:
            difference = board.between(better, worse)
            comparison = difference.comparison
            link = quote(pair_page(board, difference, stem))
            kind = "better" if comparison.significant else "soft"
            verdict = "not chance" if comparison.significant else "may be chance"
            cells.append(
                f'<td><a href="{link}"><b class="{kind}">{charts.signed(comparison.difference)}</b></a>'
                f"<small>{format_p_value(comparison.p_value)}, {verdict}</small></td>"
            )
        rows.append(f'<tr><th scope="row">{escape(better.name)}</th>{"".join(cells)}</tr>')
    lead = "points of WER, row minus column; each opens the comparison"
    table = f"<thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f"""<h2>Differences <span class="soft small">– {lead}</span></h2>
<div class="card table scroll"><table class="board">{table}</table></div>
<p class="soft small">Matched-pairs test; p with Holm's correction over {len(board.differences)} pairs, so that the
chance of even one false claim among them stays below 5 %.</p>"""


def _breakdowns(board: Board) -> str:
    parts = []
    for field in [breakdown.field for breakdown in board.reports[0].breakdowns]:
        found = [(report, report.breakdown(field)) for report in board.reports]
        highest = max(group.words.error_rate + group.deviation for _, each in found for group in each.groups)
        order = [group.label for group in found[0][1].groups]
        cards = "".join(
            f'<section class="card"><h3>{escape(report.name)}</h3>{charts.bars(breakdown, order, highest)}</section>'
            for report, breakdown in found
        )
        parts.append(f'<h2>{escape(charts.title(found[0][1]))}</h2><div class="grid multiples">{cards}</div>')
    return "".join(parts)
