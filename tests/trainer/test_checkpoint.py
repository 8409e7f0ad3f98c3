"""Checkpoints: read back exactly; torn, foreign and hostile files refused by name; a full disk told."""

from __future__ import annotations

import pickle
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from asr.errors import AsrError, ModelError
from asr.trainer.checkpoint import TrainState, load_checkpoint, save_checkpoint
from asr.trainer.distributed import World
from asr.trainer.trainer import LoopConfig, Trainer
from tests.trainer.test_trainer import Line


def test_read_back(tmp_path: Path) -> None:
    state = TrainState(epoch=3, batch=2, update=14, seconds=1.5, best=0.25, best_epoch=2, running={"loss": 2.0})
    save_checkpoint(tmp_path / "last.pt", state, {"module": {"w": torch.arange(3.0)}})
    again, states = load_checkpoint(tmp_path / "last.pt")
    assert again == state
    assert torch.equal(states["module"]["w"], torch.arange(3.0))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_torn_file_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "last.pt"
    save_checkpoint(path, TrainState(), {"module": {"w": torch.zeros(1000)}})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=r"last\.pt is damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {"module": {}},
        {"state": 3},
        {"state": {"epoch": "three"}},
        {"state": {"running": [1]}},
        torch.zeros(2),
    ],
    ids=str,
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "last.pt")
    with pytest.raises(ModelError, match=r"last\.pt is damaged or not a checkpoint"):
        load_checkpoint(tmp_path / "last.pt")


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_a_hostile_file_runs_nothing(tmp_path: Path, writer: str) -> None:
    path, mark = tmp_path / "last.pt", tmp_path / "harm"
    trap = {"state": {}, "module": Trap(mark)}
    if writer == "torch":
        torch.save(trap, path)
    else:
        path.write_bytes(pickle.dumps(trap, protocol=2))
    with pytest.raises(ModelError, match=r"last\.pt"):
        load_checkpoint(path)
    assert not mark.exists()


def test_no_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no checkpoint") as caught:
        load_checkpoint(tmp_path / "last.pt")
    assert "--resume" in caught.value.hint


@pytest.mark.parametrize(
    "states",
    [
        {},
        {"module": {"weight": torch.zeros(2, 2)}, "optimizer": {}, "average": {}},
        {"module": [1], "optimizer": {}, "average": {}},
        {"module": {"weight": torch.zeros(1, 1), "bias": torch.zeros(1)}, "optimizer": {}, "average": {}},
        {"module": {"weight": torch.zeros(1, 1), "bias": torch.zeros(1)}, "optimizer": 3, "average": {}},
    ],
    ids=["nothing", "other shapes", "no state", "no optimizer state", "no optimizer"],
)
def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path, states: dict[str, object]) -> None:
    save_checkpoint(tmp_path / "last.pt", TrainState(epoch=1), states)
    with pytest.raises(ModelError, match=r"last\.pt does not fit this configuration"):
        Trainer(Line(), LoopConfig(epochs=2), tmp_path, World(), torch.device("cpu")).restore()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let writes beyond `size` bytes of a file fail, as they do on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("capsys")
@pytest.mark.parametrize(("size", "file"), [(50_000, "last.pt"), (300, "metrics.jsonl")])
def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path: Path, size: int, file: str) -> None:
    (tmp_path / "last.pt").write_bytes(b"former")
    (tmp_path / "metrics.jsonl").write_text('{"kind": "step", "update": 0, "epoch": 0}\n' * 6)
    module = torch.nn.Sequential(torch.nn.Linear(1, 20000), torch.nn.Linear(20000, 1))
    trainer = Trainer(Line(module=module), LoopConfig(epochs=2), tmp_path, World(), torch.device("cpu"))
    with largest_file(size), pytest.raises(AsrError, match=f"cannot write {tmp_path / file}: File too large"):
        trainer.run()
    assert (tmp_path / "last.pt").read_bytes() == b"former"
    assert not list(tmp_path.glob(".*.part"))
