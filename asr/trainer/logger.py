"""What a run tells: a live line on a terminal, `metrics.jsonl` always, TensorBoard where it is installed.

Of the records there is a picture: loss, validation and learning rate over the hours heard, or over the updates.
"""

from __future__ import annotations

import io
import json
import math
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import IO, Any

from asr.errors import AsrError
from asr.io import write_whole
from asr.trainer.checkpoint import TrainState

METRICS = "metrics.jsonl"
EVERY_UPDATES = 50
QUIET_SECONDS = 60.0

Summary = Callable[[dict[str, float]], dict[str, float]]


class Logger:
    """Writes and shows the measurements of one run. Only the leading process speaks."""

    def __init__(self, folder: Path, epochs: int, speaks: bool) -> None:
        self.folder, self.epochs, self.speaks = folder, epochs, speaks
        self._file: IO[str] | None = None
        self._live: Any = None
        self._board: Any = None
        self._shown = 0.0

    def start(self, state: TrainState) -> None:
        """Open; on resuming, forget records of work that will be done again."""
        self._heard_before = state.audio_seconds
        self._first_share: float | None = None
        self._started = time.monotonic()
        if not self.speaks:
            return
        # An epoch's closing record bears its last update's number, yet the epoch may have to be closed once more.
        old = read_metrics(self.folder)
        kept = [r for r in old if r["update"] <= state.update and r["epoch"] <= state.epoch]
        with write_whole(self.folder / METRICS) as file:
            file.writelines(json.dumps(record) + "\n" for record in kept)
        self._file = (self.folder / METRICS).open("a", encoding="utf-8")
        self._board = _tensorboard(self.folder, state.update)
        if sys.stderr.isatty():
            from rich.console import Console

            self._live = Console(stderr=True).status("starting")
            self._live.start()

    def step(self, state: TrainState, batches: int, share: float, summary: Summary) -> None:
        """After each update; the epoch has `batches` and this `share` of the run is done."""
        measured = summary(state.running) if state.running else {}
        if state.update % EVERY_UPDATES == 0:
            self._record("step", state, measured)
        now = time.monotonic()
        if self.speaks and now - self._shown > (0.25 if self._live else QUIET_SECONDS):
            self._shown = now
            line = self._line(state, batches, share, measured)
            if self._live:
                self._live.update(line)
            else:
                print(line, file=sys.stderr, flush=True)

    def skip(self, state: TrainState, what: str, ids: list[str]) -> None:
        """An update was skipped because its loss or gradient was not finite; `ids` names whose."""
        self._write({"kind": "skip", "update": state.update + 1, "epoch": state.epoch, "what": what, "ids": ids})
        self.note(f"skipped update {state.update + 1}, its {what} was not finite: {listed(ids)}")

    def epoch(self, state: TrainState, measured: dict[str, float], validation: dict[str, float], better: bool) -> None:
        """After each epoch and its validation."""
        self._record("epoch", state, measured | prefixed(validation))
        words = [f"epoch {state.epoch}/{self.epochs}", *_format(measured)]
        if validation:
            words += ["validation", *_format(validation)]
        words += ["(best so far)"] if better else []
        # A task without sound, such as a language model, counts no hours.
        amount = f"{state.audio_seconds / 3600:.1f} h heard in " if state.audio_seconds else ""
        words.append(amount + clock(state.seconds))
        self.note("  ".join(words))

    def note(self, text: str) -> None:
        """One line for the reader."""
        if not self.speaks:
            return
        if self._live:
            self._live.console.print(text, highlight=False, markup=False)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Close files and the live line."""
        if self._live:
            self._live.stop()
        if self._board:
            self._board.close()
        if self._file is not None:
            # After a full disk, closing fails as the write did; the first error is the one to tell.
            with suppress(OSError):
                self._file.close()

    def _record(self, kind: str, state: TrainState, measured: dict[str, float]) -> None:
        values = measured | {"learning_rate": state.learning_rate, "gradient": state.gradient}
        record = {
            "kind": kind,
            "update": state.update,
            "epoch": state.epoch,
            "seconds": round(state.seconds, 1),
            "audio_hours": round(state.audio_seconds / 3600, 3),
            "skipped": state.skipped,
        } | {name: float(f"{value:.6g}") for name, value in values.items()}
        self._write(record)
        if self._board:
            for name, value in values.items():
                self._board.add_scalar(f"{kind}/{name}", value, state.update)

    def _write(self, record: dict[str, Any]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(record) + "\n")
            self._file.flush()
        except OSError as error:
            reason = error.strerror or str(error)
            raise AsrError(
                f"cannot write {self.folder / METRICS}: {reason}", "Free some space; --resume goes on."
            ) from error

    def _line(self, state: TrainState, batches: int, share: float, measured: dict[str, float]) -> str:
        if self._first_share is None:
            self._first_share = share
        done = share - self._first_share
        spent = time.monotonic() - self._started
        left = clock(spent / done * max(0.0, 1 - share)) if done > 0 else "?"
        speed = (state.audio_seconds - self._heard_before) / max(spent, 1e-9)
        words = [f"epoch {state.epoch + 1}/{self.epochs}", f"batch {state.batch}/{batches}", *_format(measured)]
        words += [f"rate {state.learning_rate:.1e}", *([f"{speed:.0f} h/h"] if speed else []), f"{left} left"]
        return "  ".join(words)


PREFIX = "validation_"


def prefixed(validation: dict[str, float]) -> dict[str, float]:
    """Measurements on held-out data under names that those in training do not have."""
    return {PREFIX + name: value for name, value in validation.items()}


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All whole records of a run's `metrics.jsonl`; a line torn by a crash is left out."""
    try:
        lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    records = []
    for line in lines:
        with suppress(json.JSONDecodeError):
            records.append(json.loads(line))
    return records


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def listed(ids: list[str], most: int = 8) -> str:
    """Utterance ids for a message, the first few of many."""
    return ", ".join(ids[:most]) + (f" and {len(ids) - most} more" if len(ids) > most else "")


def _format(values: dict[str, float]) -> list[str]:
    return [f"{name.replace('_', ' ')} {value:.4g}" for name, value in values.items()]


def _tensorboard(folder: Path, update: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=update + 1)


PICTURE = "curves.png"
RATES = ("wer", "cer", "words_wrong")
"""Measurements that are fractions, drawn in percent."""
COLORS = ("#b3261e", "#e08e45", "#5b7f3a", "#6a4c93", "#3d8d91")


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
    panels[0].plot(along(shown), _values(shown, "loss"), color="#1f4e9c", marker=".", label="training")
    panels[0].set_ylabel("loss, nats")
    for name, color in zip(validated, cycle(COLORS), strict=False):
        short = name.removeprefix(PREFIX)
        values = [(100 if short in RATES else 1) * value for value in _values(epochs, name)]
        label = f"{short.upper() if len(short) == 3 else short.replace('_', ' ')}{', %' if short in RATES else ''}"
        if short in epochs[-1]:  # a loss: it belongs beside the one in training
            panels[0].plot(along(epochs), _values(epochs, short), color=color, ls="--", label=label)
            panels[0].plot(along(epochs), values, color=color, marker=".", label=f"{label}, validation")
            continue
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
