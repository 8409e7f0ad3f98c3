"""`asr train --dry-run`: everything about a run except the run."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch

from asr.training import distributed
from asr.training.experiment import AcousticTask, ExperimentConfig
from asr.training.journal import clock
from asr.training.loop import Trainer
from asr.training.run import as_yaml, describe, resolved

TIMED_UPDATES = 3


def rehearse(config: ExperimentConfig) -> Iterator[str]:
    """The resolved configuration, data statistics, sizes, and the expected time from a few real updates."""
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        task = AcousticTask(replace(config, output=Path(scratch)), device)
        yield as_yaml(replace(resolved(task), output=config.output))
        yield from describe(task)
        speed = measure(Trainer(task, config.loop, Path(scratch), distributed.World(), device), config.ascending_epochs)
    hours = sum(task.stream.hours(config.ascending_epochs).values())
    yield f"{speed:.0f} seconds of audio a second: {clock(hours * 3600 / speed)} an epoch, "
    yield f"{clock(config.loop.epochs * hours * 3600 / speed)} for {config.loop.epochs} epochs, validation not included"


def measure(trainer: Trainer, epoch: int) -> float:
    """Seconds of audio learned from in a second of computing, from a few updates of an epoch."""
    count = trainer.task.batches(epoch)
    trainer.position.epoch = epoch
    trainer.module.train()
    # The first update pays for allocation and is not timed, unless an epoch has no more.
    updates = min(1 + TIMED_UPDATES, trainer.usable(count) // trainer.config.accumulate)
    loader = trainer.task.load(epoch, 0, 1)
    heard, start = 0.0, time.monotonic()
    for number in range(updates):
        trainer.update(loader, count)
        if number == 0 and updates > 1:
            heard, start = trainer.position.audio_seconds, time.monotonic()
    return max(1e-9, (trainer.position.audio_seconds - heard) / (time.monotonic() - start))
