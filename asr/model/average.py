"""`asr average`: the mean of several models, often better than any one of them; weights halved for shipping.

The mean of weights works where training has taken the models from the same place to others in its neighborhood: the
last epochs of a run, or a model and what went on from it (model soups, Wortsman et al. 2022).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from asr.errors import ModelError
from asr.model.acoustic import AcousticConfig
from asr.model.bundle import SavedModel, load_saved_model, save_model
from asr.model.folder import ModelFolder


def average_models(folders: list[Path], output: Path, half: bool = True) -> None:
    """Write the mean of models of the same sizes and tokens to the model folder `output`; the rest is the first one's.

    Raises `ModelError` for models that differ in more than their weights and dropout.
    """
    first, *others = map(load_saved_model, folders)
    for other in others:
        _check_alike(first, other)
    models = [model.network.state_dict() for model in (first, *others)]
    weights = {name: torch.stack([model[name] for model in models]).mean(dim=0) for name in models[0]}
    facts = first.training | {"averaged": [_name(folder) for folder in folders]}
    if [output.resolve()] != [folder.resolve() for folder in folders]:
        # What a model that was there before has said of its own weights; one that is only halved still says it.
        for stale in (ModelFolder(output).calibration, ModelFolder(output).phone_ngram):
            stale.unlink(missing_ok=True)
    save_model(
        output,
        first.network,
        first.tokenizer,
        first.normalizer,
        facts,
        half,
        weights,
        first.lexicon,
        first.phone_ngram,
    )


def last_models(experiment: Path, count: int) -> list[Path]:
    """The newest `count` epoch models of an experiment folder; its best model for `count` 1."""
    if count == 1:
        return [experiment / "best"]
    found = sorted(path for path in (experiment / "epochs").glob("*") if (path / "config.json").exists())
    if not found:
        raise ModelError(f"{experiment} holds no epoch models", "Is it the output folder of `asr train`?")
    return found[-count:]


def _check_alike(first: SavedModel, other: SavedModel) -> None:
    hint = "Average models of one run, or one that began from the other."
    if _sizes(other.config) != _sizes(first.config):
        raise ModelError(f"{other.path} has other sizes than {first.path}", hint)
    if other.tokenizer.vocabulary != first.tokenizer.vocabulary:
        raise ModelError(f"{other.path} writes other tokens than {first.path}", hint)


def _sizes(config: AcousticConfig) -> AcousticConfig:
    """The configuration less its dropout, which matters in training only."""
    return replace(config, encoder=replace(config.encoder, dropout=0.0))


def _name(folder: Path) -> str:
    """ "0007" for an epoch; "run" for the best of a run, which are all named alike."""
    return folder.resolve().parent.name if folder.name == "best" else folder.name
