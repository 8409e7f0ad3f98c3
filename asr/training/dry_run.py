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
from asr.training.run import as_yaml, describe

TIMED_UPDATES = 3


def rehearse(config: ExperimentConfig) -> Iterator[str]:
    """The resolved configuration, data statistics, sizes, and the expected time from a few real updates."""
    yield as_yaml(config)
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        task = AcousticTask(replace(config, output=Path(scratch)), device)
        yield from describe(task)
        trainer = Trainer(task, config.loop, Path(scratch), distributed.World(), device)
        trainer.module.train()
        count = task.batches(config.ascending_epochs)
        trainer.position.epoch = config.ascending_epochs
        loader = task.load(config.ascending_epochs, 0, 1)
        trainer.update(loader, count)  # the first pays for allocation and is not timed
        heard, start = trainer.position.audio_seconds, time.monotonic()
        for _ in range(min(TIMED_UPDATES, count - 1)):
            trainer.update(loader, count)
        speed = (trainer.position.audio_seconds - heard) / (time.monotonic() - start)
    hours = sum(task.stream.hours(config.ascending_epochs).values())
    yield f"{speed:.0f} seconds of audio a second: {clock(hours * 3600 / speed)} an epoch, "
    yield f"{clock(config.loop.epochs * hours * 3600 / speed)} for {config.loop.epochs} epochs, validation not included"
