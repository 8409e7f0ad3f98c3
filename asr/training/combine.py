"""`asr average`: the mean of a run's last models, often better than any one of them; weights halved for shipping."""

from __future__ import annotations

from pathlib import Path

from asr.errors import ModelError
from asr.model.saved import load_saved_model, save_model
from asr.training.average import mean_weights
from asr.weights import read_weights


def average_models(folders: list[Path], output: Path, half: bool = True) -> None:
    """Write the mean of models of the same sizes to the model folder `output`."""
    first = load_saved_model(folders[0])
    for folder in folders[1:]:
        if load_saved_model(folder).config != first.config:
            raise ModelError(f"{folder} has other sizes than {folders[0]}", "Average models of one run.")
    weights = mean_weights([read_weights(folder / "model.safetensors") for folder in folders])
    facts = first.training | {"averaged": [folder.name for folder in folders]}
    save_model(output, first.network, first.tokenizer, first.normaliser, facts, half, weights, first.pronunciations)


def last_models(experiment: Path, count: int) -> list[Path]:
    """The newest `count` epoch models of an experiment folder; its best model for `count` 1."""
    if count == 1:
        return [experiment / "best"]
    found = sorted(path for path in (experiment / "epochs").glob("*") if (path / "config.json").exists())
    if not found:
        raise ModelError(f"{experiment} holds no epoch models", "Is it the output folder of `asr train`?")
    return found[-count:]
