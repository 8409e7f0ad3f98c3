"""The curve of word error rate over processor time: beam × rescoring, and greedy search, in the default precision.

python -m tests.benchmarks.curve docs/wer-over-time.svg --manifest dev-clean-2-tune.jsonl

Prints a table and draws it, with the default and `--fast` marked.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import asr
from asr.corpus.manifest import Utterance, read_manifest
from asr.evaluation.decode import request_of
from asr.io import write_whole
from asr.scoring import score
from asr.transcription.decoder import FAST_BEAM, DecodeOptions, read_settings
from asr.transcription.recognizer import Recognizer
from tests.benchmarks.transcription import choose, shared_speech

BEAMS = (10, 30, 100, 400)


@dataclass(frozen=True)
class Point:
    """Processor seconds for an hour of sound, and the word error rate in per cent."""

    name: str
    seconds: float
    wer: float
    line: str = ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--manifest", type=Path, help="speech with texts (default: dev-clean-2 of ASR_CORPORA)")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--model", default="default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--points", type=Path, help="JSON to keep the points in, or to draw them from where it exists")
    options = parser.parse_args(arguments)
    if options.points and options.points.exists():
        points = [Point(**each) for each in json.loads(options.points.read_text())]
    else:
        with tempfile.TemporaryDirectory() as folder:
            manifest = options.manifest or shared_speech(Path(folder))
            if manifest is None:
                parser.error("there is no speech: set ASR_CORPORA, or give --manifest")
            chosen = choose(read_manifest(manifest), 60 * options.minutes)
            points = measure_all(options.model, chosen, options.threads)
        if options.points:
            options.points.write_text(json.dumps([asdict(each) for each in points], indent=1))
    for point in points:
        print(f"{point.name:<24}{point.seconds:>7.0f} s an hour of sound {point.wer:>7.2f} %")
    draw(points, options.picture)


def measure_all(model: str, utterances: Sequence[Utterance], threads: int) -> list[Point]:
    """Every point of the curve."""
    recognizer = asr.load_model(model, threads=threads, device="cpu", greedy=True)
    points = [measure("greedy", recognizer, utterances)]
    own = read_settings(recognizer.model.path).beam_size
    for line, rescore in (("rescored", None), ("not rescored", "none")):
        for beam in BEAMS:
            search = DecodeOptions(beam_size=beam, rescore=rescore)
            recognizer = recognizer.with_search(search)
            name = f"beam {beam}, {line}"
            if (beam, line) == (own, "rescored"):
                name = "default"
            elif (beam, line) == (FAST_BEAM, "not rescored"):
                name = "--fast"
            points.append(measure(name, recognizer, utterances, line))
    return points


def measure(name: str, recognizer: Recognizer, utterances: Sequence[Utterance], line: str = "") -> Point:
    """One point: recordings to text, reading included."""
    requests = [request_of(utterance, recognizer.model.sample_rate) for utterance in utterances]
    list(recognizer.transcribe_many(requests[:1], words=False))
    began = time.process_time()
    texts = [outcome.text for outcome in recognizer.transcribe_many(requests, words=False)]  # type: ignore[union-attr]
    seconds = time.process_time() - began
    sound = sum(utterance.duration for utterance in utterances)
    wer = score([utterance.text for utterance in utterances], texts).wer
    print(f"{name}: {100 * wer:.2f} %", flush=True)
    return Point(name, 3600 * seconds / sound, 100 * wer, line)


def draw(points: Sequence[Point], path: Path) -> None:
    """Word error rate over processor seconds for an hour of sound."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullLocator

    figure, axes = pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")
    for line in sorted({point.line for point in points if point.line}):
        some = sorted((each for each in points if each.line == line), key=lambda each: each.seconds)
        axes.plot([each.seconds for each in some], [each.wer for each in some], marker=".", label=line)
    right, top = max(point.seconds for point in points), max(point.wer for point in points)
    for point in points:
        if point.name.startswith("beam"):
            continue
        axes.plot(point.seconds, point.wer, "o", color="black")
        label = f"{point.name}, {point.wer:.1f} %"
        axes.annotate(label, (point.seconds, point.wer), (-6, -14), textcoords="offset points", ha="right")
    # Greedy search is so far above the rest that equal ratios, not equal differences, are drawn equally long.
    axes.set(xlabel="processor seconds for an hour of sound", ylabel="WER %", xlim=(0, 1.1 * right), yscale="log")
    axes.set_yticks([tick for tick in (5, 7, 10, 15, 20, 30, 50, 70, 100) if tick <= 1.5 * top])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(y=0.15)
    axes.legend()
    with write_whole(path, "wb") as file:
        figure.savefig(file, format=path.suffix.lstrip(".") or "svg")
    pyplot.close(figure)


if __name__ == "__main__":
    main()
