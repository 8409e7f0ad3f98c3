"""The summary for a terminal: colors where there is one, plain lines where the output is piped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from asr.scoring.bootstrap import Interval
from asr.scoring.breakdown import Breakdown
from asr.scoring.report import Board, Report, describe_inputs, notices
from asr.scoring.result import ScoredUtterance
from asr.scoring.significance import format_p_value

SHOWN = 8
_BAR = 24
_PLAIN = {"–": "-", "−": "-", "█": "#", "…": ".", "→": ">", "’": "'"}  # for encodings without these


def print_report(report: Report, console: Console | None = None, by: tuple[str, ...] = (), worst: int = 0) -> None:
    """Print the summary of `report`; `by` are the fields whose breakdown is printed too, `worst` how many utterances.

    Control characters are shown as `�`: a hypothesis must not steer the terminal.
    """
    _print(_lines(report, by, worst), console)


def print_board(board: Board, console: Console | None = None, by: tuple[str, ...] = ()) -> None:
    """Print a table of systems and their differences, with the breakdowns named in `by`."""
    _print(_board_lines(board, by), console)


def _print(lines: Iterable[Text], console: Console | None) -> None:
    console = console or Console(highlight=False)
    encoding = getattr(console.file, "encoding", None) or "utf-8"
    for line in lines:
        line.plain = _printable(line.plain, encoding)
        console.print(line, soft_wrap=True)


def _printable(text: str, encoding: str) -> str:
    """`text` in letters that steer no terminal and that its encoding can write, one for each."""
    shown = [letter if letter.isprintable() else "�" for letter in text]
    return "".join(letter if letter.encode(encoding, "ignore") else _PLAIN.get(letter, "?") for letter in shown)


def _lines(report: Report, by: tuple[str, ...], worst: int) -> Iterator[Text]:
    score, words = report.score, report.score.words
    yield Text.assemble(("WER ", "bold"), (f"{score.wer * 100:.2f} %", "bold cyan"), f"   {report.name}")
    yield Text(
        f"  {words.errors:,} errors in {words.reference:,} words: {words.substitutions:,} substitutions, "
        f"{words.deletions:,} deletions, {words.insertions:,} insertions"
    )
    yield _interval(report.over_utterances)
    if report.over_speakers is not None:
        yield _interval(report.over_speakers)
    yield Text(
        f"CER {score.cer * 100:.2f} % with spaces, {score.cer_without_spaces * 100:.2f} % without"
        f"   MER {score.mer * 100:.2f} %   WIL {score.wil * 100:.2f} %"
    )
    yield Text(
        f"{score.utterances_with_errors:,} of {len(score.utterances):,} utterances "
        f"({score.utterance_error_rate * 100:.1f} %) have an error"
    )
    yield _how(report)
    yield from (Text(line, "yellow") for line in notices(report))
    if report.vocabulary is not None:
        share = report.vocabulary
        yield Text(
            f"{share.share * 100:.1f} % of the wrong words are outside the vocabulary "
            f"({share.outside:,} of {share.words:,} words are)"
        )
    yield from _most_frequent(report)
    for breakdown in report.breakdowns:
        if breakdown.field in by:
            yield from _breakdown(breakdown)
    for utterance in report.worst[:worst]:
        yield Text("")
        yield Text.assemble((utterance.id, "bold"), f"  {utterance.words.errors} errors")
        yield _aligned(utterance)
    if report.comparison is not None:
        yield Text("")
        yield Text.assemble((f"Against {report.baseline} ", "bold"), f"WER {report.comparison.first.wer * 100:.2f} %")
        yield Text(report.conclusion, "bold green" if report.comparison.significant else "")


def _interval(interval: Interval) -> Text:
    if not interval.exists:
        return Text(f"  no interval over {interval.unit}: {interval.note}", "yellow")
    text = f"  95 % interval over {interval.units:,} {interval.unit}: {interval}"
    return Text(text) if interval.trusted else Text(f"{text} – not reliable: {interval.note}", "yellow")


def _how(report: Report) -> Text:
    text = f"normalizer {report.score.normalizer}, alignment {report.score.aligner}"
    text += ", letter case folded" if report.score.case_folded else ""
    if report.score.raw_words is not None:
        text += f"; WER without the normalizer {report.score.raw_words.error_rate * 100:.2f} %"
    inputs = describe_inputs(report)
    return Text(f"{text}; {inputs}" if inputs else text, "dim")


def _most_frequent(report: Report) -> Iterator[Text]:
    confusions = report.confusions
    pairs = [f"({left} -> {right}) {count}" for (left, right), count in confusions.substitutions.most_common(SHOWN)]
    for title, items in [
        ("substituted", pairs),
        ("deleted", [f"{word} {count}" for word, count in confusions.deletions.most_common(SHOWN)]),
        ("inserted", [f"{word} {count}" for word, count in confusions.insertions.most_common(SHOWN)]),
    ]:
        if items:
            yield Text.assemble((f"most often {title}: ", "dim"), ", ".join(items))


def _aligned(utterance: ScoredUtterance) -> Text:
    """The errors among the right words: `[reference -> hypothesis]`, `[-deleted]`, `[+inserted]`."""
    line = Text("  ")
    for kind, reference, hypothesis in utterance.pairs:
        if kind == "replace":
            line.append(f"[{reference} -> {hypothesis}] ", "yellow")
        elif kind == "delete":
            line.append(f"[-{reference}] ", "red")
        elif kind == "insert":
            line.append(f"[+{hypothesis}] ", "blue")
        else:
            line.append(f"{reference} ")
    line.rstrip()
    return line


def _breakdown(breakdown: Breakdown) -> Iterator[Text]:
    unit = f" ({breakdown.unit})" if breakdown.unit else ""
    yield Text("")
    yield Text(f"by {breakdown.field}{unit}", "bold")
    width = max(len(group.label) for group in breakdown.groups)
    highest = max(group.words.error_rate for group in breakdown.groups) or 1.0
    for group in breakdown.groups:
        bar = "█" * round(_BAR * group.words.error_rate / highest)
        yield Text.assemble(
            f"  {group.label:<{width}}  {group.words.error_rate * 100:6.2f} %  ",
            (f"{bar:<{_BAR}}", "cyan"),
            f"  {group.words.reference:,} words, {group.utterances:,} utterances",
        )


def _board_lines(board: Board, by: tuple[str, ...]) -> Iterator[Text]:
    width = max(len(report.name) for report in board.reports)
    first = board.reports[0]
    yield Text(f"{len(board.reports)} systems on {len(first.score.utterances):,} utterances", "bold")
    for report in board.reports:
        words, interval = report.score.words, report.interval
        bounds = str(interval) if interval.exists else "no interval"
        doubt = "" if interval.trusted else " (not reliable)"
        yield Text.assemble(
            (f"  {report.name:<{width}}  ", "bold"),
            (f"{report.score.wer * 100:6.2f} %", "cyan"),
            f"  {bounds}{doubt}   {words.substitutions:,} S, {words.deletions:,} D, {words.insertions:,} I",
        )
    yield _how(first)
    for report in board.reports:
        yield from (Text(f"{report.name}: {line}", "yellow") for line in notices(report))
    yield Text("")
    yield Text(f"Differences (matched pairs, Holm's correction over {len(board.differences)})", "bold")
    for each in board.differences:
        points = f"{each.comparison.difference * 100:+.2f} points, {format_p_value(each.comparison.p_value)}"
        verdict = "chance does not explain it" if each.comparison.significant else "may be chance"
        style = "green" if each.comparison.significant else ""
        yield Text(f"  {each.second.name} against {each.first.name}: {points}: {verdict}", style)
    for field in by:
        yield from _board_breakdown(board, field)


def _board_breakdown(board: Board, field: str) -> Iterator[Text]:
    rates = [
        {group.label: group.words.error_rate for group in report.breakdown(field).groups} for report in board.reports
    ]
    width = max(map(len, rates[0]))
    yield Text("")
    yield Text(f"by {field}: {', '.join(report.name for report in board.reports)}", "bold")
    for label in rates[0]:
        yield Text(f"  {label:<{width}}  " + "  ".join(f"{rate[label] * 100:6.2f} %" for rate in rates))
