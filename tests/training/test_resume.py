"""A run that is stopped, crashes or is killed at any moment, and resumed, ends with the bits of an unbroken one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from asr.trainer.checkpoint import TrainState, load_checkpoint
from asr.trainer.distributed import World
from asr.trainer.trainer import Trainer
from asr.training.acoustic import AcousticExperiment, AcousticTask
from asr.training.run import run_task
from tests.training.experiments import Interrupted, experiment, learned, same

UPDATES = 12


class Crash(BaseException):
    """The end of a process, as far as anything on disk can tell."""


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = experiment(tmp_path_factory.mktemp("unbroken"))
    state = begin(config)
    assert (state.epoch, state.update) == (3, UPDATES)
    return config.output


def metrics(folder: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def begin(config: AcousticExperiment, before: Any = lambda *where: None, resume: bool = False) -> TrainState:
    """Train in this process with `before` called at every step, whatever it raises."""
    config.output.mkdir(parents=True, exist_ok=True)
    task = Interrupted(AcousticTask(config, torch.device("cpu"), quiet=True), before)
    trainer = Trainer(task, config.loop, config.output, World(), torch.device("cpu"))
    if resume:
        trainer.restore()
    return trainer.run()


def assert_as_unbroken(folder: Path, unbroken: Path) -> None:
    assert same(learned(folder), learned(unbroken))
    assert metrics(folder) == metrics(unbroken)
    for model in ("best", "epochs/0001", "epochs/0003"):
        ours, theirs = (where / model / "model.safetensors" for where in (folder, unbroken))
        assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize("update", [1, 4, 6, UPDATES])
def test_stopped_by_ctrl_c_inside_any_update(tmp_path: Path, unbroken: Path, update: int) -> None:
    config = experiment(tmp_path)

    def before(place: str, count: int) -> None:
        if (place, count) == ("loss", update):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        begin(config, before)
    assert load_checkpoint(config.output / "last.pt")[0].update == update
    assert begin(config, resume=True).update == UPDATES
    assert_as_unbroken(config.output, unbroken)


@pytest.mark.parametrize(
    ("where", "minutes"),
    [(("loss", 7), 0), (("loss", 7), 60), (("validate", 2), 0), (("save", 2), 60), (("save", 4), 0)],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else f"checkpoints every {value} min",
)
def test_crashed_at_any_place(tmp_path: Path, unbroken: Path, where: tuple[str, int], minutes: int) -> None:
    config = experiment(tmp_path, f"loop.checkpoint_minutes={minutes}")

    def before(*here: Any) -> None:
        if here == where:
            raise Crash

    with pytest.raises(Crash):
        begin(config, before)
    begin(config, resume=(config.output / "last.pt").exists())
    assert_as_unbroken(config.output, unbroken)


def test_stopped_again_and_again(tmp_path: Path, unbroken: Path) -> None:
    config = experiment(tmp_path)

    def before(place: str, count: int) -> None:
        if (place, count) == ("loss", 5):
            signal.raise_signal(signal.SIGTERM)

    for resume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            begin(config, before, resume)
    begin(config, resume=True)
    assert_as_unbroken(config.output, unbroken)


def test_a_stopped_run_has_its_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    config = experiment(tmp_path)
    loss = AcousticTask.loss

    def stopping(task: AcousticTask, *arguments: Any) -> Any:
        if (tmp_path / "run/epochs/0001").exists():
            signal.raise_signal(signal.SIGINT)
        return loss(task, *arguments)

    monkeypatch.setattr(AcousticTask, "loss", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_task(config, quiet=True)
    assert (config.output / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_second_ctrl_c_ends_at_once_and_keeps_the_last_checkpoint(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    outer = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has its background jobs ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, outer))
    config = experiment(tmp_path)

    def before(place: str, count: int) -> None:
        if (place, count) == ("loss", 6):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        begin(config, before)
    assert load_checkpoint(config.output / "last.pt")[0].update == 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_killed_for_real(tmp_path: Path, unbroken: Path) -> None:
    overrides = ["loop.epochs=8", "loop.checkpoint_minutes=0", "loop.keep_epochs=2"]
    config = experiment(tmp_path, *overrides)
    command = [sys.executable, "-m", "asr.cli.main", "train", str(tmp_path / "tones.yaml"), *overrides]
    process = subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    while not (config.output / "epochs" / "0002").exists():
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert load_checkpoint(config.output / "last.pt")[0].epoch < 8
    (config.output / "best" / ".model.safetensors.x1.part").write_bytes(b"half")
    begin(config, resume=True)
    (tmp_path / "whole").mkdir()
    whole = experiment(tmp_path / "whole", *overrides)
    begin(whole)
    assert same(learned(config.output), learned(whole.output))
    assert metrics(config.output) == metrics(whole.output)
    assert not list(config.output.rglob("*.part"))
