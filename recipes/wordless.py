"""Noise, tones, hum, chords and clicks in which nothing is said: `wordless.py FOLDER MANIFEST [--count N] [--seed N]`.

A network that has only ever heard speech finds words in a dial tone. Half an hour of this teaches it otherwise. The
manifest's utterances have no text and are marked `wordless`, so that training does not leave them out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from asr.cli.main import plain_errors
from asr.corpus.manifest import Utterance, write_manifest
from asr.features import distortion

RATE = 16000
Make = Callable[[int, np.random.Generator], np.ndarray]


def tones(length: int, generator: np.random.Generator) -> np.ndarray:
    """One or two steady tones as telephones and alarms give, sometimes in bursts: (length,)."""
    time = np.arange(length) / RATE
    pitch = generator.choice([300, 350, 425, 440, 480, 620, 700, 1000, 2000])
    samples = sum(
        np.sin(2 * np.pi * (pitch + number * generator.choice([50, 90, 120])) * time + generator.uniform(0, 6))
        for number in range(int(generator.integers(1, 3)))
    )
    if generator.random() < 0.4:
        samples = samples * (np.arange(length) // int(generator.uniform(0.2, 1.5) * RATE) % 2)
    return np.asarray(samples, np.float32)


def clicks(length: int, generator: np.random.Generator) -> np.ndarray:
    """Two to twenty short knocks: (length,)."""
    samples = np.zeros(length, np.float32)
    for _ in range(int(generator.integers(2, 20))):
        start = int(generator.integers(0, length - 800))
        fading = np.exp(-np.arange(800) / generator.uniform(20, 250))
        samples[start : start + 800] += (generator.standard_normal(800) * fading).astype(np.float32)
    return samples


KINDS: dict[str, Make] = {
    "noise": lambda length, generator: distortion.colored_noise(length, generator.uniform(0, 1.2), generator),
    "white": lambda length, generator: distortion.colored_noise(length, distortion.WHITE, generator),
    "pink": lambda length, generator: distortion.colored_noise(length, distortion.PINK, generator),
    "hum": lambda length, generator: distortion.hum(length, RATE, generator),
    "chords": lambda length, generator: distortion.chords(length, RATE, generator),
    "tones": tones,
    "clicks": clicks,
}


def make(kind: str, generator: np.random.Generator) -> np.ndarray:
    """1.5 to 14 seconds of a kind at a random level in faint noise, a third of them with another kind or swelling."""
    length = int(generator.uniform(1.5, 14) * RATE)
    samples = at_level(KINDS[kind](length, generator), generator.uniform(-45, -15))
    samples = samples + at_level(KINDS["noise"](length, generator), generator.uniform(-90, -50))
    if generator.random() < 0.3:
        other = KINDS[str(generator.choice(list(KINDS)))]
        samples = samples + at_level(other(length, generator), generator.uniform(-45, -20))
    if generator.random() < 0.3:
        swell = np.sin(2 * np.pi * generator.uniform(0.2, 5) * np.arange(length) / RATE)
        samples = samples * (1 + generator.uniform(0.2, 0.9) * swell)
    return np.clip(samples, -1, 1).astype(np.float32)


def at_level(samples: np.ndarray, level_db: float) -> np.ndarray:
    """`samples` (N,) at an RMS of `level_db` dBFS."""
    rms = np.sqrt(np.mean(samples.astype(np.float64) ** 2))
    return np.asarray(samples * (10 ** (level_db / 20) / max(rms, 1e-9)), np.float32)


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser(description="Make sound in which nothing is said.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--count", type=int, default=210)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    generator = np.random.default_rng(asked.seed)
    asked.folder.mkdir(parents=True, exist_ok=True)
    utterances = []
    for number in range(asked.count):
        kind = list(KINDS)[number % len(KINDS)]
        samples, name = make(kind, generator), f"wordless-{kind}-{number:04d}"
        path = (asked.folder / f"{name}.flac").absolute()
        soundfile.write(path, samples, RATE)
        utterances.append(Utterance(name, path, len(samples) / RATE, extra={"wordless": True}))
    write_manifest(asked.manifest, utterances)
    print(f"{asked.manifest}: {sum(one.duration for one in utterances) / 3600:.2f} h without a word")


if __name__ == "__main__":
    with plain_errors():
        main()
