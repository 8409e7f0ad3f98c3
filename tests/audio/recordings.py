"""Recordings made for the tests: a chirp that no resampler or channel mix-up leaves unchanged."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import soundfile

from asr.audio.source import AudioInput, Source
from asr.audio.stream import AudioStream

FORMATS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAVEX", "PCM_24"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("AIFF", "PCM_16"),
]


def chirp(seconds: float, sample_rate: int = 16000) -> np.ndarray:
    """(N,) float32 sweep from 200 to 3000 Hz at a fifth of full scale."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (0.2 * np.sin(2 * np.pi * (200 + 1400 * time / seconds) * time)).astype(np.float32)


def noisy(seconds: float, seed: int) -> np.ndarray:
    """Bursts of noise with pauses between them."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * 16000)) / 16000
    envelope = np.clip(np.sin(2 * np.pi * time / 1.7 + seed), 0, 1) ** 2
    return (0.1 * envelope * random.standard_normal(len(time))).astype(np.float32)


def encode(samples: np.ndarray, sample_rate: int, form: str = "WAV", subtype: str | None = None) -> bytes:
    """The bytes of a file that holds `samples`, (N,) or (N, C)."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format=form, subtype=subtype)
    return buffer.getvalue()


class Heard(NamedTuple):
    """What a stream gave: (N,) samples at 16 kHz, and what it said of the recording."""

    samples: np.ndarray
    source: Source
    notices: list[str]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / 16000


def hear(audio: AudioInput, **options: object) -> Heard:
    """A recording to its end, with the notices of the stream."""
    with AudioStream(audio, **options) as stream:
        return Heard(np.concatenate([np.empty(0, np.float32), *stream]), stream.source, stream.notices())
