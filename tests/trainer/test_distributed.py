"""Two processes under torchrun learn what one does with two batches to an update."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from asr.trainer.checkpoint import load_checkpoint
from asr.training.run import run_task
from tests.training.experiments import experiment

OVERRIDES = ["loop.precision=float32", "loop.epochs=2", "loop.patience=2"]


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)


def test_two_processes_agree_with_one(tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    (tmp_path / "one").mkdir()
    two = experiment(tmp_path / "two", *OVERRIDES)
    done = torchrun("asr.cli.main", "train", str(tmp_path / "two" / "tones.yaml"), *OVERRIDES)
    assert done.returncode == 0, done.stderr
    one = experiment(tmp_path / "one", *OVERRIDES, "loop.accumulate=2")
    run_task(one, quiet=True)
    (ours, our_states), (theirs, their_states) = (load_checkpoint(c.output / "last.pt") for c in (two, one))
    assert (ours.epoch, ours.update) == (theirs.epoch, theirs.update) == (2, 4)
    assert (ours.best, ours.best_epoch) == (theirs.best, theirs.best_epoch)
    assert ours.audio_seconds == theirs.audio_seconds
    torch.testing.assert_close(our_states["module"], their_states["module"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(our_states["average"], their_states["average"], rtol=1e-4, atol=1e-5)
    epochs = [line for line in done.stderr.splitlines() if line.startswith("epoch 2/2  loss")]
    assert len(epochs) == 1, "only the leader speaks"


@pytest.mark.slow
def test_processes_skip_stop_and_end_together(tmp_path: Path) -> None:
    done = torchrun("tests.trainer.two_processes", str(tmp_path))
    assert done.returncode == 0, done.stderr
    leader, other = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert leader == other
    assert (leader["skipped"], leader["patience"], leader["stopped"]) == (1, 3, 4)
    assert leader["ended"].endswith("the last held 0-3")
    assert "skipped update 1, its loss was not finite: 0-1" in done.stderr
