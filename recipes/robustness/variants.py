"""The same speech under harder conditions, and sounds without a word.

    variants.py MANIFEST.jsonl OUT_DIR [EVERY]

Of every EVERYth utterance (default: of all), writes `OUT_DIR/CONDITION/*.flac` and `OUT_DIR/CONDITION.jsonl` for each
of `CONDITIONS`, and the sounds of `SOUNDS` into `OUT_DIR/no-words/`. What is drawn depends on the utterance's id alone.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from asr.audio.stream import read_audio
from asr.cli.main import plain_errors
from asr.corpus.manifest import Utterance, read_manifest, write_manifest
from asr.features import distortion

RATE = 16000
BABBLE_VOICES = 6
SOUND_SECONDS = 6.0
DIAL_TONE_HZ = (350.0, 440.0)
MP3_AT_32_KBIT = 0.86
"""Compression level by which libsndfile writes read speech at 32 kbit/s on average."""

Voices = Sequence[np.ndarray]
Condition = Callable[[np.ndarray, Voices, np.random.Generator], np.ndarray]


def clean(samples: np.ndarray, voices: Voices, generator: np.random.Generator) -> np.ndarray:
    """As it was recorded."""
    return samples


def babble(snr_db: float) -> Condition:
    """Six other speakers of the set at once."""

    def condition(samples: np.ndarray, voices: Voices, generator: np.random.Generator) -> np.ndarray:
        noise = distortion.babble(voices, len(samples), BABBLE_VOICES, generator)
        return distortion.mix(samples, noise, snr_db)

    return condition


def white(snr_db: float) -> Condition:
    """White noise."""

    def condition(samples: np.ndarray, voices: Voices, generator: np.random.Generator) -> np.ndarray:
        return distortion.mix(samples, distortion.colored_noise(len(samples), distortion.WHITE, generator), snr_db)

    return condition


def room(rt60_s: float) -> Condition:
    """A room in which the direct path is as loud as all that comes back from the walls."""

    def condition(samples: np.ndarray, voices: Voices, generator: np.random.Generator) -> np.ndarray:
        return distortion.reverberate(samples, distortion.room(rt60_s, 0.0, RATE, generator))

    return condition


def telephone(samples: np.ndarray, voices: Voices, generator: np.random.Generator) -> np.ndarray:
    """8 kHz, 300 to 3400 Hz, μ-law."""
    return distortion.telephone(samples, RATE)


def mp3(samples: np.ndarray, voices: Voices, generator: np.random.Generator) -> np.ndarray:
    """MP3 at 32 kbit/s."""
    return distortion.codec(samples, RATE, "mp3", MP3_AT_32_KBIT)


def slow(samples: np.ndarray, voices: Voices, generator: np.random.Generator) -> np.ndarray:
    """At 0.85 of its pace and the same pitch, by a phase vocoder with the windows that tools have by default."""
    return distortion.stretch(samples, 0.85, window=2048)


CONDITIONS: dict[str, Condition] = {
    "clean": clean,
    "babble-10-dB": babble(10),
    "babble-5-dB": babble(5),
    "white-10-dB": white(10),
    "room-0.6-s": room(0.6),
    "telephone": telephone,
    "mp3-32-kbit": mp3,
    "vocoder-0.85": slow,
}


def sounds() -> dict[str, np.ndarray]:
    """Six seconds each of what is not speech, at −26 dBFS."""
    length = round(SOUND_SECONDS * RATE)
    time = np.arange(length) / RATE
    found = {
        "white-noise": distortion.colored_noise(length, distortion.WHITE, _generator("white noise")),
        "pink-noise": distortion.colored_noise(length, distortion.PINK, _generator("pink noise")),
        "dial-tone": sum(np.sin(2 * np.pi * hertz * time) for hertz in DIAL_TONE_HZ),
        "chords": distortion.chords(length, RATE, _generator("chords")),
        "hum": distortion.hum(length, RATE, _generator("hum")),
    }
    return {name: np.float32(0.05) * wave / np.sqrt(np.mean(wave**2)) for name, wave in found.items()}


def main(manifest: Path, out: Path, every: int) -> None:
    """Build all variants; those that are there already are made anew."""
    utterances = read_manifest(manifest)[::every]
    speech = {one.id: read_audio(one.audio, RATE, offset=one.offset, duration=one.duration) for one in utterances}
    for name, condition in CONDITIONS.items():
        made = list(_made(utterances, speech, condition, out / name))
        write_manifest(out / f"{name}.jsonl", made)
        print(f"{name}: {len(made)} utterances, {sum(one.duration for one in made) / 60:.1f} minutes", file=sys.stderr)
    for name, samples in sounds().items():
        _write(out / "no-words" / f"{name}.flac", samples)


def _made(
    utterances: Sequence[Utterance], speech: dict[str, np.ndarray], condition: Condition, folder: Path
) -> Iterator[Utterance]:
    for utterance in utterances:
        voices = [speech[one.id] for one in utterances if one.speaker != utterance.speaker or one.speaker is None]
        generator = _generator(utterance.id)
        samples = condition(speech[utterance.id], voices or [speech[utterance.id]], generator)
        path = folder / f"{utterance.id}.flac"
        _write(path, samples)
        yield replace(utterance, audio=path.resolve(), offset=0.0, duration=len(samples) / RATE)


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def _write(path: Path, samples: np.ndarray) -> None:
    """FLAC, made softer where it would be clipped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    loudest = max(1.0, float(np.abs(samples).max(initial=0)) / 0.99)
    soundfile.write(path, samples / loudest, RATE)


if __name__ == "__main__":
    with plain_errors():
        main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1)
