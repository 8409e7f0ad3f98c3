"""The kernels for a GPU, interpreted on a CPU, against those for a CPU; tests/training/test_cuda.py runs them there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from asr.nn import gru_cpu
from tests.nn.gru_loops import everything

pytest.importorskip("triton")


def test_the_same_numbers(tmp_path: Path) -> None:
    file = tmp_path / "interpreted.pt"
    command = [sys.executable, "-m", "tests.nn.gru_loops", file]
    subprocess.run(command, env=os.environ | {"TRITON_INTERPRET": "1"}, check=True)
    interpreted = torch.load(file)
    expected = everything(gru_cpu)
    assert interpreted.keys() == expected.keys()
    for case, arrays in expected.items():
        assert arrays[0].any()
        for ours, theirs in zip(interpreted[case], arrays, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
