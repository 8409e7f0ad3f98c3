from __future__ import annotations

import os

import torch

from tests.benchmarks import training


def test_the_comparison_runs(capsys):
    cores, threads = os.sched_getaffinity(0), torch.get_num_threads()
    training.main(["--layers", "2", "--width", "8", "--batch", "2", "--rounds", "1", "--threads", "1"])
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert line[0] == "1"
    assert all(float(value) > 0 for value in line[1:])
    assert os.sched_getaffinity(0) == cores
    torch.set_num_threads(threads)
