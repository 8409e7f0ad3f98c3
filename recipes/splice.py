"""New utterances from spans of old ones: `splice.py MODEL MANIFEST FOLDER SPLICED [--times N] [--threads N]`.

A recurrent network that reads the same fifteen hundred sentences again and again learns the sentences: it knows the
word that comes before it hears it, and of other sentences it knows nothing. So MODEL says when each word is spoken;
every utterance is cut between words, where it is quietest, into spans of two to seven words, and the spans of a speaker
are joined in random order. What is heard stays the same, what can be foreseen is gone. (Lam et al. 2021, arXiv
2104.01393, exchange words in the same way.) SPLICED is the manifest of what was made: N times all of MANIFEST, cut
anew each time.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile
from wordless import at_level

from asr.audio.stream import read_audio
from asr.cli.main import plain_errors
from asr.corpus.manifest import Utterance, read_manifest, write_manifest
from asr.errors import AudioError, DataError
from asr.transcription.align import align_text
from asr.transcription.recognizer import Recognizer, load_acoustic_model
from asr.transcription.result import Word

RATE = 16000
WORDS = 2, 7  # in a span
SECONDS = 3.0, 12.0  # of a new utterance; its last span may exceed them
LEVEL_DB = 20 * np.log10(0.06)
FADE = 0.005  # seconds, at each end of a span
QUIET = 0.02  # seconds over which quiet is measured
REACH = 0.06  # seconds before and behind the bounds of two words in which they may be cut apart

Floats = npt.NDArray[np.float32]


class Example(NamedTuple):
    """An utterance cut into words: word n is `samples[cuts[n]:cuts[n + 1]]`."""

    speaker: str
    samples: Floats
    words: list[str]
    cuts: list[int]

    def spans(self, generator: np.random.Generator) -> Iterator[tuple[str, Floats]]:
        """All of it, in consecutive spans of `WORDS` words."""
        first = 0
        while first < len(self.words):
            last = min(first + int(generator.integers(WORDS[0], WORDS[1] + 1)), len(self.words))
            yield " ".join(self.words[first:last]), faded(self.samples[self.cuts[first] : self.cuts[last]])
            first = last


def faded(samples: Floats) -> Floats:
    """`samples` (N,) without a click at either end."""
    samples = samples.copy()
    length = min(round(FADE * RATE), len(samples) // 2)
    ramp = np.linspace(0, 1, length, dtype=np.float32)
    samples[:length] *= ramp
    samples[len(samples) - length :] *= ramp[::-1]
    return samples


def cut(samples: Floats, words: Iterable[Word]) -> list[int]:
    """Where words are cut apart, in samples: in the quietest place between two; beginning and end included."""
    power = np.convolve(samples.astype(np.float64) ** 2, np.ones(round(QUIET * RATE)), mode="same")
    cuts = [0]
    for word, following in pairwise(words):
        low = max(cuts[-1] + 1, round((word.end - REACH) * RATE))
        high = max(low + 1, round((following.start + REACH) * RATE))
        cuts.append(low + int(power[low:high].argmin()))
    return [*cuts, len(samples)]


def read(recognizer: Recognizer, utterance: Utterance) -> Example | None:
    """An utterance with its cuts; None where its words cannot be found in it."""
    try:
        samples = read_audio(utterance.audio, RATE, offset=utterance.offset, duration=utterance.duration)
        words = align_text(recognizer, samples, utterance.text).words
    except (AudioError, DataError) as error:
        print(f"{utterance.id}: left out: {error}")
        return None
    samples = np.clip(at_level(samples, LEVEL_DB), -1, 1)  # spans shall be equally loud
    return Example(utterance.speaker or utterance.id, samples, [word.text for word in words], cut(samples, words))


def splice(examples: Iterable[Example], generator: np.random.Generator) -> Iterator[tuple[str, str, Floats]]:
    """Speaker, text and samples of new utterances that have every span of all of `examples` once."""
    by_speaker = defaultdict(list)
    for one in examples:
        by_speaker[one.speaker].append(one)
    for speaker, utterances in by_speaker.items():
        spans = [span for one in utterances for span in one.spans(generator)]
        texts: list[str] = []
        parts: list[Floats] = []
        wanted = generator.uniform(*SECONDS)
        for number in generator.permutation(len(spans)):
            text, samples = spans[number]
            texts.append(text)
            parts.append(samples)
            if sum(map(len, parts)) > wanted * RATE:
                yield speaker, " ".join(texts), np.concatenate(parts)
                texts, parts, wanted = [], [], generator.uniform(*SECONDS)
        if parts:
            yield speaker, " ".join(texts), np.concatenate(parts)


def main() -> None:
    """The script."""
    parser = argparse.ArgumentParser(description="Make new utterances from spans of old ones.")
    parser.add_argument("model", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("spliced", type=Path)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=5)
    asked = parser.parse_args()
    recognizer = load_acoustic_model(asked.model)
    with ThreadPoolExecutor(asked.threads) as pool:
        read_all = pool.map(lambda one: read(recognizer, one), read_manifest(asked.manifest))
        examples = [one for one in read_all if one is not None]
    asked.folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(asked.seed)
    utterances = []
    for turn in range(asked.times):
        for number, (speaker, text, samples) in enumerate(splice(examples, generator)):
            name = f"spliced-{turn}-{number:05d}"
            path = (asked.folder / f"{name}.flac").absolute()
            soundfile.write(path, samples, RATE)
            utterances.append(Utterance(name, path, len(samples) / RATE, text, speaker))
    write_manifest(asked.spliced, utterances)
    print(f"{asked.spliced}: {sum(one.duration for one in utterances) / 3600:.2f} h in {len(utterances):,} utterances")


if __name__ == "__main__":
    with plain_errors():
        main()
