"""Where the time of `asr transcribe` goes, beside what the processor could do.

python -m tests.benchmarks.speed                        real speech of ASR_CORPORA, 5 minutes
python -m tests.benchmarks.speed --manifest dev.jsonl --threads 2

The limit is a large matrix product in the same precision: what the network's products would take at that rate. Network
and search are processor seconds of the worker threads, so that a busy machine changes them little.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import asr
from asr.corpus.manifest import read_manifest
from asr.nn.precision import bfloat16_is_fast, int8_is_fast
from asr.transcription.reader import Request
from asr.transcription.recognizer import Recognizer
from tests.benchmarks.transcription import choose, shared_speech, write_speech

SECONDS, ROWS = 12, 16
LOCK = threading.Lock()


def main(arguments: Sequence[str] | None = None) -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="speech with texts (default: dev-clean-2 of ASR_CORPORA)")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="default")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print(f"{'precision':<10}{'product':>16}{'limit':>12}{'network alone':>16}")
    known = {
        "float32": True,
        "bfloat16": bfloat16_is_fast(torch.device("cpu")),
        "int8": int8_is_fast(torch.device("cpu")),
    }
    for precision in (name for name, is_fast in known.items() if is_fast):
        recognizer = asr.load_model(options.model, threads=options.threads, precision=precision, device="cpu")
        rate, needed = product_rate(precision), operations(recognizer)
        print(f"{precision:<10}{rate / 1e9:>9.0f} GFLOP/s{rate / needed:>8.0f} × {alone(recognizer):>12.0f} ×")
    with tempfile.TemporaryDirectory() as folder:
        manifest = options.manifest or shared_speech(Path(folder))
        if manifest is None:
            print("the rest needs speech: set ASR_CORPORA, or give --manifest")
            return
        files, _ = write_speech(choose(read_manifest(manifest), 60 * options.minutes), Path(folder))
        for name, search in (("default", {}), ("fast", {"fast": True}), ("greedy", {"greedy": True})):
            stages(name, asr.load_model(options.model, threads=options.threads, device="cpu", **search), files)
        startup(files[0], options.model)


def product_rate(precision: str) -> float:
    """Operations a second of a large matrix product on all threads."""
    a, b = torch.randn(2, 2048, 2048)
    if precision == "int8":
        a, b = a.to(torch.int8), b.to(torch.int8)
        return 2 * 2048**3 / fastest(lambda: torch._int_mm(a, b))
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    a, b = a.to(dtype), b.to(dtype)
    return 2 * 2048**3 / fastest(lambda: a @ b)


def operations(recognizer: Recognizer) -> float:
    """Of the network's products, for one second of sound."""
    network, counts = recognizer.model.network, [0.0]

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        counts[0] += 2.0 * module.weight.numel() * output.shape[2] * output.shape[3]

    hooks = [each.register_forward_hook(count) for each in network.modules() if isinstance(each, nn.Conv2d)]
    with torch.inference_mode():
        network(torch.zeros(1, 10 * 16000), torch.tensor([10 * 16000]))
    for hook in hooks:
        hook.remove()
    steps = 1 / network.frame_seconds
    matrices = [each for each in network.parameters() if each.dim() == 2]
    return counts[0] / 10 + sum(2.0 * each.numel() * steps for each in matrices)


def alone(recognizer: Recognizer) -> float:
    """Seconds of sound a second, by the clock, of features and network on all threads."""
    network, half = recognizer._network, recognizer._half
    waveforms = 0.1 * torch.randn(ROWS, SECONDS * 16000, generator=torch.Generator().manual_seed(0))
    lengths = torch.full((ROWS,), SECONDS * 16000)

    def run() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            network.recognize(*network.features(waveforms, lengths))

    return ROWS * SECONDS / fastest(run)


def fastest(run: Callable[[], object], times: int = 5) -> float:
    """Seconds of the fastest of some runs, after one that does not count."""
    run()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    return min(took)


def stages(name: str, recognizer: Recognizer, files: Sequence[Path]) -> None:
    """Processor seconds of network and search, and the whole by the clock, as multiples of real time."""
    recognizer.transcribe(files[0], words=False)
    spent = {"network": 0.0, "search": 0.0}
    for stage, method in (("network", "emissions"), ("search", "search")):
        setattr(recognizer, method, timed(getattr(recognizer, method), stage, spent))
    began, used = time.perf_counter(), time.process_time()
    outcomes = list(recognizer.transcribe_many([Request(path) for path in files], words=False))
    clock, used = time.perf_counter() - began, time.process_time() - used
    sound = sum(outcome.duration for outcome in outcomes if isinstance(outcome, asr.Transcript))
    parts = ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in spent.items())
    print(f"{name}: {sound / clock:.0f} × real time by the clock, {sound / used:.0f} × a processor ({parts})")


def timed(step: Callable[..., Any], stage: str, spent: dict[str, float]) -> Callable[..., Any]:
    """`step`, whose processor seconds are added to `spent[stage]`; the workers are as many as the threads."""

    def run(*arguments: Any) -> Any:
        began = time.thread_time()
        result = step(*arguments)
        with LOCK:
            spent[stage] += time.thread_time() - began
        return result

    return run


def startup(clip: Path, model: str) -> None:
    """Seconds by the clock and of the processor until a short clip's text is there, and of what it must import."""
    for name, command in (
        ("import torch", ["-c", "import torch"]),
        (f"asr transcribe {clip.name}", ["-m", "asr", "transcribe", str(clip), "-m", model]),
    ):
        runs = []
        for _ in range(4):
            before, began = _children(), time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, capture_output=True)
            runs.append((time.perf_counter() - began, _children() - before))
        clock, used = np.array(runs[1:]).min(axis=0)
        print(f"{name}: {clock:.2f} s by the clock, {used:.2f} s of the processor")


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
