"""Experiments of the recurrent language model on small texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from asr.training.rnn_lm import RecurrentExperiment
from asr.training.run import read_experiment, run_task


def configured(
    train: Sequence[Path], validation: Sequence[Path], output: Path, settings: Sequence[str]
) -> RecurrentExperiment:
    """The experiment of a YAML file beside `output` with `key.sub=value` settings."""
    path = output.with_suffix(".yaml")
    data = {"task": "rnn_lm", "train": list(map(str, train)), "validation": list(map(str, validation))}
    path.write_text(yaml.safe_dump(data | {"output": str(output)}))
    experiment: Any = read_experiment(path, settings)
    return experiment


def trained(experiment: RecurrentExperiment, resume: bool = False) -> Path:
    """The folder of the best model, after training."""
    run_task(experiment, resume)
    return experiment.output / "best"
