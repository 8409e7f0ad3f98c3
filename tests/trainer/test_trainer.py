"""The loop on a task without sound: a line through points, one weight and one bias."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from asr.errors import AsrError
from asr.trainer.checkpoint import TrainState, load_checkpoint, save_checkpoint
from asr.trainer.distributed import World
from asr.trainer.logger import Logger, draw_curves, read_metrics
from asr.trainer.optimizer import OptimizerConfig, ScheduleConfig, build_optimizer, restore
from asr.trainer.trainer import LoopConfig, Loss, Trainer


@dataclass
class Line:
    """Six batches of four points an epoch; `criteria` are what successive validations find."""

    criteria: list[float] = field(default_factory=list)
    spoilt: dict[tuple[int, int], str] = field(default_factory=dict)
    """(epoch, batch) whose "loss" or "gradient" is not finite."""
    module: nn.Module = field(default_factory=lambda: nn.Linear(1, 1))
    saved: list[str] = field(default_factory=list)
    validations: int = 0

    def __post_init__(self) -> None:
        for parameter in self.module.parameters():
            nn.init.zeros_(parameter)

    def batches(self, epoch: int) -> int:
        return 6

    def load(self, epoch: int, first: int, stride: int) -> Iterator[tuple[int, int]]:
        return iter([(epoch, number) for number in range(first, 6, stride)])

    def points(self, epoch: int, number: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(4, 1, generator=torch.Generator().manual_seed(10 * epoch + number))
        return x, 3 * x + 1

    def loss(self, batch: tuple[int, int], generator: torch.Generator) -> Loss:
        x, y = self.points(*batch)
        value = (self.module(x).float() - y).square().mean()
        if self.spoilt.get(batch) == "loss":
            value = value * math.nan
        if self.spoilt.get(batch) == "gradient":
            value = value + (self.module.bias * 0).sqrt().sum()  # a derivative of infinity times zero
        return Loss(value, [f"{batch[0]}-{batch[1]}"], {"loss": value.detach(), "batches": 1.0}, 3600.0)

    def summary(self, sums: dict[str, float]) -> dict[str, float]:
        return {"loss": sums["loss"] / sums["batches"]}

    def validate(self) -> dict[str, float]:
        self.validations += 1
        return {"wrong": self.criteria[self.validations - 1]} if self.criteria else {}

    def save(self, folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
        self.saved.append(f"{folder.name}@{facts['epoch']}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model").write_text(str(facts["epoch"]))


def config(**changes: Any) -> LoopConfig:
    schedule = ScheduleConfig(peak=0.05, warmup_updates=1, decay_from=1.0)
    settings = {"epochs": 2, "schedule": schedule, "precision": "float32", "ema_decay": 0.0, "clip": 1e9}
    return LoopConfig(**(settings | changes))


def trainer(task: Line, folder: Path, **changes: Any) -> Trainer:
    return Trainer(task, config(**changes), folder, World(), torch.device("cpu"))


def resumed(subject: Trainer) -> TrainState:
    subject.restore()
    return subject.run()


def weights(task: Line) -> list[float]:
    return [float(parameter.detach().sum()) for parameter in task.module.parameters()]


def test_it_learns_the_line(tmp_path: Path) -> None:
    task = Line()
    trainer(task, tmp_path, epochs=25).run()
    assert weights(task) == pytest.approx([3.0, 1.0], abs=0.05)


def test_an_accumulated_update_moves_along_the_mean_gradient(tmp_path: Path) -> None:
    task = Line()
    subject = trainer(task, tmp_path, accumulate=3, optimizer=OptimizerConfig(weight_decay=0.0))
    subject.logger.start(subject.state)
    subject.update(task.load(0, 0, 1), 6)
    alone = nn.Linear(1, 1)
    alone.load_state_dict({name: torch.zeros_like(value) for name, value in alone.state_dict().items()})
    optimizer = build_optimizer(alone, OptimizerConfig(weight_decay=0.0))
    for group in optimizer.param_groups:
        group["lr"] = 0.05
    x, y = (torch.cat(parts) for parts in zip(*[task.points(0, number) for number in range(3)], strict=True))
    (alone(x) - y).square().mean().backward()
    optimizer.step()
    for ours, theirs in zip(task.module.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert (subject.state.update, subject.state.batch) == (1, 3)


def test_batches_that_do_not_fill_an_update_are_not_heard(tmp_path: Path) -> None:
    state = trainer(Line(), tmp_path, accumulate=4, epochs=2).run()
    assert (state.update, state.audio_seconds) == (2, 8 * 3600.0)


@pytest.mark.parametrize(("accumulate", "updates"), [(2, 3 + 1 + 3), (3, 3 + 1 + 2), (4, 3 + 0 + 1)])
def test_a_run_goes_on_with_another_number_of_batches_to_an_update(
    tmp_path: Path, accumulate: int, updates: int
) -> None:
    class Stopped(Line):
        def loss(self, batch: tuple[int, int], generator: torch.Generator) -> Loss:
            if batch == (0, 2):
                signal.raise_signal(signal.SIGINT)
            return super().loss(batch, generator)

    with pytest.raises(KeyboardInterrupt):
        trainer(Stopped(), tmp_path).run()
    assert load_checkpoint(tmp_path / "last.pt")[0].batch == 3
    state = resumed(trainer(Line(), tmp_path, accumulate=accumulate))
    assert (state.epoch, state.update) == (2, updates)


def test_an_epoch_too_small_for_an_update_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AsrError, match="6 batches, fewer than the 7 of one update"):
        trainer(Line(), tmp_path, accumulate=7).run()


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_what_is_not_finite_is_skipped_counted_and_named(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = Line(spoilt={(0, 2): kind, (1, 5): kind})
    subject = trainer(task, tmp_path, epochs=2)
    state = subject.run()
    assert (state.update, state.skipped) == (12, 2)
    assert all(math.isfinite(weight) for weight in weights(task))
    assert f"skipped update 3, its {kind} was not finite: 0-2" in capsys.readouterr().err
    skips = [record for record in read_metrics(tmp_path) if record["kind"] == "skip"]
    assert [(record["update"], record["what"], record["ids"]) for record in skips] == [
        (3, kind, ["0-2"]),
        (12, kind, ["1-5"]),
    ]


def test_a_skipped_update_changes_nothing(tmp_path: Path) -> None:
    task = Line(spoilt={(0, 0): "loss"})
    subject = trainer(task, tmp_path)
    subject.logger.start(subject.state)
    loader = task.load(0, 0, 1)
    subject.update(loader, 6)
    assert weights(task) == [0.0, 0.0]
    assert not subject.optimizer.state
    subject.update(loader, 6)
    assert weights(task) != [0.0, 0.0]


def test_too_many_skips_in_a_row_end_the_run(tmp_path: Path) -> None:
    task = Line(spoilt={(0, 1): "loss", (0, 3): "loss", (0, 4): "loss", (0, 5): "loss"})
    with pytest.raises(AsrError, match=r"3 updates in a row .* the last held 0-5") as caught:
        trainer(task, tmp_path, tolerated_skips=3).run()
    assert "schedule.peak" in caught.value.hint
    assert trainer(Line(spoilt=task.spoilt), tmp_path, tolerated_skips=4).run().skipped == 4


def test_skips_are_counted_over_epochs_that_learn_nothing(tmp_path: Path) -> None:
    spoilt = {(epoch, number): "loss" for epoch in (1, 2) for number in range(6)}
    with pytest.raises(AsrError, match=r"8 updates in a row .* the last held 2-1"):
        trainer(Line(spoilt=spoilt), tmp_path, epochs=3, tolerated_skips=8).run()
    epochs = [record for record in read_metrics(tmp_path) if record["kind"] == "epoch"]
    assert ["loss" in record for record in epochs] == [True, False]
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    assert draw_curves(tmp_path) == tmp_path / "curves.png"


def test_patience(tmp_path: Path) -> None:
    task = Line(criteria=[0.5, 0.4, 0.6, 0.4, 0.7, 0.1])
    state = trainer(task, tmp_path, epochs=6, patience=3).run()
    assert (state.epoch, state.best, state.best_epoch) == (5, 0.4, 2)
    assert [name for name in task.saved if name.startswith("best")] == ["best@1", "best@2"]
    assert (tmp_path / "best/model").read_text() == "2"


def test_patience_outlives_a_resumed_run(tmp_path: Path) -> None:
    trainer(Line(criteria=[0.4, 0.5]), tmp_path, epochs=2, patience=2).run()
    state = resumed(trainer(Line(criteria=[0.6, 0.1]), tmp_path, epochs=6, patience=2))
    assert (state.epoch, state.best_epoch) == (3, 1)


def test_what_was_best_by_another_criterion_is_no_measure(tmp_path: Path) -> None:
    trainer(Line(criteria=[0.4]), tmp_path, epochs=1).run()
    path = tmp_path / "last.pt"
    state, states = load_checkpoint(path)
    assert state.criterion == "wrong"
    save_checkpoint(path, replace(state, criterion="another"), states)
    state = resumed(trainer(Line(criteria=[0.9, 0.95]), tmp_path, epochs=3))
    assert (state.best, state.best_epoch, state.criterion) == (0.9, 2, "wrong")


def test_what_is_no_number_is_never_the_best_for_long(tmp_path: Path) -> None:
    state = trainer(Line(criteria=[math.nan, 0.5, math.nan, 0.6]), tmp_path, epochs=4).run()
    assert (state.best, state.best_epoch) == (0.5, 2)


def test_without_validation_the_last_epoch_is_the_best(tmp_path: Path) -> None:
    task = Line()
    assert trainer(task, tmp_path, epochs=3, keep_epochs=2).run().epoch == 3
    assert (tmp_path / "best/model").read_text() == "3"
    assert sorted(path.name for path in (tmp_path / "epochs").iterdir()) == ["0002", "0003"]


def test_the_moving_average_is_what_is_saved_and_the_raw_weights_are_what_learns(tmp_path: Path) -> None:
    task = Line()
    subject = trainer(task, tmp_path, epochs=1, ema_decay=0.99)
    subject.run()
    average = subject.average.weights(task.module)
    assert 0 < float(average["weight"]) < weights(task)[0]
    saved = load_checkpoint(tmp_path / "last.pt")[1]
    assert float(saved["average"]["weight"]) == float(average["weight"])
    assert float(saved["module"]["weight"]) == weights(task)[0]


def test_clipping_bounds_the_gradient(tmp_path: Path) -> None:
    task = Line()
    subject = trainer(task, tmp_path, clip=0.1)
    subject.logger.start(subject.state)
    seen: list[float] = []
    subject.optimizer.register_step_pre_hook(
        lambda *_: seen.append(float(torch.cat([p.grad.reshape(-1) for p in task.module.parameters()]).norm()))
    )
    subject.update(task.load(0, 0, 1), 6)
    assert seen == [pytest.approx(0.1, rel=1e-4)]
    assert subject.state.gradient > 1


def test_every_parameter_is_moved_once_and_matrices_alone_decay() -> None:
    module = nn.Sequential(nn.Conv1d(2, 3, 1), nn.Linear(4, 5), nn.LayerNorm(5))
    groups = build_optimizer(module, OptimizerConfig()).param_groups
    moved = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(moved) == sorted(id(parameter) for parameter in module.parameters())
    assert all(p.ndim > 1 for group in groups if group["weight_decay"] for p in group["params"])


def test_a_restored_optimizer_keeps_its_own_settings_and_the_saved_moments() -> None:
    module = nn.Linear(3, 2)
    before = build_optimizer(module, OptimizerConfig(weight_decay=0.1))
    module(torch.ones(1, 3)).sum().backward()
    before.step()
    after = build_optimizer(module, OptimizerConfig(weight_decay=0.3))
    restore(after, before.state_dict())
    assert [group["weight_decay"] for group in after.param_groups] == [0.3, 0.0]
    for parameter in module.parameters():
        assert torch.equal(after.state[parameter]["exp_avg"], before.state[parameter]["exp_avg"])


def test_resuming_forgets_records_of_work_that_is_done_again(tmp_path: Path) -> None:
    records = [
        {"kind": "epoch", "update": 4, "epoch": 1},
        {"kind": "step", "update": 6, "epoch": 1},
        {"kind": "epoch", "update": 8, "epoch": 2},  # written, but the checkpoint stands just before it
        {"kind": "step", "update": 9, "epoch": 2},
    ]
    lines = [json.dumps(record) for record in records]
    (tmp_path / "metrics.jsonl").write_text("\n".join([*lines, '{"kind": "st']), encoding="utf-8")
    logger = Logger(tmp_path, epochs=5, speaks=True)
    logger.start(TrainState(epoch=1, update=8))
    logger.close()
    assert read_metrics(tmp_path) == records[:2]


def test_a_run_of_minutes_ends_in_time_at_the_lowest_rate(tmp_path: Path) -> None:
    task = Line(criteria=[0.0] * 1000)
    schedule = ScheduleConfig(peak=0.05, warmup_updates=1)
    there = trainer(task, tmp_path, epochs=1_000_000, minutes=0.02, schedule=schedule, keep_epochs=0)
    state = there.run()
    assert 1.2 <= state.seconds < 3
    assert state.epoch == task.validations > 1  # the last epoch was cut short and still judged
    assert state.learning_rate < 0.05 * 0.02
    assert resumed(trainer(task, tmp_path, epochs=1_000_000, minutes=0.02)) == state


def test_a_run_that_ends_before_its_minutes_goes_by_epochs(tmp_path: Path) -> None:
    state = trainer(Line(), tmp_path, epochs=2, minutes=60.0).run()
    assert (state.epoch, state.update) == (2, 12)
