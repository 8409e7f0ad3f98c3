"""Small recordings for tests: tones and the layouts of the corpora, made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def write_tone(path: Path, seconds: float = 0.25, amplitude: float = 0.1, rate: int = 16000, channels: int = 1) -> Path:
    """A sine of 440 Hz; its level is 20 log10(amplitude / √2) dBFS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = amplitude * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, np.repeat(tone[:, None], channels, axis=1), rate)
    return path


def write_librispeech(
    root: Path, part: str, utterances: dict[str, str], suffix: str = ".flac", speakers: str = ""
) -> Path:
    """`<root>/<part>` with a tone and a transcript for each `speaker-chapter-number`."""
    for identity, text in utterances.items():
        speaker, chapter, _ = identity.split("-")
        folder = root / part / speaker / chapter
        write_tone(folder / f"{identity}{suffix}")
        with (folder / f"{speaker}-{chapter}.trans.txt").open("a", encoding="utf-8") as file:
            file.write(f"{identity} {text}\n")
    if speakers:
        (root / "SPEAKERS.TXT").write_text(speakers, encoding="utf-8")
    return root
