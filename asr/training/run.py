"""The one life of a run, whatever its task: configuration in, an output folder with the best model out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from pydantic_core import to_jsonable_python

from asr.config import apply_overrides, read_yaml, validate
from asr.errors import AsrError, ModelError, UsageError
from asr.io import hold_lock, make_folder, write_text
from asr.model.acoustic import parameters
from asr.nn.precision import chosen
from asr.trainer import distributed
from asr.trainer.checkpoint import TrainState
from asr.trainer.logger import clock, draw_curves
from asr.trainer.optimizer import ScheduleConfig
from asr.trainer.trainer import LAST, LoopConfig, Trainer
from asr.training.acoustic import AcousticExperiment, AcousticTask
from asr.training.g2p import G2PExperiment, G2PTask
from asr.training.punctuation import PunctuationExperiment, PunctuationTask
from asr.training.rnn_lm import RecurrentExperiment, RecurrentTask

CONFIG = "config.yaml"
TIMED_UPDATES = 3
MOST_UPDATES = 600
LOOK_EVERY = 20
MEASURES = {
    "validation", "validation_words", "held_out", "text", "normalizer", "lexicon", "phone_ngram", "crf_ctc_weight",
}  # fmt: skip
"""Settings that say what is measured after an epoch: under others, figures of before are no match."""

Experiment = AcousticExperiment | RecurrentExperiment | G2PExperiment | PunctuationExperiment
"""The configuration of a task, a dataclass: everything that decides a run."""
RunTask = AcousticTask | RecurrentTask | G2PTask | PunctuationTask
"""What the trainer learns, and what says beforehand from how much."""

TASKS: dict[str, tuple[type[Any], Callable[..., RunTask]]] = {
    "acoustic": (AcousticExperiment, AcousticTask),
    "rnn_lm": (RecurrentExperiment, RecurrentTask),
    "g2p": (G2PExperiment, G2PTask),
    "punctuation": (PunctuationExperiment, PunctuationTask),
}
"""Name in a configuration → its dataclass, and what makes the task of (experiment, device, quiet)."""


def read_experiment(path: Path, overrides: Sequence[str] = ()) -> Any:
    """The experiment of a YAML file with `key.sub=value` overrides, of the dataclass that its `task` says.

    `output` is exp/<file name> unless it is set. Raises `UsageError` naming what is wrong and what is allowed.
    """
    data = {"task": "acoustic", "output": f"exp/{path.stem}"} | read_yaml(path)
    task = apply_overrides(data, overrides)["task"]
    if str(task) not in TASKS:
        raise UsageError(f"{path}: unknown task {task!r}", f"Known are: {', '.join(TASKS)}.")
    kind = TASKS[task][0]
    experiment: Experiment = validate(kind, apply_overrides(data, overrides, kind), str(path))
    if experiment.threads < 0:
        raise UsageError("threads must not be negative")
    experiment.check()
    return experiment


def run_task(experiment: Experiment, resume: bool = False, quiet: bool = False) -> TrainState:
    """Train as configured; the best model is `<output>/best`, everything to go on from is `<output>/last.pt`."""
    output = experiment.output
    if not resume and (output / LAST).exists():
        raise UsageError(
            f"{output} already holds a run", "Go on with --resume, or choose another output=…, or delete it."
        )
    if resume and not (output / LAST).exists():
        raise ModelError(f"there is no checkpoint {output / LAST}", "Start without --resume.")
    world = distributed.join_world()
    try:
        make_folder(output)
        with _alone(output) if world.is_main else nullcontext():
            return _run(experiment, resume, quiet, world)
    finally:
        distributed.leave_world()


def _run(experiment: Experiment, resume: bool, quiet: bool, world: distributed.World) -> TrainState:
    output = experiment.output
    device = _prepare(experiment)
    task = _build(experiment, device, world, quiet)
    trainer = Trainer(task, experiment.loop, output, world, device)
    text = as_yaml(task.config)
    changed = changes(output / CONFIG, text) if resume else {}
    for key, (before, after) in changed.items():
        trainer.logger.note(f"changed since its last start: {key} {before} → {after}")
    for line in describe_run(task, device):
        trainer.logger.note(line)
    if resume:
        trainer.restore()
        if any(key.split(".")[0] in MEASURES for key in changed):
            trainer.forget_best()
    if world.is_main:
        write_text(output / CONFIG, text)
    try:
        state = trainer.run()
    finally:
        if world.is_main:
            try:
                draw_curves(output)
            except ImportError:  # matplotlib need not be there
                pass
            except AsrError as error:  # a picture is no reason to hide how the run has ended
                trainer.logger.note(error.message)
    distributed.wait_for_all(world)  # nobody leaves while another still needs the connection
    return state


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Hold the folder against a second run; the system lets go of it however this one ends."""
    with (output / ".lock").open("w") as lock:
        try:
            hold_lock(lock, wait=False)
        except (BlockingIOError, PermissionError) as error:
            raise UsageError(
                f"another process is training in {output}", "Wait for it, or choose another output=…."
            ) from error
        yield


def overfit(experiment: Experiment, count: int) -> tuple[float, int]:
    """Prove that everything learns: fit `count` utterances by heart. Returns their word error rate and the updates."""
    if not isinstance(experiment, AcousticExperiment):
        raise UsageError(f"there is no overfit test of the task {experiment.task}")
    device = _prepare(experiment)
    schedule = ScheduleConfig(experiment.loop.schedule.peak, warmup_updates=10, decay_from=1.0)
    loop = replace(experiment.loop, epochs=MOST_UPDATES, schedule=schedule, accumulate=1, minutes=0, ema_decay=0)
    wer = 1.0
    with tempfile.TemporaryDirectory() as scratch:  # a run's own folder may hold the tokenizer of other texts
        task = AcousticTask(replace(experiment.by_heart(), output=Path(scratch)), device, only=count)
        trainer = Trainer(task, loop, Path(scratch), distributed.World(), device)
        state = trainer.state
        for epoch in range(MOST_UPDATES):
            for _ in trainer.learn(epoch, MOST_UPDATES - state.update):
                if state.update % LOOK_EVERY == 0:
                    wer = task.training_wer()
                    loss = task.summary(state.running)["loss"] if state.running else float("nan")
                    task.report(f"update {state.update}: loss {loss:.3f}, WER {wer:.1%}")
                    state.running = {}
                if wer == 0.0 or state.update == MOST_UPDATES:
                    return wer, state.update
    return wer, MOST_UPDATES


def dry_run(experiment: Experiment) -> Iterator[str]:
    """The resolved configuration, data statistics, sizes, and the expected time from a few real updates."""
    device = _prepare(experiment)
    with tempfile.TemporaryDirectory() as scratch:
        task = TASKS[experiment.task][1](replace(experiment, output=Path(scratch)), device)
        yield as_yaml(replace(task.config, output=experiment.output))
        yield from describe_run(task, device)
        trainer = Trainer(task, experiment.loop, Path(scratch), distributed.World(), device)
        epochs = experiment.loop.epochs
        seconds = epoch_seconds(trainer, task, epochs - 1)  # the first epochs may be easier ones
    if isinstance(task, AcousticTask):
        yield f"{task.audio_seconds(epochs - 1) / seconds:.0f} seconds of audio a second"
    total, most = epochs * seconds, 60 * experiment.loop.minutes
    if 0 < most < total:
        yield f"{clock(seconds)} an epoch; loop.minutes ends the run after {clock(most)}, {most / seconds:.1f} epochs"
    else:
        yield f"{clock(seconds)} an epoch, {clock(total)} for {epochs} epochs, validation not included"


def epoch_seconds(trainer: Trainer, task: RunTask, epoch: int) -> float:
    """How long an epoch takes, by a few of its updates."""
    state, first = trainer.state, (0.0, 0, time.monotonic())
    for number, _ in enumerate(trainer.learn(epoch, 1 + TIMED_UPDATES)):
        if number == 0:
            beginning, first = first, (state.audio_seconds, state.batch, time.monotonic())
    # The first update pays for allocation and is not timed, unless an epoch has no more.
    audio, batches, start = first if state.update > 1 else beginning
    spent, learned = time.monotonic() - start, state.audio_seconds - audio
    all_audio = task.audio_seconds(epoch) if isinstance(task, AcousticTask) else 0.0  # the others learn from text
    share = learned / all_audio if all_audio else (state.batch - batches) / task.batches(epoch)
    return spent / max(share, 1e-9)


def describe_run(task: RunTask, device: torch.device) -> list[str]:
    """What a run is about to learn from and with."""
    loop: LoopConfig = task.config.loop
    arithmetic = str(chosen(loop.precision, device)).removeprefix("torch.")
    sizes = f"{parameters(task.module) / 1e6:.2f} M parameters, {loop.epochs} epochs of {task.batches(0)} batches"
    return [*task.describe_data(), f"{sizes}, in {arithmetic}"]


def changes(former: Path, text: str) -> dict[str, tuple[Any, Any]]:
    """Which settings of the configuration file `former` are others in the YAML `text`: before and after."""
    if not former.exists():
        return {}
    before, after = _leaves(read_yaml(former)), _leaves(yaml.safe_load(text))
    both = {key: (before.get(key), after.get(key)) for key in before | after}
    return {key: (old, new) for key, (old, new) in both.items() if old != new}


def as_yaml(experiment: Experiment) -> str:
    """A whole configuration, defaults included."""
    return yaml.safe_dump(to_jsonable_python(asdict(experiment)), sort_keys=False, allow_unicode=True)


def _prepare(experiment: Experiment) -> torch.device:
    """Set the threads of this process; where it computes."""
    if experiment.threads:
        torch.set_num_threads(experiment.threads)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _build(experiment: Experiment, device: torch.device, world: distributed.World, quiet: bool) -> RunTask:
    """The leader first: it decodes audio and trains the tokenizer that the others then find on disk."""
    if not world.is_main:
        distributed.wait_for_all(world)
    task = TASKS[experiment.task][1](experiment, device, quiet or not world.is_main)
    if world.is_main:
        distributed.wait_for_all(world)
    return task


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    """Nested settings as one mapping of dotted keys."""
    if not isinstance(value, dict):
        return {path: value}
    parts = [_leaves(item, f"{path}.{key}" if path else key) for key, item in value.items()]
    return {key: item for part in parts for key, item in part.items()}
