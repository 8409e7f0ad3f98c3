"""Where the page finds the recording of an utterance: a relative link, or the sound itself in the page."""

from __future__ import annotations

import base64
import io
import os
import string
from pathlib import Path
from urllib.parse import quote

from asr.errors import AudioError
from asr.scoring.result import ScoredUtterance

COLUMNS = 240  # of a drawn waveform
_LONGEST = 48_000 * 600  # samples read of one utterance
_LEVELS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".m4a": "audio/mp4",
    ".webm": "audio/webm",
}


def find_audio(utterance: ScoredUtterance) -> Path | None:
    """The recording on disk, if the manifest names one and it is there."""
    name = utterance.fields.get("audio_filepath")
    path = Path(name) if isinstance(name, str) else None
    return path if path is not None and path.is_file() else None


def link_audio(utterance: ScoredUtterance, path: Path, folder: Path) -> str:
    """A link to `path` relative to the page's `folder`; a part of a longer recording carries its times."""
    try:
        link = quote(Path(os.path.relpath(path, folder.resolve())).as_posix())
    except ValueError:  # another drive
        link = path.resolve().as_uri()
    start, end = _part(utterance)
    return f"{link}#t={start:g},{end:g}" if start else link


def embed_audio(utterance: ScoredUtterance, path: Path) -> str:
    """The recording as a `data:` address; of a longer recording only the utterance, as FLAC.

    Raises `AudioError` when the part cannot be read.
    """
    start, end = _part(utterance)
    kind = _TYPES.get(path.suffix.lower())
    if start or kind is None:
        kind, data = "audio/flac", _cut(path, start, end)
    else:
        data = path.read_bytes()
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def draw_waveform(utterance: ScoredUtterance, path: Path) -> tuple[str, float] | None:
    """The loudest sample in each of `COLUMNS` stretches of an utterance, a letter each, and its length in seconds.

    None if it cannot be read. The letters count from 0 to 63 in the alphabet of base64, of the loudest sample.
    """
    import numpy as np
    import soundfile

    start, end = _part(utterance)
    try:
        with soundfile.SoundFile(path) as file:
            rate = file.samplerate
            file.seek(round(start * rate))
            frames = round((end - start) * rate) if end > start else -1
            samples = np.abs(file.read(min(frames, _LONGEST) if frames > 0 else _LONGEST, always_2d=True)).max(axis=1)
    except (OSError, RuntimeError, ValueError):
        return None
    if not len(samples):
        return None
    peaks = np.array([part.max(initial=0.0) for part in np.array_split(samples, COLUMNS)])
    levels = np.round(63 * peaks / max(float(peaks.max()), 1e-9)).astype(int)
    return "".join(_LEVELS[level] for level in levels), round(len(samples) / rate, 3)


def _part(utterance: ScoredUtterance) -> tuple[float, float]:
    start = utterance.number("offset") or 0.0
    return start, start + (utterance.number("duration") or 0.0)


def _cut(path: Path, start: float, end: float) -> bytes:
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            file.seek(round(start * file.samplerate))
            frames = round((end - start) * file.samplerate) if end > start else -1
            samples, rate = file.read(frames), file.samplerate
        memory = io.BytesIO()
        soundfile.write(memory, samples, rate, format="FLAC")
        return memory.getvalue()
    except (OSError, RuntimeError) as error:
        raise AudioError(f"{path} cannot be embedded: {error}", "Link the audio instead (no --embed-audio).") from error
