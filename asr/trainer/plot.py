"""The picture of a run: loss, validation and learning rate over the hours heard, or over the updates."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

from asr.io import write_whole
from asr.trainer.logger import read_metrics

PICTURE = "curves.png"
PREFIX = "validation_"
RATES = ("wer", "cer", "words_wrong")
"""Measurements that are fractions, drawn in percent."""
COLORS = ("#b3261e", "#e08e45", "#5b7f3a")


def draw_curves(folder: Path) -> Path | None:
    """Draw `metrics.jsonl` of a run as `curves.png`; nothing when nothing was measured yet. Needs matplotlib."""
    from matplotlib.figure import Figure

    records = read_metrics(folder)
    steps = [record for record in records if record["kind"] == "step"]
    epochs = [record for record in records if record["kind"] == "epoch"]
    if not steps + epochs:
        return None
    validated = list(dict.fromkeys(name for record in epochs for name in record if name.startswith(PREFIX)))
    figure = Figure(figsize=(8, 6 if validated else 3.5), layout="constrained")
    panels = figure.subplots(2 if validated else 1, 1, sharex=True, squeeze=False)[:, 0]
    by_hours = any(record["audio_hours"] for record in steps + epochs)

    def along(records: list[dict[str, Any]]) -> list[float]:
        return [record["audio_hours" if by_hours else "update"] for record in records]

    if steps and epochs:
        panels[0].plot(along(steps), _values(steps, "loss"), color="#9db4d6", lw=1)
    shown = epochs or steps
    panels[0].plot(along(shown), _values(shown, "loss"), color="#1f4e9c", marker=".", label="loss, nats")
    panels[0].set_ylabel("training loss")
    for name, color in zip(validated, COLORS, strict=False):
        short = name.removeprefix(PREFIX)
        values = [(100 if short in RATES else 1) * value for value in _values(epochs, name)]
        label = f"{short.upper() if len(short) == 3 else short.replace('_', ' ')}{', %' if short in RATES else ''}"
        panels[-1].plot(along(epochs), values, color=color, marker=".", label=label)
        panels[-1].set_ylabel("validation")
        panels[-1].set_ylim(bottom=0)
    panels[-1].set_xlabel("hours of speech heard" if by_hours else "updates")
    rate = panels[-1].twinx()
    measured = steps or epochs
    rate.plot(along(measured), _values(measured, "learning_rate"), color="#bbbbbb", lw=1)
    rate.set_ylabel("learning rate", color="#888888")
    for axes in panels:
        axes.spines[["top"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=120)
    with write_whole(folder / PICTURE, "wb") as file:
        file.write(target.getvalue())
    return folder / PICTURE


def _values(records: list[dict[str, Any]], name: str) -> list[float]:
    """A measurement of each record: a gap in the line where it is missing, as every update so far was skipped."""
    return [record.get(name, math.nan) for record in records]
