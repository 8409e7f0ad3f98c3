"""An open recording: its header, and float32 frames on demand, whatever the container.

soundfile (libsndfile) reads wav, flac, ogg, opus, mp3, aiff and NIST sph; everything else goes through the `ffmpeg`
command where it is installed (see `asr.audio.ffmpeg`). Every fault becomes an `AudioError` that names the recording.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from asr.audio import ffmpeg
from asr.errors import AudioError

Samples = npt.NDArray[np.float32]
AudioInput = str | os.PathLike[str] | bytes | IO[bytes]

# Programs that write a WAV to a pipe cannot know its length: they leave one of these in the header.
_UNKNOWN_LENGTH = 0x7FFF0000
# Far enough into a file for an MP3's length header behind its tags, or for the longest last Ogg page (65,307 bytes).
_REACH = 70_000
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")


class Source(Protocol):
    """What can be asked of an open recording."""

    name: str
    format: str
    sample_rate: int
    channels: int
    frames: int | None
    """Frames that the header promises; None where it promises nothing."""

    def seek(self, frame: int) -> None:
        """Go to `frame`, counted from 0."""

    def read(self, frames: int) -> Samples:
        """The next (at most `frames`, C) samples; fewer only at the end."""

    def missing(self, seen: int) -> bool:
        """Whether a recording that ended after `seen` frames is shorter than it says of itself."""


@contextmanager
def open_source(audio: AudioInput) -> Iterator[Source]:
    """Open a path, the bytes of a file, or a binary file object. Raises `AudioError` naming it."""
    name, data = _locate(audio)
    head = data[:64] if isinstance(data, bytes) else _head(data)
    if not head:
        raise AudioError(f"{name} is empty (0 bytes)")
    if _looks_like_text(head):
        raise AudioError(f"{name} is not a recording: it holds text")
    try:
        file = soundfile.SoundFile(io.BytesIO(data) if isinstance(data, bytes) else data)
    except TypeError as error:  # soundfile's answer to a name that ends in .raw
        raise AudioError(f"{name} has no header to say its sample rate", "Convert it to WAV first.") from error
    except UnicodeEncodeError as error:  # from bytes on the disk that are no text in its encoding
        raise AudioError(f"{name!r} cannot be opened: its name is not UTF-8; rename it") from error
    except soundfile.LibsndfileError as error:
        if not ffmpeg.is_installed() or not ffmpeg.worth_trying(head):
            raise _unreadable(name, head, error) from error
    else:
        with file:
            yield SoundFileSource(name, file, data)
        return
    with ffmpeg.open_stream(name, data) as stream:
        yield stream


class SoundFileSource:
    """A recording that libsndfile reads."""

    def __init__(self, name: str, file: soundfile.SoundFile, data: str | bytes) -> None:
        self.name = name
        self.format: str = file.format
        self.sample_rate: int = file.samplerate
        self.channels: int = file.channels
        self.frames: int | None = file.frames
        self._file = file
        self._data = data
        if self.sample_rate <= 0 or self.channels <= 0:
            raise AudioError(f"{name} has a broken header ({self.sample_rate} Hz, {self.channels} channels)")

    def seek(self, frame: int) -> None:
        """Go to `frame`; every format that libsndfile reads lands on it exactly."""
        self._file.seek(min(frame, self._file.frames))

    def read(self, frames: int) -> Samples:
        """The next (at most `frames`, C) samples. Raises `AudioError` where the data are damaged."""
        try:
            samples: Samples = self._file.read(frames, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise AudioError(f"{self.name} is damaged or cut short: {_reason(error)}") from error
        return samples

    def missing(self, seen: int) -> bool:
        """Whether the header promises more than the `seen` frames, or the stream lacks its end mark."""
        if self.format == "MP3" and not _mp3_states_length(self._data):
            return False  # without a Xing or Info header the length is libsndfile's guess, no promise
        if self.frames is not None and seen < self.frames:
            return True
        if self.format == "OGG":
            return not _ogg_ends(_tail(self._data))
        remarks = self._file.extra_info
        sizes = re.search(r"^data : (\d+) \(should be (\d+)\)", remarks, re.MULTILINE)
        if sizes and self.format in ("WAV", "WAVEX"):
            return int(sizes[2]) < int(sizes[1]) < _UNKNOWN_LENGTH
        frames = re.search(r"Frame count read from 'COMM' chunk \((\d+)\) not equal", remarks)
        return frames is not None and int(frames[1]) > seen


def _locate(audio: AudioInput) -> tuple[str, str | bytes]:
    """The name to use in messages, and a path or the whole bytes."""
    if isinstance(audio, bytes):
        return "the recording", audio
    if not isinstance(audio, (str, os.PathLike)):
        return str(getattr(audio, "name", "the recording")), audio.read()
    path = Path(audio)
    name = str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{name} is a folder, not a recording")
        if not stat.S_ISREG(mode):  # a pipe cannot be read twice, and libsndfile wants to seek
            return name, path.read_bytes()
    except FileNotFoundError as error:
        raise AudioError(f"{name} does not exist") from error
    except (OSError, ValueError) as error:
        raise AudioError(f"{name} cannot be read: {_reason(error)}") from error
    return name, name


def _head(path: str, size: int = 64) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {_reason(error)}") from error


def _looks_like_text(head: bytes) -> bool:
    return _TEXT.fullmatch(head) is not None and head[:4] not in (b"RIFF", b"FORM", b"fLaC", b"OggS", b"NIST")


def _unreadable(name: str, head: bytes, error: soundfile.LibsndfileError) -> AudioError:
    container = ffmpeg.container(head)
    if container:
        return AudioError(
            f"{name} is {container}, which needs the ffmpeg command, and it is not on the PATH",
            "Install ffmpeg, or convert the recording to wav, flac, ogg, opus or mp3.",
        )
    return AudioError(f"{name} is not a recording that can be read: {_reason(error)}")


def _mp3_states_length(data: str | bytes) -> bool:
    start = data[:_REACH] if isinstance(data, bytes) else _head(data, _REACH)
    return b"Xing" in start or b"Info" in start


def _ogg_ends(tail: bytes) -> bool:
    """Whether the last Ogg page is whole and flagged as the end of its stream (RFC 3533, section 6)."""
    start = tail.rfind(b"OggS")
    segments = tail[start + 27 :][: tail[start + 26]] if 0 <= start < len(tail) - 26 else b""
    whole = bool(segments) and len(tail) >= start + 27 + len(segments) + sum(segments)
    return whole and bool(tail[start + 5] & 4)


def _tail(data: str | bytes) -> bytes:
    if isinstance(data, bytes):
        return data[-_REACH:]
    with Path(data).open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _REACH))
        return file.read()


def _reason(error: Any) -> str:
    """What went wrong without the library's preamble and the path that the message already has."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(text).strip().removeprefix("Error : ").rstrip(".")
