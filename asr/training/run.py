"""What `asr train` does: configuration in, an experiment folder with the best model out."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import yaml

from asr.config import apply_overrides, read_yaml, validate
from asr.errors import UsageError
from asr.features.augment import WaveformAugmentConfig
from asr.io import make_folder, write_text
from asr.model.acoustic import parameters
from asr.nn.precision import chosen, products
from asr.trainer import distributed
from asr.trainer.checkpoint import TrainState
from asr.trainer.logger import clock
from asr.trainer.trainer import LAST, LoopConfig, Trainer
from asr.training.acoustic import AcousticTask, ExperimentConfig, check
from asr.training.punctuation import PunctuationExperiment

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONFIG = "config.yaml"


def read_experiment(path: Path, overrides: Sequence[str] = ()) -> ExperimentConfig | PunctuationExperiment:
    """The configuration of a YAML file with `key.sub=value` overrides; `output` defaults to exp/<file name>.

    Its `task` says what is trained: `acoustic`, if it is not given, or `punctuation`.
    """
    data = apply_overrides({"output": f"exp/{path.stem}"} | read_yaml(path), overrides)
    task = data.pop("task", "acoustic")
    if task == "punctuation":
        return validate(PunctuationExperiment, data, str(path))
    if task != "acoustic":
        raise UsageError(f"{path}: task {task!r} is not known", "Known here: acoustic, punctuation.")
    config = validate(ExperimentConfig, data, str(path))
    check(config)
    return config


def train(config: ExperimentConfig, resume: bool = False, quiet: bool = False) -> TrainState:
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
        task = _build(config, device, world, quiet or not world.is_main)
        trainer = Trainer(task, config.loop, config.output, world, device)
        if world.is_main:
            text = as_yaml(resolved(task))
            changed = changes(config.output / CONFIG, text) if resume else []
            write_text(config.output / CONFIG, text)
            for line in [*changed, *describe(task)]:
                trainer.logger.note(line)
        state = trainer.run(resume)
        if world.is_main:
            _draw(config.output)
        distributed.wait_for_all(world)  # nobody leaves while another still needs the connection
        return state
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
        sortagrad_epochs=0,
    )
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as scratch:  # a run's own folder may hold the tokenizer of other texts
        task = AcousticTask(replace(learning, output=Path(scratch)), device, only=count)
    return overfit_test(task, config.loop)


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
    task = AcousticTask(config, device, quiet) if world.is_main else None
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
        from asr.trainer.plot import draw_curves
    except ImportError:
        return
    draw_curves(folder)


MOST_UPDATES = 600
WARMUP_UPDATES = 10
LOOK_EVERY = 20


def overfit_test(task: AcousticTask, config: LoopConfig) -> tuple[float, int]:
    """Train on the task's utterances until greedy decoding returns every word; (word error rate, updates used)."""
    module = task.module.to(task.device).train()
    optimizer = torch.optim.AdamW(module.parameters())
    wer = 1.0
    epoch = 0
    update = 0
    while update < MOST_UPDATES:
        for batch in task.load(epoch, 0, 1):
            for group in optimizer.param_groups:
                group["lr"] = config.schedule.peak * min(1.0, (update + 1) / WARMUP_UPDATES)
            with products(config.precision, task.device):
                loss = task.loss(batch, torch.Generator().manual_seed(update))
            optimizer.zero_grad()
            loss.value.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), config.clip)
            optimizer.step()
            update += 1
            if update % LOOK_EVERY == 0:
                wer = task.training_wer()
                task.report(f"update {update}: loss {loss.value.item():.3f}, WER {wer:.1%}")
                if wer == 0.0:
                    return wer, update
        epoch += 1
    return wer, update


TIMED_UPDATES = 3


def dry_run(config: ExperimentConfig) -> Iterator[str]:
    """The resolved configuration, data statistics, sizes, and the expected time from a few real updates."""
    if config.threads:
        torch.set_num_threads(config.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as scratch:
        task = AcousticTask(replace(config, output=Path(scratch)), device)
        yield as_yaml(replace(resolved(task), output=config.output))
        yield from describe(task)
        speed = measure(Trainer(task, config.loop, Path(scratch), distributed.World(), device), config.sortagrad_epochs)
    hours = sum(task.stream.hours(config.sortagrad_epochs).values())
    yield f"{speed:.0f} seconds of audio a second: {clock(hours * 3600 / speed)} an epoch, "
    yield f"{clock(config.loop.epochs * hours * 3600 / speed)} for {config.loop.epochs} epochs, validation not included"


def measure(trainer: Trainer, epoch: int) -> float:
    """Seconds of audio learned from in a second of computing, from a few updates of an epoch."""
    count = trainer.task.batches(epoch)
    trainer.state.epoch = epoch
    trainer.module.train()
    # The first update pays for allocation and is not timed, unless an epoch has no more.
    updates = min(1 + TIMED_UPDATES, trainer.usable(count) // trainer.config.accumulate)
    loader = trainer.task.load(epoch, 0, 1)
    learned, start = 0.0, time.monotonic()
    for number in range(updates):
        trainer.update(loader, count)
        if number == 0 and updates > 1:
            learned, start = trainer.state.audio_seconds, time.monotonic()
    return max(1e-9, (trainer.state.audio_seconds - learned) / (time.monotonic() - start))
