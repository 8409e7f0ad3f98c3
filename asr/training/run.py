"""What `asr train` does: configuration in, an experiment folder with the best model out."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from asr.config import apply_overrides, read_yaml, validate
from asr.errors import UsageError
from asr.features.augment import WaveformAugmentConfig
from asr.files import make_folder, write_text
from asr.model.acoustic import parameters
from asr.precision import chosen
from asr.training import distributed
from asr.training.checkpoint import Position
from asr.training.experiment import AcousticTask, ExperimentConfig, check
from asr.training.loop import LAST, Trainer
from asr.training.overfit import fit_by_heart

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONFIG = "config.yaml"


def read_experiment(path: Path, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """The configuration of a YAML file with `key.sub=value` overrides; `output` defaults to exp/<file name>."""
    data = {"output": f"exp/{path.stem}"} | read_yaml(path)
    config = validate(ExperimentConfig, apply_overrides(data, overrides), str(path))
    check(config)
    return config


def train(config: ExperimentConfig, resume: bool = False, quiet: bool = False) -> Position:
    """Train as configured; the best model is `<output>/best`, everything to go on from is `<output>/last.pt`."""
    if not resume and (config.output / LAST).exists():
        raise UsageError(
            f"{config.output} already holds a run", "Go on with --resume, or choose another output=…, or delete it."
        )
    if config.threads:
        torch.set_num_threads(config.threads)
    world = distributed.join_world()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        make_folder(config.output)
        task = _build(config, device, world, quiet or not world.leads)
        trainer = Trainer(task, config.loop, config.output, world, device)
        if world.leads:
            text = as_yaml(resolved(task))
            changed = changes(config.output / CONFIG, text) if resume else []
            write_text(config.output / CONFIG, text)
            for line in [*changed, *describe(task)]:
                trainer.journal.note(line)
        position = trainer.run(resume)
        if world.leads:
            _draw(config.output)
        distributed.wait_for_all(world)  # nobody leaves while another still needs the connection
        return position
    finally:
        distributed.leave_world()


def overfit(config: ExperimentConfig, count: int) -> tuple[float, int]:
    """Prove that everything learns: fit `count` utterances by heart. Returns their word error rate and the updates."""
    learning = replace(
        config,
        train=config.train[:1],
        validation=[],
        acoustic=replace(config.acoustic, encoder=replace(config.acoustic.encoder, dropout=0.0)),
        spec_augment=None,
        waveform=WaveformAugmentConfig(),
        ascending_epochs=0,
    )
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as scratch:  # a run's own folder may hold the tokenizer of other texts
        task = AcousticTask(replace(learning, output=Path(scratch)), device, only=count)
    return fit_by_heart(task, config.loop)


def resolved(task: AcousticTask) -> ExperimentConfig:
    """The task's configuration with the network's true sizes, which `init_from` may have decided."""
    return replace(task.config, acoustic=task.module.config)


def changes(former: Path, text: str) -> list[str]:
    """Which settings of the configuration file `former` are others in the YAML `text`, a line each."""
    if not former.exists():
        return []
    before, after = _leaves(read_yaml(former)), _leaves(yaml.safe_load(text))
    different = [key for key in before | after if before.get(key) != after.get(key)]
    return [f"changed since the run began: {key} {before.get(key)} → {after.get(key)}" for key in different]


def describe(task: AcousticTask) -> list[str]:
    """What a run is about to learn from and with."""
    config = task.config
    hours = task.stream.hours(0)
    arithmetic = str(chosen(config.loop.precision, task.device)).removeprefix("torch.")
    lines = [f"{name}: {value:.2f} h an epoch" for name, value in hours.items()]
    lines.append(f"{sum(hours.values()):.2f} h an epoch in {task.batches(0)} batches")
    lines.append(
        f"{parameters(task.module) / 1e6:.2f} M parameters, {len(task.tokenizer.vocabulary)} tokens, "
        f"{1 / task.module.frame_seconds:.1f} steps a second, {config.loop.epochs} epochs, in {arithmetic}"
    )
    return lines


def as_yaml(config: DataclassInstance) -> str:
    """A whole configuration, defaults included."""
    return yaml.safe_dump(_plain(asdict(config)), sort_keys=False, allow_unicode=True)


def _build(config: ExperimentConfig, device: torch.device, world: distributed.World, quiet: bool) -> AcousticTask:
    """The leader first: it decodes audio and trains the tokenizer that the others then find on disk."""
    if world.size == 1:
        return AcousticTask(config, device, quiet)
    task = AcousticTask(config, device, quiet) if world.leads else None
    distributed.wait_for_all(world)
    return task or AcousticTask(config, device, quiet)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return os.fspath(value) if isinstance(value, Path) else value


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Nested settings as one mapping of dotted keys."""
    if not isinstance(value, dict):
        return {path: value}
    parts = [_leaves(item, f"{path}.{key}" if path else key) for key, item in value.items()]
    return {key: item for part in parts for key, item in part.items()}


def _draw(folder: Path) -> None:
    try:
        from asr.training.curves import draw_curves
    except ImportError:
        return
    draw_curves(folder)
