"""A working folder with the recipes in it, `asr` on the PATH, and corpora of spoken tones in the published layouts."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.training.experiments import PITCHES, RATE, tones

PROJECT = Path(__file__).resolve().parents[2]
# A network of a few thousand parameters that learns for a second or two.
TINY = [
    "tokenizer={kind: characters}",
    "acoustic={features: {size: 20}, encoder: {layers: 2, width: 16, channels: [4, 4], strides: [2, 2]}}",
    "intermediate_layer=1",
    "batches={seconds: 4}",
    "longest_seconds=3",
    "loop={epochs: 2, schedule: {peak: 0.01, warmup_updates: 2}}",
    "threads=1",
]


class Workspace:
    """What a person has after cloning: the recipes, and the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(PROJECT / "recipes", folder / "recipes")
        for name, start in (("asr", "-m asr.cli.main "), ("python", "")):
            script = folder / "bin" / name
            script.parent.mkdir(exist_ok=True)
            script.write_text(f'#!/bin/sh\nexec {sys.executable} {start}"$@"\n')
            script.chmod(0o755)

    def run(self, *command: object, timeout: float = 800) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder."""
        environment = os.environ | {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(PROJECT),
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def load(path: str) -> Any:
    """A script of the recipes as a module, its neighbors importable as they are when it is run."""
    script = PROJECT / "recipes" / path
    if str(script.parent) not in sys.path:
        sys.path.append(str(script.parent))
    spec = importlib.util.spec_from_file_location(f"recipe_{script.parent.name}_{script.stem}", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sentences(count: int, seed: int) -> list[str]:
    """Texts of two or three words over the letters that `tones` can say."""
    generator = np.random.default_rng(seed)
    letters = sorted(PITCHES)
    return [
        " ".join("".join(generator.choice(letters, 2)) for _ in range(generator.integers(2, 4))) for _ in range(count)
    ]


def speak(path: Path, text: str) -> None:
    """A recording of `text`; the format follows from the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tones(text, np.random.default_rng(len(text))), RATE)


def write_librispeech(root: Path, part: str, count: int, seed: int) -> None:
    """`count` utterances by two speakers in `<root>/LibriSpeech/<part>`."""
    for number, text in enumerate(sentences(count, seed)):
        speaker = 10 * seed + number % 2
        folder = root / "LibriSpeech" / part / f"{speaker}" / "1"
        identity = f"{speaker}-1-{number:04d}"
        speak(folder / f"{identity}.flac", text)
        with (folder / f"{speaker}-1.trans.txt").open("a", encoding="utf-8") as file:
            file.write(f"{identity} {text}\n")
