"""Sentences read aloud by many voices, blends of voices and tempos: training speech for a recognizer.

    speak.py --text SENTENCES.txt[.bz2] --out DIR --hours 10 [--voices british] [--seed 1]

Writes `DIR/VOICE/NUMBER.opus` (16 kHz) and beside it `NUMBER.txt`: what `asr prepare folder` reads, with
`--speaker-from '^([^/]+)/'`. What utterance NUMBER is depends on the text and the seed alone: a run can be killed and
started again, goes on where it was, and a longer one begins with the utterances of a shorter one. Sentences of
--exclude are never spoken.
"""

from __future__ import annotations

import argparse
import bz2
import math
import multiprocessing
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from kokoro import RATE as KOKORO_RATE
from kokoro import Kokoro
from phonemes import Phonemizer

from asr.cli.main import plain_errors
from asr.corpus.prepare import share
from asr.io import write_text, write_whole
from asr.lexicon.g2p import load_g2p
from asr.model.folder import BUNDLED

RATE = 16000
SENTENCE = re.compile(r"[A-Z][A-Z']*( [A-Z][A-Z']*)*")
LETTERS_AS_WORDS = frozenset("AIO")
SILENCE_DB = -40.0
"""Below the loudest stretch: trimmed at both ends, but for a breath."""
PACE = (0.04, 0.2)
"""Seconds a sound at speed 1, some 0.07 as a rule: what is faster or slower was not said as written."""
MARKS = frozenset("ˈˌː .")
"""What is no sound among phonemes."""


def sentences(path: Path, seed: int, words: tuple[int, int], excluded: frozenset[str]) -> list[str]:
    """The usable sentences of a text, each once, in an order drawn by the seed."""
    wanted = (sentence for sentence in read_sentences(path) - excluded if usable(sentence, words))
    return sorted(wanted, key=lambda sentence: share(sentence, seed))


def read_sentences(path: Path) -> frozenset[str]:
    """The lines of a text, or of one packed by bzip2, in capitals."""
    read = bz2.open if path.suffix == ".bz2" else open
    with read(path, "rt", encoding="utf-8-sig") as lines:
        return frozenset(line.strip().upper() for line in lines)


def usable(sentence: str, words: tuple[int, int]) -> bool:
    """Whether anybody would read it aloud alike: no lone letters, no abbreviations without a vowel."""
    parts = sentence.split()
    return (
        words[0] <= len(parts) <= words[1]
        and SENTENCE.fullmatch(sentence) is not None
        and all(re.search("[AEIOUY]", word) and (len(word) > 1 or word in LETTERS_AS_WORDS) for word in parts)
    )


class Speaker:
    """One process's synthesizer: (number, sentence) to files."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.kokoro = Kokoro(options.model)
        self.phonemize = Phonemizer(load_g2p(next(BUNDLED.glob("*/g2p.safetensors"))).predict)

    def __call__(self, job: tuple[int, str]) -> float:
        """Speak and write one utterance; its seconds, 0 for one that was not said as written."""
        number, sentence = job
        generator = np.random.default_rng([self.options.seed, number])
        blend = draw_blend(self.options.names, generator)
        speed = float(generator.uniform(*self.options.speed))
        phonemes = self.phonemize(sentence, british=blend[0][0].startswith("b"))
        samples = trimmed(self.kokoro(phonemes, blend, speed, generator), generator)
        pace = len(samples) / RATE * speed / sum(phoneme not in MARKS for phoneme in phonemes)
        path = self.options.out / blend[0][0] / f"{number:06d}.opus"
        if not PACE[0] < pace < PACE[1]:
            write_text(self.options.out / "rejected" / f"{number:06d}.txt", f"{sentence}\n")
            return 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        with write_whole(path, "wb") as file:
            soundfile.write(file, samples, RATE, format="OGG", subtype="OPUS", compression_level=0.96)
        write_text(path.with_suffix(".txt"), f"{sentence}\n")
        return len(samples) / RATE


def draw_blend(names: list[str], generator: np.random.Generator) -> list[tuple[str, float]]:
    """One voice, two or three, with weights that sum to 1, the strongest first."""
    count = min(len(names), int(generator.choice([1, 2, 3], p=[0.4, 0.4, 0.2])))
    chosen = generator.choice(names, count, replace=False)
    weights = generator.uniform(0.3, 0.7, count)
    pairs = zip(chosen.tolist(), (weights / weights.sum()).tolist(), strict=True)
    return sorted(pairs, key=lambda pair: -pair[1])


def trimmed(samples: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """At 16 kHz, with at most a fifth of a second of silence at both ends, at an everyday level."""
    sound = np.asarray(soxr.resample(samples, KOKORO_RATE, RATE), np.float32)
    hop = RATE // 100
    level = np.sqrt(np.mean(sound[: len(sound) // hop * hop].reshape(-1, hop) ** 2, axis=1))
    loud = np.flatnonzero(level > max(level.max(initial=0) * 10 ** (SILENCE_DB / 20), 1e-4))
    if not len(loud):
        return sound[:0]
    start, end = loud[0] - generator.integers(5, 20), loud[-1] + generator.integers(5, 20)
    wanted = 10 ** (generator.uniform(-29, -20) / 20)
    gain = min(wanted / float(np.sqrt(np.mean(level[loud] ** 2))), 0.98 / float(np.abs(sound).max()))
    return sound[max(0, start) * hop : max(0, end) * hop] * np.float32(gain)


def done(out: Path) -> dict[int, float]:
    """Numbers that need no more work, with their seconds."""
    whole = (path for path in out.glob("*_*/*.opus") if path.with_suffix(".txt").exists())
    seconds = {int(path.stem): soundfile.info(path).duration for path in whole}
    return seconds | {int(path.stem): 0.0 for path in (out / "rejected").glob("*.txt")}


def spoken(options: argparse.Namespace, jobs: Iterator[tuple[int, str]]) -> Iterator[float]:
    """Seconds of each utterance as it is finished."""
    if options.processes == 1:
        yield from map(Speaker(options), jobs)
        return
    with multiprocessing.get_context("spawn").Pool(options.processes, _start, (options,)) as pool:
        yield from pool.imap_unordered(_speak, jobs)


def _start(options: argparse.Namespace) -> None:
    global _speaker
    _speaker = Speaker(options)


def _speak(job: tuple[int, str]) -> float:
    return _speaker(job)


_speaker: Speaker


def parse() -> argparse.Namespace:
    """The command line, with the names of the voices looked up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=math.inf, help="of speech in all (default: the whole text)")
    parser.add_argument("--times", type=int, default=1, help="how often each sentence, always by another voice")
    parser.add_argument("--voices", default="all")
    parser.add_argument("--speed", type=float, nargs=2, default=(0.7, 1.1), help="1 is some 190 words a minute")
    parser.add_argument("--words", type=int, nargs=2, default=(3, 30), help="fewest and most in a sentence")
    parser.add_argument("--exclude", type=Path, help="sentences of evaluation sets, one a line")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--model", type=Path, default=Path("data/kokoro"), help="what install.sh made")
    options = parser.parse_args()
    there = sorted(path.stem for path in (options.model / "voices").glob("*.bin"))
    accents = {"all": "ab", "american": "a", "british": "b"}
    of_accent = [name for name in there if name[0] in accents.get(options.voices, "")]
    options.names = of_accent or options.voices.split(",")
    if not there or set(options.names) - set(there):
        known = ", ".join(there) or "none: run recipes/synthetic/install.sh"
        parser.error(f"no such voice in {options.model / 'voices'}; there are {known}")
    return options


def main() -> None:
    """Speak until there are as many hours as wanted."""
    options = parse()
    excluded = read_sentences(options.exclude) if options.exclude else frozenset()
    there = done(options.out)
    seconds, began, last = sum(there.values()), time.monotonic(), 0.0
    jobs = enumerate(sentences(options.text, options.seed, options.words, excluded) * options.times)
    if seconds < options.hours * 3600:
        for more in spoken(options, (job for job in jobs if job[0] not in there)):
            seconds += more
            if time.monotonic() - last > 60:
                last = time.monotonic()
                print(f"{seconds / 3600:.2f} of {options.hours:g} h, {last - began:.0f} s", file=sys.stderr, flush=True)
            if seconds >= options.hours * 3600:
                break
    print(f"{seconds / 3600:.2f} h in {options.out}", file=sys.stderr)


if __name__ == "__main__":
    with plain_errors():
        main()
