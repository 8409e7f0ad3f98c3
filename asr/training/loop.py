"""The training loop. It knows modules, losses and time, but nothing of sound: any `Task` can be learned with it.

What it promises: the same seed gives the same run; a run that is stopped or killed at any moment and resumed ends
with the same bits as one that was not; only the work since the last checkpoint is done again.
"""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from asr.errors import AsrError, ModelError
from asr.files import clear_unfinished
from asr.precision import Precision, products
from asr.training import distributed
from asr.training.average import MovingAverage
from asr.training.checkpoint import Position, load_checkpoint, save_checkpoint
from asr.training.distributed import World
from asr.training.journal import Journal, listed
from asr.training.memory import release_unused
from asr.training.optimiser import OptimiserConfig, build_optimiser, restore, set_learning_rate
from asr.training.schedule import ScheduleConfig, learning_rate
from asr.training.stopping import StopRequest

LAST = "last.pt"
RELEASE_EVERY = 50


@dataclass(frozen=True)
class LoopConfig:
    """How long and how to learn."""

    epochs: int = 30
    minutes: float = 0.0
    """End after this long, wherever in an epoch, and let the rate fall in time for it; 0 goes by the epochs alone. How
    far a run comes then depends on the machine: it cannot be repeated bit by bit."""
    seed: int = 1
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    clip: float = 1.0
    """Largest norm of the gradient; longer ones are scaled down."""
    accumulate: int = 1
    """Batches whose gradients are summed for one update."""
    precision: Precision = "auto"
    """Arithmetic of matrix products, auto is the faster one here; losses are in float32 always."""
    average_decay: float = 0.999
    """Decay of the moving average of the weights, which is what is validated and saved as the model; 0 turns it off."""
    checkpoint_minutes: float = 5.0
    patience: int = 0
    """Stop after this many epochs without a better validation; 0 never stops early."""
    keep_epochs: int = 5
    """Keep the weights of this many last epochs, for averaging."""
    tolerated_skips: int = 20
    """End the run when this many updates in a row had a loss or gradient that was not finite."""

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulate", "tolerated_skips"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("minutes", "patience", "keep_epochs", "checkpoint_minutes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if not self.clip > 0:
            raise ValueError("clip must be positive")
        if not 0 <= self.average_decay < 1:
            raise ValueError("average_decay must be at least 0 and below 1")


@dataclass(frozen=True)
class Loss:
    """The loss of one batch: a scalar to descend, and sums to report."""

    value: Tensor
    ids: list[str]
    """The utterances in it, for messages."""
    sums: Mapping[str, Tensor | float]
    """Added up over an epoch; reported as `task.summary(sums)`. Scalars that a GPU computes stay there for the loop."""
    amount: float
    """Material in the batch, in the task's unit (seconds of audio)."""
    each: Tensor | None = None
    """(B,), the loss of each of `ids`, where that is known."""

    def faulty(self) -> list[str]:
        """The utterances whose loss is not finite, or all where it is not known whose."""
        if self.each is None:
            return self.ids
        finite = torch.isfinite(self.each).tolist()
        return [name for name, one in zip(self.ids, finite, strict=True) if not one] or self.ids


class Task(Protocol):
    """What is to be learned."""

    @property
    def module(self) -> nn.Module:
        """What learns."""

    def batches(self, epoch: int) -> int:
        """How many batches an epoch has, over all processes."""

    def load(self, epoch: int, first: int, stride: int) -> Iterator[Any]:
        """Batches `first`, `first + stride`, … of an epoch; the same for the same arguments."""

    def loss(self, batch: Any, generator: torch.Generator) -> Loss:
        """Forward pass. All randomness comes from `generator` and PyTorch's own, which the loop has seeded."""

    def summary(self, sums: dict[str, float]) -> dict[str, float]:
        """Measurements of an epoch from the sums of its batches; not asked where there are none."""

    def validate(self) -> dict[str, float]:
        """Measurements on held-out data; the first is the criterion, smaller is better."""

    def save(self, folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Write the module with these weights where a user can load it."""


class Trainer:
    """Runs a task in an experiment folder: `last.pt`, `best/`, `epochs/`, `metrics.jsonl`."""

    def __init__(self, task: Task, config: LoopConfig, folder: Path, world: World, device: torch.device) -> None:
        self.task, self.config, self.folder, self.world, self.device = task, config, folder, world, device
        self.module = task.module.to(device)
        self.optimisers = build_optimiser(self.module, config.optimiser)
        self.average = MovingAverage(self.module, config.average_decay)
        self.position = Position()
        self.journal = Journal(folder, config.epochs, world.leads)
        self._stop = StopRequest()
        self._stopping = False
        self._clock = time.monotonic()
        self._spent = 0.0

    def run(self, resume: bool = False) -> Position:
        """Learn until the configured epochs are done or patience ends; returns where it ended.

        A first Ctrl-C (or SIGTERM) ends the run after the present update with everything saved, as `KeyboardInterrupt`;
        a second one at once.
        """
        if resume:
            self._resume()
        if self.world.leads:
            clear_unfinished(self.folder)
        distributed.broadcast(self.module, self.world)
        self.journal.start(self.position)
        self._last_saved = self._clock = time.monotonic()
        self._spent = self.position.seconds
        try:
            with self._stop.listening():
                while self.position.epoch < self.config.epochs and not (self._out_of_patience() or self._out_of_time()):
                    self._epoch()
        finally:
            self.journal.close()
        return self.position

    def _epoch(self) -> None:
        epoch = self.position.epoch
        count = self.task.batches(epoch)
        usable = self.usable(count)
        self.module.train()
        loader = self.task.load(epoch, self.position.batch + self.world.rank, self.world.size)
        while self.position.batch < usable and not self._out_of_time():
            self.update(loader, count)
            self.journal.step(self._now(), usable, self._progress(usable), self.task.summary)
            if self.position.update % RELEASE_EVERY == 0:
                release_unused()
            if self._stopping or time.monotonic() - self._last_saved > 60 * self.config.checkpoint_minutes:
                self._save()
            if self._stopping:
                self.journal.note("stopped; everything so far is saved: go on with --resume")
                raise KeyboardInterrupt
        self._finish_epoch()

    def usable(self, count: int) -> int:
        """How many of an epoch's `count` batches are heard: the last few may fill no whole update of all processes."""
        per_update = self.world.size * self.config.accumulate
        if count < per_update:
            raise AsrError(
                f"an epoch has {count} batches, fewer than the {per_update} of one update",
                "Lower batches.seconds or loop.accumulate, or use fewer processes.",
            )
        # From where the run stands: before it was resumed, an update may have had another number of batches.
        done = self.position.batch
        return done + (count - done) // per_update * per_update

    def update(self, loader: Iterator[Any], count: int) -> None:
        """One optimiser step from the next batches of `loader`; the epoch has `count`."""
        position = self.position
        rate = learning_rate(self.config.schedule, position.update, self._progress(count))
        set_learning_rate(self.optimisers, rate, self.config.optimiser.muon_scale)
        heard: list[Loss] = []
        for _ in range(self.config.accumulate):
            batch = next(loader)
            generator = self._seed(position.batch + self.world.rank)
            with products(self.config.precision, self.device):
                loss = self.task.loss(batch, generator)
            (loss.value / self.config.accumulate).backward()
            heard.append(loss)
            position.batch += self.world.size
        distributed.average_gradients(self.module.parameters(), self.world)
        norm, finite, sums = read_out(nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip), heard)
        bad = [name for loss, fine in zip(heard, finite, strict=True) if not fine for name in loss.faulty()]
        # What all processes must agree on, in one exchange: whether to skip, what was heard, whether to stop, the time.
        flags = [float(len(bad)), sum(loss.amount for loss in heard), float(self._stop.requested)]
        flags.append(self._now().seconds / self.world.size)
        bad_losses, amount, stops, self._spent = distributed.total(flags, self.world)
        if math.isfinite(norm) and not bad_losses:
            for optimiser in self.optimisers:
                optimiser.step()
            self.average.update(self.module, position.update)
            position.skipped_in_a_row = 0
            for name, value in sums.items():
                position.running[name] = position.running.get(name, 0.0) + value
            position.gradient = norm
        else:
            ids = bad if bad_losses else [name for loss in heard for name in loss.ids]
            self._skip("loss" if bad_losses else "gradient", distributed.gather(ids, self.world))
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
        position.update += 1
        position.audio_seconds += amount
        position.learning_rate = rate
        self._stopping = stops > 0

    def _progress(self, count: int) -> float:
        """Share of the run that is done, by epochs of `count` batches or by minutes, whichever says more."""
        by_epochs = (self.position.epoch + self.position.batch / count) / self.config.epochs
        by_time = self._spent / (60 * self.config.minutes) if self.config.minutes else 0.0
        return max(by_epochs, by_time)

    def _out_of_time(self) -> bool:
        return 0 < 60 * self.config.minutes <= self._spent

    def _seed(self, batch: int) -> torch.Generator:
        """Seed dropout and augmentation from the place in the run, so that resuming needs no saved state."""
        place = np.random.SeedSequence([self.config.seed, self.position.epoch, batch])
        seed = int(place.generate_state(1, np.uint64)[0] >> np.uint64(1))
        torch.manual_seed(seed)
        return torch.Generator().manual_seed(seed)

    def _skip(self, what: str, ids: list[str]) -> None:
        position = self.position
        position.skipped += 1
        position.skipped_in_a_row += 1
        self.journal.skip(position, what, ids)
        if position.skipped_in_a_row >= self.config.tolerated_skips:
            raise AsrError(
                f"{position.skipped_in_a_row} updates in a row had a loss or gradient that was not finite; "
                f"the last held {listed(ids)}",
                "Lower loop.schedule.peak, set loop.precision to float32, or look at these utterances; "
                "then go on with --resume from the last checkpoint.",
            )

    def _finish_epoch(self) -> None:
        position = self.position
        names = sorted(position.running)
        sums = dict(zip(names, distributed.total([position.running[n] for n in names], self.world), strict=True))
        measured = self.task.summary(sums) if sums else {}  # none where every update was skipped
        weights = self.average.weights(self.module)
        validation = self._validate(weights)
        position.epoch += 1
        position.batch = 0
        position.running = {}
        criterion = next(iter(validation.values()), math.nan)
        # Without validation, the last epoch is the best that is known.
        better = not validation or criterion < position.best
        if better:
            position.best, position.best_epoch = criterion, position.epoch
        if self.world.leads:
            facts = {"epoch": position.epoch, "update": position.update, **measured, **validation}
            if better:
                self.task.save(self.folder / "best", weights, facts)
            self._keep(weights, facts)
        self.journal.epoch(self._now(), measured, validation, better and bool(validation))
        self._save()

    def _validate(self, weights: dict[str, Tensor]) -> dict[str, float]:
        """Validation by the leader, with the averaged weights in place of the raw ones."""
        result: dict[str, float] = {}
        if self.world.leads:
            raw = {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}
            self.module.load_state_dict(weights)
            self.module.eval()
            with torch.inference_mode():
                result = self.task.validate()
            self.module.load_state_dict(raw)
        return distributed.leaders(result, self.world)

    def _keep(self, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
        if not self.config.keep_epochs:
            return
        folder = self.folder / "epochs"
        self.task.save(folder / f"{self.position.epoch:04d}", weights, facts)
        for old in sorted(folder.glob("[0-9]*"))[: -self.config.keep_epochs]:
            shutil.rmtree(old, ignore_errors=True)

    def _out_of_patience(self) -> bool:
        waited = self.position.epoch - self.position.best_epoch
        return 0 < self.config.patience <= waited and self.position.epoch > 0

    def _now(self) -> Position:
        now = time.monotonic()
        self.position.seconds += now - self._clock
        self._clock = now
        return self.position

    def _save(self) -> None:
        self._now()
        # The running sums are the leader's alone; given to every process on resuming they add up to an estimate.
        if self.world.leads:
            states = {
                "module": self.module.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "average": self.average.state(),
            }
            save_checkpoint(self.folder / LAST, self.position, states)
        self._last_saved = time.monotonic()

    def _resume(self) -> None:
        self.position, states = load_checkpoint(self.folder / LAST)
        try:
            self.module.load_state_dict(states["module"])
            for optimiser, state in zip(self.optimisers, states["optimisers"], strict=True):
                restore(optimiser, state)
            self.average.restore(states["average"])
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise ModelError(
                f"{self.folder / LAST} does not fit this configuration: {error}",
                "Resume with the configuration that the run was started with.",
            ) from error


def read_out(norm: Tensor, heard: Sequence[Loss]) -> tuple[float, list[bool], dict[str, float]]:
    """The gradient's norm, which losses are finite, and the sums over all batches.

    All that an update asks of a GPU is asked here, because every question waits for all that it has still to compute.
    """
    sums = [value for loss in heard for value in loss.sums.values() if isinstance(value, Tensor)]
    scalars = [norm, *(loss.value for loss in heard), *sums]
    numbers = iter(torch.stack([scalar.detach().double() for scalar in scalars]).tolist())
    size = next(numbers)
    finite = [math.isfinite(next(numbers)) for _ in heard]
    total: dict[str, float] = {}
    for loss in heard:
        for name, value in loss.sums.items():
            total[name] = total.get(name, 0.0) + (next(numbers) if isinstance(value, Tensor) else value)
    return size, finite, total
