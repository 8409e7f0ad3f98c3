"""Training throughput beside the bare recurrence: whole updates of ours against nn.GRU layers of the same sizes.

python -m tests.benchmarks.training                       4 × 640, one thread, then two where there are two cores

Ours is everything that `asr train` does for an update: cached audio, speed perturbation, features, SpecAugment,
convolutions, recurrent layers, CTC loss, gradients, clipping, optimizer, moving average. The peer is the forward and
backward pass of padded bidirectional `nn.GRU` layers alone, on random frames. Both in the arithmetic of `--precision`,
in turn, in one process that is held to as many cores as threads.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import soundfile
import torch
from torch import nn

from asr.corpus.dataset import BatchConfig
from asr.corpus.manifest import Utterance, write_manifest
from asr.features.augment import WaveformAugmentConfig
from asr.features.extractor import FeatureConfig
from asr.model.acoustic import AcousticConfig, EncoderConfig
from asr.nn.precision import Precision, chosen, products
from asr.text.tokenizer import TokenizerConfig
from asr.trainer.distributed import World
from asr.trainer.trainer import LoopConfig, Trainer
from asr.training.acoustic import AcousticExperiment, AcousticTask
from asr.training.data import CorpusConfig

CPU = torch.device("cpu")
RATE = 16000
SECONDS = 14.0
WORDS = [
    "LIGHT",
    "RIVER",
    "STONE",
    "MORNING",
    "HARBOUR",
    "QUIET",
    "LETTER",
    "WINTER",
    "GARDEN",
    "THUNDER",
    "PAPER",
    "CANDLE",
]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--batch", type=int, default=14, help="utterances of 14 s in a batch")
    parser.add_argument("--rounds", type=int, default=5, help="timed updates of each, in turn; the median counts")
    parser.add_argument("--threads", type=int, nargs="+", help="default: 1, and 2 where there are two cores")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto")
    options = parser.parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0))
    encoder = EncoderConfig(layers=options.layers, width=options.width)
    sizes = f"{options.layers} × {options.width} bidirectional, batches of {options.batch} × {SECONDS:g} s"
    print(f"{sizes}, {chosen(options.precision, CPU)}")
    print("threads   whole update   bare nn.GRU   ratio   (seconds of audio a second)")
    for threads in options.threads or range(1, min(2, len(cores)) + 1):
        os.sched_setaffinity(0, cores[-threads:])
        torch.set_num_threads(threads)
        with tempfile.TemporaryDirectory() as folder:
            ours, bare = race(
                whole_update(Path(folder), encoder, options.batch, options.precision),
                bare_stack(encoder, options.batch, options.precision),
                options.rounds,
            )
        print(f"{threads:7}{ours:15.0f}{bare:14.0f}{ours / bare:8.2f}")
    os.sched_setaffinity(0, cores)


def race(one: Callable[[], float], other: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Throughputs of two steps taken in turn; each returns the seconds of audio that it worked through."""
    speeds: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for step, kept in zip((one, other), speeds, strict=True):
            start = time.perf_counter()
            audio = step()
            if number:  # the first pays for allocation
                kept.append(audio / (time.perf_counter() - start))
    return statistics.median(speeds[0]), statistics.median(speeds[1])


def whole_update(folder: Path, encoder: EncoderConfig, batch: int, precision: Precision) -> Callable[[], float]:
    """One update of the training loop, on recordings of noise with invented words."""
    config = AcousticExperiment(
        train=[CorpusConfig(write_noise(folder, 2 * batch), weight=50)],
        output=folder,
        cache=folder,
        tokenizer=TokenizerConfig("characters"),
        acoustic=AcousticConfig(FeatureConfig(), encoder),
        batches=BatchConfig(seconds=batch * SECONDS * 1.01, utterances=batch),
        waveform=WaveformAugmentConfig(speeds=[0.9, 1.0, 1.1]),
        intermediate_layer=encoder.layers // 2,
        loop=LoopConfig(epochs=1, precision=precision),
    )
    task = AcousticTask(config, CPU, quiet=True)
    trainer = Trainer(task, replace(config.loop), folder, World(), CPU)
    trainer.module.train()
    loader, count = task.load(0, 0, 1), task.batches(0)

    def step() -> float:
        heard = trainer.state.audio_seconds
        trainer.update(loader, count)
        return trainer.state.audio_seconds - heard

    return step


def bare_stack(encoder: EncoderConfig, batch: int, precision: Precision) -> Callable[[], float]:
    """Forward and backward through the recurrent layers' sizes, and nothing else."""
    width = encoder.width
    layers = nn.ModuleList(
        nn.GRU(width, width // 2, batch_first=True, bidirectional=True) for _ in range(encoder.layers)
    )
    steps = int(SECONDS * 100 / np.prod(encoder.strides))
    frames = torch.randn(batch, steps, width)

    def step() -> float:
        x = frames
        with products(precision, CPU):
            for layer in layers:
                x, _ = layer(x)
        x.float().square().mean().backward()
        layers.zero_grad()
        return batch * SECONDS

    return step


def write_noise(folder: Path, count: int) -> Path:
    """`count` recordings of 14 s and a manifest; about fourteen letters a second, as people speak."""
    generator = np.random.default_rng(1)
    utterances = []
    for number in range(count):
        path = folder / f"{number}.wav"
        soundfile.write(path, 0.1 * generator.standard_normal(round(SECONDS * RATE)), RATE)
        text = " ".join(generator.choice(WORDS, 20))
        utterances.append(Utterance(str(number), path, SECONDS, text))
    write_manifest(folder / "noise.jsonl", utterances)
    return folder / "noise.jsonl"


if __name__ == "__main__":
    main()
