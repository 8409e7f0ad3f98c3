"""The training loop. It knows modules, losses and time, but nothing of sound: any `Task` can be learned with it.

What it promises: the same seed gives the same run; a run that is stopped or killed at any moment and resumed ends
with the same bits as one that was not; only the work since the last checkpoint is done again.
"""

from __future__ import annotations

import math
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from asr.errors import AsrError, ModelError
from asr.io import clear_unfinished
from asr.nn.machine import release_unused
from asr.nn.precision import Precision, products
from asr.trainer import distributed
from asr.trainer.checkpoint import TrainState, load_checkpoint, save_checkpoint
from asr.trainer.distributed import World
from asr.trainer.logger import Logger, listed, prefixed
from asr.trainer.optimizer import (
    MovingAverage,
    OptimizerConfig,
    ScheduleConfig,
    build_optimizer,
    learning_rate,
    restore,
)

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
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    clip: float = 1.0
    """Largest norm of the gradient; longer ones are scaled down."""
    accumulate: int = 1
    """Batches whose gradients are summed for one update."""
    precision: Precision = "auto"
    """Arithmetic of matrix products, auto is the faster one here; losses are in float32 always."""
    ema_decay: float = 0.999
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
        for name in ("seed", "minutes", "patience", "keep_epochs", "checkpoint_minutes"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if not self.clip > 0:
            raise ValueError("clip must be positive")
        if not 0 <= self.ema_decay < 1:
            raise ValueError("ema_decay must be at least 0 and below 1")


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
        self.optimizer = build_optimizer(self.module, config.optimizer)
        self.average = MovingAverage(self.module, config.ema_decay)
        self.state = TrainState()
        self.logger = Logger(folder, config.epochs, world.is_main)
        self._stop = StopRequest()
        self._stopping = False
        self._clock = time.monotonic()
        self._spent = 0.0

    def run(self) -> TrainState:
        """Learn until the configured epochs are done or patience ends; returns where it ended.

        A first Ctrl-C (or SIGTERM) ends the run after the present update with everything saved, as `KeyboardInterrupt`;
        a second one at once.
        """
        if self.world.is_main:
            clear_unfinished(self.folder)
        distributed.broadcast(self.module, self.world)
        self.logger.start(self.state)
        self._last_saved = self._clock = time.monotonic()
        self._spent = self.state.seconds
        try:
            with self._stop.heeding():
                while self.state.epoch < self.config.epochs and not (self._out_of_patience() or self._out_of_time()):
                    self._epoch()
        finally:
            self.logger.close()
        return self.state

    def _epoch(self) -> None:
        epoch = self.state.epoch
        count = self.task.batches(epoch)
        usable = self.usable(count)
        self.module.train()
        loader = self.task.load(epoch, self.state.batch + self.world.rank, self.world.size)
        while self.state.batch < usable and not self._out_of_time():
            self.update(loader, count)
            self.logger.step(self._now(), usable, self._progress(usable), self.task.summary)
            if self.state.update % RELEASE_EVERY == 0:
                release_unused()
            if self._stopping or time.monotonic() - self._last_saved > 60 * self.config.checkpoint_minutes:
                self._save()
            if self._stopping:
                self.logger.note("stopped; everything so far is saved: go on with --resume")
                raise KeyboardInterrupt
        self._finish_epoch()

    def usable(self, count: int) -> int:
        """How many of an epoch's `count` batches are losses: the last few may fill no whole update of all processes."""
        per_update = self.world.size * self.config.accumulate
        if count < per_update:
            raise AsrError(
                f"an epoch has {count} batches, fewer than the {per_update} of one update",
                "Lower batches.seconds or loop.accumulate, or use fewer processes.",
            )
        # From where the run stands: before it was resumed, an update may have had another number of batches.
        done = self.state.batch
        return done + (count - done) // per_update * per_update

    def update(self, loader: Iterator[Any], count: int) -> None:
        """One optimizer step from the next batches of `loader`; the epoch has `count`."""
        state = self.state
        rate = learning_rate(self.config.schedule, state.update, self._progress(count))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses: list[Loss] = []
        for _ in range(self.config.accumulate):
            batch = next(loader)
            generator = self._seed(state.batch + self.world.rank)
            with products(self.config.precision, self.device):
                loss = self.task.loss(batch, generator)
            (loss.value / self.config.accumulate).backward()
            losses.append(loss)
            state.batch += self.world.size
        distributed.average_gradients(self.module.parameters(), self.world)
        norm, finite, sums = read_out(nn.utils.clip_grad_norm_(self.module.parameters(), self.config.clip), losses)
        bad = [name for loss, fine in zip(losses, finite, strict=True) if not fine for name in loss.faulty()]
        # What all processes must agree on, in one exchange: whether to skip, the amount, whether to stop, the time.
        flags = [float(len(bad)), sum(loss.amount for loss in losses), float(self._stop.requested)]
        flags.append(self._now().seconds / self.world.size)
        bad_losses, amount, stops, self._spent = distributed.total(flags, self.world)
        if math.isfinite(norm) and not bad_losses:
            self.optimizer.step()
            self.average.update(self.module, state.update)
            state.skipped_in_a_row = 0
            for name, value in sums.items():
                state.running[name] = state.running.get(name, 0.0) + value
            state.gradient = norm
        else:
            ids = bad if bad_losses else [name for loss in losses for name in loss.ids]
            self._skip("loss" if bad_losses else "gradient", distributed.gather(ids, self.world))
        self.optimizer.zero_grad(set_to_none=True)
        state.update += 1
        state.audio_seconds += amount
        state.learning_rate = rate
        self._stopping = stops > 0

    def _progress(self, count: int) -> float:
        """Share of the run that is done, by epochs of `count` batches or by minutes, whichever says more."""
        by_epochs = (self.state.epoch + self.state.batch / count) / self.config.epochs
        by_time = self._spent / (60 * self.config.minutes) if self.config.minutes else 0.0
        return max(by_epochs, by_time)

    def _out_of_time(self) -> bool:
        return 0 < 60 * self.config.minutes <= self._spent

    def _seed(self, batch: int) -> torch.Generator:
        """Seed dropout and augmentation from the place in the run, so that resuming needs no saved state."""
        place = np.random.SeedSequence([self.config.seed, self.state.epoch, batch])
        seed = int(place.generate_state(1, np.uint64)[0] >> np.uint64(1))
        torch.manual_seed(seed)
        return torch.Generator().manual_seed(seed)

    def _skip(self, what: str, ids: list[str]) -> None:
        state = self.state
        state.skipped += 1
        state.skipped_in_a_row += 1
        self.logger.skip(state, what, ids)
        if state.skipped_in_a_row >= self.config.tolerated_skips:
            raise AsrError(
                f"{state.skipped_in_a_row} updates in a row had a loss or gradient that was not finite; "
                f"the last held {listed(ids)}",
                "Lower loop.schedule.peak, set loop.precision to float32, or look at these utterances; "
                "then go on with --resume from the last checkpoint.",
            )

    def _finish_epoch(self) -> None:
        state = self.state
        names = sorted(state.running)
        sums = dict(zip(names, distributed.total([state.running[n] for n in names], self.world), strict=True))
        measured = self.task.summary(sums) if sums else {}  # none where every update was skipped
        weights = self.average.weights(self.module)
        validation = self._validate(weights)
        state.epoch += 1
        state.batch = 0
        state.running = {}
        criterion, value = next(iter(validation.items()), ("", math.nan))
        # Without validation, the last epoch is the best that is known; anything is better than what is no number.
        better = not validation or criterion != state.criterion or value < state.best or math.isnan(state.best)
        if better:
            state.best, state.best_epoch, state.criterion = value, state.epoch, criterion
        if self.world.is_main:
            facts = {"epoch": state.epoch, "update": state.update, **measured, **prefixed(validation)}
            if better:
                self.task.save(self.folder / "best", weights, facts)
            self._keep(weights, facts)
        self.logger.epoch(self._now(), measured, validation, better and bool(validation))
        self._save()

    def _validate(self, weights: dict[str, Tensor]) -> dict[str, float]:
        """Validation by the leader, with the averaged weights in place of the raw ones."""
        result: dict[str, float] = {}
        if self.world.is_main:
            raw = {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}
            self.module.load_state_dict(weights)
            self.module.eval()
            with torch.inference_mode():
                result = self.task.validate()
            self.module.load_state_dict(raw)
        return distributed.gather([result], self.world)[0]

    def _keep(self, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
        if not self.config.keep_epochs:
            return
        folder = self.folder / "epochs"
        self.task.save(folder / f"{self.state.epoch:04d}", weights, facts)
        for old in sorted(folder.glob("[0-9]*"))[: -self.config.keep_epochs]:
            shutil.rmtree(old, ignore_errors=True)

    def _out_of_patience(self) -> bool:
        return 0 < self.config.patience <= self.state.epoch - self.state.best_epoch

    def _now(self) -> TrainState:
        now = time.monotonic()
        self.state.seconds += now - self._clock
        self._clock = now
        return self.state

    def _save(self) -> None:
        self._now()
        # The running sums are the leader's alone; given to every process on resuming they add up to an estimate.
        if self.world.is_main:
            states = {
                "module": self.module.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": self.average.shadow,
            }
            save_checkpoint(self.folder / LAST, self.state, states)
        self._last_saved = time.monotonic()

    def restore(self) -> None:
        """Take the state of the last checkpoint. Raises `ModelError` where it is of another network, or torn."""
        self.state, states = load_checkpoint(self.folder / LAST)
        try:
            reason = differences(states["module"], self.module.state_dict())
            if not reason:
                self.module.load_state_dict(states["module"])
                restore(self.optimizer, states["optimizer"])
                self.average.restore(states["average"] or states["module"])
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            reason = str(error)
        if reason:
            raise ModelError(
                f"{self.folder / LAST} does not fit this configuration: {reason}",
                "Resume with the configuration that the run was started with.",
            )

    def forget_best(self) -> None:
        """Have the next epoch be the best: what was measured before was another thing."""
        self.state.criterion, self.state.best_epoch = "", self.state.epoch

    def learn(self, epoch: int, updates: int) -> Iterator[None]:
        """Make at most `updates` of an epoch's updates outside a run: nothing is validated or saved."""
        count = self.task.batches(epoch)
        self.state.epoch, self.state.batch = epoch, 0
        self.module.train()
        loader = self.task.load(epoch, 0, 1)
        for _ in range(min(updates, self.usable(count) // self.config.accumulate)):
            self.update(loader, count)
            yield


def differences(saved: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> str:
    """The first tensor that two states do not share in name and shape, and how many more; "" where all are alike."""
    shapes = [{name: tuple(tensor.shape) for name, tensor in state.items()} for state in (saved, own)]
    different = [name for name in shapes[0] | shapes[1] if shapes[0].get(name) != shapes[1].get(name)]
    if not different:
        return ""
    there, here = (f"of shape {shape[different[0]]}" if different[0] in shape else "missing" for shape in shapes)
    more = f"; {len(different) - 1} more differ" if len(different) > 1 else ""
    return f"{different[0]} is {there} in it and {here} here{more}"


def read_out(norm: Tensor, losses: Sequence[Loss]) -> tuple[float, list[bool], dict[str, float]]:
    """The gradient's norm, which losses are finite, and the sums over all batches.

    All that an update asks of a GPU is asked here, because every question waits for all that it has still to compute.
    """
    sums = [value for loss in losses for value in loss.sums.values() if isinstance(value, Tensor)]
    scalars = [norm, *(loss.value for loss in losses), *sums]
    numbers = iter(torch.stack([scalar.detach().double() for scalar in scalars]).tolist())
    size = next(numbers)
    finite = [math.isfinite(next(numbers)) for _ in losses]
    total: dict[str, float] = {}
    for loss in losses:
        for name, value in loss.sums.items():
            total[name] = total.get(name, 0.0) + (next(numbers) if isinstance(value, Tensor) else value)
    return size, finite, total


class StopRequest:
    """`requested` turns true at the first signal; a second Ctrl-C raises `KeyboardInterrupt` on the spot.

    SIGTERM alone never raises: `torchrun` sends it to processes that a terminal's Ctrl-C has already reached.
    """

    def __init__(self) -> None:
        self.requested = False

    @contextmanager
    def heeding(self) -> Iterator[None]:
        """Heed signals while the block runs. Outside the main thread, where Python allows no handlers, do nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self._heed) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _heed(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
