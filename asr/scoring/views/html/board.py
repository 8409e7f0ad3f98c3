"""The page of several systems: their error rates side by side, every difference, the breakdowns of each."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import quote

from asr.scoring.breakdown import Breakdown
from asr.scoring.report import Board, Difference, Report, describe_inputs, notices
from asr.scoring.significance import format_p_value
from asr.scoring.views.html import charts
from asr.scoring.views.html.page import assemble


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
        f"{escape(describe_inputs(board.reports[0]))}</p></header>"
        + "".join(f'<p class="notice">{escape(line)}</p>' for line in lines)
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
    bounds = f"{interval.low * 100:.2f} to {interval.high * 100:.2f} %" if interval.exists else "none"
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
            link = quote(pair_page(board, difference, stem))
            kind = "better" if difference.significant else "soft"
            verdict = "not chance" if difference.significant else "may be chance"
            cells.append(
                f'<td><a href="{link}"><b class="{kind}">{charts.signed(difference.comparison.difference)}</b></a>'
                f"<small>{format_p_value(difference.p_value)}, {verdict}</small></td>"
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
        found = [(report, _of(report, field)) for report in board.reports]
        highest = max(group.words.error_rate + group.deviation for _, each in found for group in each.groups)
        order = [group.label for group in found[0][1].groups]
        cards = "".join(
            f'<section class="card"><h3>{escape(report.name)}</h3>{charts.bars(breakdown, order, highest)}</section>'
            for report, breakdown in found
        )
        unit = f" ({found[0][1].unit})" if found[0][1].unit else ""
        title = escape(re.sub(r"_", " ", field).removesuffix(" db") + unit)
        parts.append(f'<h2>By {title}</h2><div class="grid multiples">{cards}</div>')
    return "".join(parts)


def _of(report: Report, field: str) -> Breakdown:
    return next(each for each in report.breakdowns if each.field == field)
