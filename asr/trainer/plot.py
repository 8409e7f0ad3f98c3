"""The picture of a run: loss, error rate and learning rate over its epochs."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

from asr.io import write_whole
from asr.trainer.logger import read_metrics

PICTURE = "curves.png"


def draw_curves(folder: Path) -> Path | None:
    """Draw `metrics.jsonl` of a run as `curves.png`; nothing when no epoch is done. Needs matplotlib."""
    from matplotlib.figure import Figure

    records = read_metrics(folder)
    steps = [record for record in records if record["kind"] == "step"]
    epochs = [record for record in records if record["kind"] == "epoch"]
    if not epochs:
        return None
    figure = Figure(figsize=(8, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    hours = [record["audio_hours"] for record in epochs]
    upper.plot([record["audio_hours"] for record in steps], _losses(steps), color="#9db4d6", lw=1)
    upper.plot(hours, _losses(epochs), color="#1f4e9c", marker=".", label="loss, nats per token")
    upper.set_ylabel("training loss")
    upper.legend(frameon=False)
    for name, color in (("wer", "#b3261e"), ("cer", "#e08e45")):
        values = [record.get(f"validation_{name}") for record in epochs]
        if any(value is not None for value in values):
            percent = [float("nan") if value is None else 100 * value for value in values]
            lower.plot(hours, percent, color=color, marker=".", label=name.upper())
    lower.set_ylabel("validation errors, %")
    lower.set_ylim(bottom=0)
    lower.set_xlabel("hours of speech heard")
    if lower.lines:
        lower.legend(frameon=False)
    rate = lower.twinx()
    rate.plot([record["audio_hours"] for record in steps], [r["learning_rate"] for r in steps], color="#bbbbbb", lw=1)
    rate.set_ylabel("learning rate", color="#888888")
    for axes in (upper, lower):
        axes.spines[["top"]].set_visible(False)
        axes.grid(alpha=0.25)
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=120)
    with write_whole(folder / PICTURE, "wb") as file:
        file.write(target.getvalue())
    return folder / PICTURE


def _losses(records: list[dict[str, Any]]) -> list[float]:
    """The loss of each record: a gap in the line where every update so far in the epoch was skipped."""
    return [record.get("loss", math.nan) for record in records]
