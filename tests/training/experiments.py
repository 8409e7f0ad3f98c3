"""A corpus of spoken tones and an experiment small enough to train within a second."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import yaml

from asr.corpus.manifest import Utterance, write_manifest
from asr.trainer.checkpoint import load_checkpoint
from asr.trainer.trainer import Loss
from asr.training.acoustic import AcousticExperiment, AcousticTask
from asr.training.run import read_experiment

RATE = 16000
LETTER_SECONDS = 0.15
PITCHES = {"A": 300.0, "B": 600.0, "C": 1200.0, "D": 2400.0}


def tones(text: str, generator: np.random.Generator) -> np.ndarray:
    """Each letter its pitch, each space a pause, all in faint noise: (N,) float64."""
    time = np.arange(round(LETTER_SECONDS * RATE)) / RATE
    sounds = [0.3 * np.sin(2 * np.pi * PITCHES.get(letter, 0.0) * time) for letter in text]
    return np.concatenate(sounds) + 1e-3 * generator.standard_normal(len(sounds) * len(time))


def write_speech(folder: Path, name: str = "tones", count: int = 12, seed: int = 0) -> Path:
    """`count` recordings of two or three words and their manifest."""
    generator = np.random.default_rng(seed)
    utterances = []
    for number in range(count):
        words = ["".join(generator.choice(list(PITCHES), 2)) for _ in range(generator.integers(2, 4))]
        text = " ".join(words)
        path = folder / f"{name}{number}.wav"
        samples = tones(text, generator)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE)
        utterances.append(Utterance(f"{name}{number}", path, len(samples) / RATE, text))
    write_manifest(folder / f"{name}.jsonl", utterances)
    return folder / f"{name}.jsonl"


def write_config(folder: Path, **changes: Any) -> Path:
    """An experiment on tones: four batches an epoch, 3 epochs, a network of a few thousand parameters."""
    manifest = write_speech(folder / "speech")
    settings = {
        "train": [{"manifest": str(manifest)}],
        "validation": [str(manifest)],
        "output": str(folder / "run"),
        "cache": str(folder / "cache"),
        "threads": 1,
        "tokenizer": {"kind": "characters"},
        "batches": {"seconds": 4.0},
        "longest_seconds": 3.0,
        "waveform": {"speeds": [0.9, 1.0, 1.1]},
        "spec_augment": {"frequency_masks": 1, "frequency_width": 3, "time_masks": 1},
        "acoustic": {
            "features": {"size": 20},
            "encoder": {"layers": 2, "width": 16, "channels": [4, 4], "strides": [2, 2]},
        },
        "intermediate_layer": 1,
        "loop": {"epochs": 3, "ema_decay": 0.9, "schedule": {"peak": 0.01, "warmup_updates": 4}},
    }
    path = folder / "tones.yaml"
    path.write_text(yaml.safe_dump(settings | changes), encoding="utf-8")
    return path


def experiment(folder: Path, *overrides: str) -> AcousticExperiment:
    """The experiment of `write_config`, with `key.sub=value` overrides."""
    torch.set_num_threads(1)
    config = read_experiment(write_config(folder), overrides)
    assert isinstance(config, AcousticExperiment)
    return config


class Interrupted:
    """A task to which something happens: `before(place, count)` is called ahead of each loss, validation and save."""

    def __init__(self, task: AcousticTask, before: Any) -> None:
        self._task, self._before = task, before
        self._counts = {"loss": 0, "validate": 0, "save": 0}
        self.module, self.batches, self.load, self.summary = task.module, task.batches, task.load, task.summary

    def _come(self, place: str) -> None:
        self._counts[place] += 1
        self._before(place, self._counts[place])

    def loss(self, batch: Any, generator: torch.Generator) -> Loss:
        self._come("loss")
        return self._task.loss(batch, generator)

    def validate(self) -> dict[str, float]:
        self._come("validate")
        return self._task.validate()

    def save(self, *arguments: Any) -> None:
        self._come("save")
        self._task.save(*arguments)


def learned(folder: Path) -> dict[str, Any]:
    """Everything in a run's last checkpoint that was learned, flat, without the time it took."""
    state, states = load_checkpoint(folder / "last.pt")
    state.seconds = 0.0
    return dict(_flat({"state": vars(state), **states}, ""))


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)


def _equal(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _flat(item, f"{path}/{key}")
    else:
        yield path, value
