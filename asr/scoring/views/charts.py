"""Charts as inline SVG, drawn once by the report: they print, and need no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from asr.scoring.bootstrap import Interval
from asr.scoring.breakdown import Breakdown, Group

WIDTH = 360  # units of the view box: close to a card's width, so that text keeps its size
SHOWN = 30  # groups drawn; a corpus of 2,000 speakers stays readable
_ROW = 24
_RIGHT = 54  # for the rate behind a bar
_Z = 1.96


def bars(breakdown: Breakdown, order: Sequence[str] = (), highest: float | None = None) -> str:
    """WER of every group as a horizontal bar; the line across its end is the 95 % range of sampling.

    Charts side by side share the `order` of their labels and the `highest` rate of their axis.
    """
    places = {label: index for index, label in enumerate(order)}
    groups = sorted(breakdown.groups, key=lambda group: places.get(group.label, 0))[:SHOWN]
    labels = [_cut(group.label, 18) for group in groups]
    left = 12 + 6.6 * max(map(len, labels))
    most = max(group.words.error_rate + group.deviation for group in groups) if highest is None else highest
    scale = (WIDTH - left - _RIGHT) / _nice(most)
    rows = [
        _bar(group, label, index, left, scale) for index, (group, label) in enumerate(zip(groups, labels, strict=True))
    ]
    return _chart("".join(rows), len(groups) * _ROW, f"WER by {breakdown.field}")


def _bar(group: Group, label: str, index: int, left: float, scale: float) -> str:
    top, middle = index * _ROW + 4, index * _ROW + 12
    limit = WIDTH - left - _RIGHT
    width = min(group.words.error_rate * scale, limit)
    low = max(0.0, group.words.error_rate - _Z * group.deviation) * scale
    high = min((group.words.error_rate + _Z * group.deviation) * scale, limit)
    title = (
        f"{group.label}: WER {group.words.error_rate * 100:.2f} %, {group.words.errors:,} errors in "
        f"{group.words.reference:,} words, {group.utterances:,} utterances"
    )
    return (
        f"<g><title>{escape(title)}</title>"
        f'<text x="{left - 8:.1f}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>'
        f'<rect class="track" x="{left:.1f}" y="{top}" width="{limit:.1f}" height="16" rx="4"/>'
        f'<rect class="bar" x="{left:.1f}" y="{top}" width="{max(width, 1):.1f}" height="16" rx="4"/>'
        f'<line class="whisker" x1="{left + low:.1f}" x2="{left + high:.1f}" y1="{middle}" y2="{middle}"/>'
        f'<text x="{WIDTH}" y="{middle + 4}" text-anchor="end">{group.words.error_rate * 100:.1f} %</text></g>'
    )


def strip(estimate: float, intervals: Sequence[Interval], around_zero: bool = False) -> str:
    """Intervals one under the other on a common axis, the estimate as a dot; values in per cent."""
    if not intervals:
        return ""
    low = min([estimate, *(interval.low for interval in intervals)] + ([0.0] if around_zero else []))
    high = max([estimate, *(interval.high for interval in intervals)] + ([0.0] if around_zero else []))
    margin = max(high - low, 1e-4) * 0.12
    low, high = (low - margin, high + margin) if around_zero else (max(0.0, low - margin), high + margin)

    def x(value: float) -> float:
        return 10 + (value - low) / (high - low) * (WIDTH - 20)

    show = signed if around_zero else _percent
    parts = []
    height = 46 * len(intervals)
    if around_zero:
        anchor = "start" if x(0) < WIDTH / 3 else "end" if x(0) > WIDTH * 2 / 3 else "middle"
        parts.append(
            f'<text class="muted" x="{x(0):.1f}" y="{height + 10}" text-anchor="{anchor}">no difference</text>'
        )
    for index, interval in enumerate(intervals):
        y = 46 * index + 32
        doubtful = "" if interval.trusted else " doubtful"
        bounds = f"{show(interval.low)} to {show(interval.high)}"
        if around_zero:
            parts.append(f'<line class="axis" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="{y - 9}" y2="{y + 9}"/>')
        parts.append(
            f'<text class="muted" x="10" y="{y - 14}">95 % over {interval.units:,} {interval.unit}</text>'
            f'<text x="{WIDTH - 10}" y="{y - 14}" text-anchor="end">{bounds}</text>'
            f'<line class="span{doubtful}" x1="{x(interval.low):.1f}" x2="{x(interval.high):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="dot" cx="{x(estimate):.1f}" cy="{y}" r="6"/>'
        )
    return _chart("".join(parts), height + (14 if around_zero else 0), "95 % intervals")


def span(estimate: float, interval: Interval, highest: float) -> str:
    """One interval on an axis from zero to `highest`, the estimate as a dot."""
    scale = (WIDTH - 20) / _nice(highest)
    doubtful = "" if interval.trusted else " doubtful"
    line = (
        f'<line class="span{doubtful}" x1="{10 + interval.low * scale:.1f}" x2="{10 + interval.high * scale:.1f}" '
        'y1="12" y2="12"/>'
    )
    drawn = f'<circle class="dot" cx="{10 + estimate * scale:.1f}" cy="12" r="6"/>'
    return _chart((line if interval.exists else "") + drawn, 24, "95 % interval")


def histogram(counts: Sequence[tuple[str, int]], title: str) -> str:
    """Upright bars of `counts`, each with its label beneath and its number above."""
    height, bottom = 132, 112
    highest = max((count for _, count in counts), default=0) or 1
    step = WIDTH / max(len(counts), 1)
    parts = []
    for index, (label, count) in enumerate(counts):
        size = (bottom - 20) * count / highest
        center = step * (index + 0.5)
        parts.append(
            f'<rect class="bar" x="{step * index + 3:.1f}" y="{bottom - size:.1f}" width="{step - 6:.1f}" '
            f'height="{max(size, 1):.1f}" rx="3"/>'
            f'<text class="muted" x="{center:.1f}" y="{bottom - size - 5:.1f}" text-anchor="middle">{count:,}</text>'
            f'<text x="{center:.1f}" y="{bottom + 16}" text-anchor="middle">{escape(label)}</text>'
        )
    return _chart("".join(parts), height, title)


def split(parts: Sequence[tuple[str, int]]) -> str:
    """One bar divided in proportion; each part is a class name and its size."""
    whole = sum(size for _, size in parts) or 1
    start, drawn = 0.0, []
    for name, size in parts:
        width = 1000 * size / whole
        drawn.append(f'<rect class="{name}" x="{start:.2f}" y="0" width="{width:.2f}" height="12"/>')
        start += width
    return f'<svg viewBox="0 0 1000 12" preserveAspectRatio="none" aria-hidden="true">{"".join(drawn)}</svg>'


def _chart(content: str, height: float, title: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">{content}</svg>'
    )


def _nice(value: float) -> float:
    """The end of an axis: a little above the largest value, never zero."""
    return max(value * 1.02, 1e-6)


def title(breakdown: Breakdown) -> str:
    """What its groups differ in: `By speaking rate (words/s)`."""
    unit = f" ({breakdown.unit})" if breakdown.unit else ""
    return f"By {breakdown.field.replace('_', ' ').removesuffix(' db')}{unit}"


def signed(value: float) -> str:
    """A difference in percentage points, with its sign."""
    return f"{value * 100:+.2f}".replace("-", "−")


def _percent(value: float) -> str:
    return f"{value * 100:.2f} %"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
