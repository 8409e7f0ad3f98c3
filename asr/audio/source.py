"""An open recording: its header, and float32 frames on demand, whatever the container.

soundfile (libsndfile) reads wav, flac, ogg, opus, mp3, aiff and NIST sph; everything else goes through the `ffmpeg`
command where it is installed (see `asr.audio.ffmpeg`). Every fault becomes an `AudioError` that names the recording.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from asr.audio import ffmpeg
from asr.audio.wav import Repair, find_repair, for_libsndfile, opened, states_no_length
from asr.errors import AudioError, UsageError

Samples = npt.NDArray[np.float32]
AudioInput = str | os.PathLike[str] | bytes | IO[bytes]

_REACH = 70_000  # bytes: more than the longest last Ogg page (65,307)
MOST_CHANNELS = 64
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")


class Source(Protocol):
    """What can be asked of an open recording."""

    name: str
    format: str
    sample_rate: int
    channels: int
    frames: int | None
    """Frames that the header promises; None where it promises nothing."""
    notices: list[str]
    """What was odd about the file, a phrase each."""

    def seek(self, frame: int) -> None:
        """Go to `frame`, counted from 0."""

    def read(self, frames: int) -> Samples:
        """The next (at most `frames`, C) samples; fewer only at the end."""

    def missing(self, seen: int) -> bool:
        """Whether a recording that ended after `seen` frames is shorter than it says of itself."""


@contextmanager
def open_source(audio: AudioInput | SamplesSource) -> Iterator[Source]:
    """Open a path, the bytes of a file, or a binary file object; a source is open already. Raises `AudioError`."""
    if isinstance(audio, SamplesSource):
        yield audio
        return
    name, data = _locate(audio)
    head = _bytes_at(data, 0, 64)
    if not head:
        raise AudioError(f"{name} is empty (0 bytes)")
    if _looks_like_text(head):
        raise AudioError(f"{name} is not a recording: it holds text")
    repair = find_repair(data) if head.startswith(b"RIFF") else None
    try:
        file = soundfile.SoundFile(for_libsndfile(data, repair))
    except TypeError as error:  # soundfile's answer to a name that ends in .raw
        raise AudioError(f"{name} has no header to say its sample rate", "Convert it to WAV first.") from error
    except soundfile.LibsndfileError as error:
        if not ffmpeg.can_try(head):
            raise _unreadable(name, head, error) from error
    else:
        with file:
            yield SoundFileSource(name, file, data, repair)
        return
    with ffmpeg.open_stream(name, data) as stream:
        yield stream


class SamplesSource:
    """Samples that a program holds: blocks (N,) or (N, C) of floats in [-1, 1], or of integers."""

    format = "SAMPLES"

    def __init__(self, name: str, blocks: Iterable[npt.NDArray[Any]], sample_rate: int, frames: int | None) -> None:
        """Raises `UsageError` for blocks of another shape; later ones are seen as they come."""
        self.name, self.sample_rate, self.frames, self.notices = name, sample_rate, frames, list[str]()
        self._blocks = iter(blocks)
        self.channels = 0  # known from the first block on
        self._held = self._next()

    def seek(self, frame: int) -> None:
        """Drop up to `frame`."""
        self.read(frame)

    def read(self, frames: int) -> Samples:
        """The next (at most `frames`, C) samples; fewer only at the end."""
        parts, missing = [self._held], frames - len(self._held)
        while missing > 0 and len(block := self._next()):
            parts.append(block)
            missing -= len(block)
        joined = np.concatenate(parts) if len(parts) > 1 else parts[0]
        self._held = joined[frames:]
        return joined[:frames]

    def missing(self, seen: int) -> bool:
        """Never: what there is, is all of it."""
        del seen
        return False

    def _next(self) -> Samples:
        """The next block that is not empty; one of no frames at the end."""
        for block in self._blocks:
            array = np.asarray(block)
            samples = array[:, None] if array.ndim == 1 else array
            if samples.ndim != 2 or not 1 <= samples.shape[1] <= MOST_CHANNELS:
                raise UsageError(
                    f"{self.name} must be samples (N,) of one channel or (N, C) of several, not of shape {array.shape}"
                )
            if self.channels not in (0, samples.shape[1]):
                raise UsageError(f"{self.name} has blocks of {self.channels} and of {samples.shape[1]} channels")
            if len(samples) or not self.channels:
                self.channels = samples.shape[1]
                return _as_float(samples)
        self.channels = self.channels or 1
        return np.zeros((0, self.channels), np.float32)


def _as_float(samples: npt.NDArray[Any]) -> Samples:
    """Float32 in [-1, 1] of any type of numbers; silence of unsigned integers lies in the middle, as in WAV files."""
    floats = samples.astype(np.float32)
    if np.issubdtype(samples.dtype, np.integer):
        low, high = float(np.iinfo(samples.dtype).min), float(np.iinfo(samples.dtype).max)
        floats = (floats - (high + low + 1) / 2) / ((high - low + 1) / 2)
    return floats


class SoundFileSource:
    """A recording that libsndfile reads."""

    def __init__(self, name: str, file: soundfile.SoundFile, data: str | bytes, repair: Repair | None = None) -> None:
        self.name = name
        self.notices = [repair.notice] if repair and repair.notice else []
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
        try:
            self._file.seek(min(frame, self._file.frames))
        except soundfile.LibsndfileError as error:
            at = frame / self.sample_rate
            raise AudioError(f"{self.name} is damaged or cut short: {at:.1f} s cannot be found in it") from error

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
            return not _ogg_ends(_bytes_at(self._data, -_REACH, _REACH))
        remarks = self._file.extra_info
        sizes = re.search(r"^data : (\d+) \(should be (\d+)\)", remarks, re.MULTILINE)
        if sizes and self.format in ("WAV", "WAVEX"):
            return int(sizes[2]) < int(sizes[1]) and not states_no_length(int(sizes[1]))
        frames = re.search(r"Frame count read from 'COMM' chunk \((\d+)\) not equal", remarks)
        return frames is not None and int(frames[1]) > seen


def audio_name(audio: object) -> str:
    """What to call a recording in messages."""
    if isinstance(audio, (str, os.PathLike)):
        return os.fsdecode(audio)
    return str(getattr(audio, "name", None) or "the audio")


def _locate(audio: AudioInput) -> tuple[str, str | bytes]:
    """The name to use in messages, and a path or the whole bytes."""
    if isinstance(audio, io.TextIOBase):
        raise UsageError(f"{audio_name(audio)} is open as text", 'Open it with mode "rb".')
    if not isinstance(audio, (str, os.PathLike)):
        return audio_name(audio), audio if isinstance(audio, bytes) else audio.read()
    path = Path(audio)
    name = str(path)
    try:
        name.encode()  # bytes on the disk that are no text could not be written in a transcript either
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            reason = "not a recording" if os.access(path, os.R_OK) else "and may not be looked into"
            raise AudioError(f"{name} is a folder, {reason}")
        if not stat.S_ISREG(mode):  # a pipe cannot be read twice, and libsndfile wants to seek
            return name, path.read_bytes()
    except UnicodeEncodeError as error:
        raise AudioError(f"{name!r} cannot be opened: its name is not UTF-8; rename it") from error
    except FileNotFoundError as error:
        raise AudioError(f"{name} does not exist") from error
    except (OSError, ValueError) as error:
        raise AudioError(f"{name} cannot be read: {_reason(error)}") from error
    return name, name


def _bytes_at(data: str | bytes, at: int, size: int) -> bytes:
    """The `size` bytes from byte `at` on, which counts from the end where it is negative."""
    try:
        with opened(data) as file:
            length = file.seek(0, os.SEEK_END)
            file.seek(at if at >= 0 else max(0, length + at))
            return bytes(file.read(size))
    except OSError as error:
        raise AudioError(f"{data!s} cannot be read: {_reason(error)}") from error


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
    """Whether the first frame, behind a tag (ID3v2, section 3.1: its size in four times seven bits), has a header."""
    tag = _bytes_at(data, 0, 10)
    length = sum(byte << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=False))
    start = _bytes_at(data, 10 + length if tag[:3] == b"ID3" else 0, _REACH)
    return b"Xing" in start or b"Info" in start


def _ogg_ends(tail: bytes) -> bool:
    """Whether the last Ogg page is whole and flagged as the end of its stream (RFC 3533, section 6)."""
    start = tail.rfind(b"OggS")
    segments = tail[start + 27 :][: tail[start + 26]] if 0 <= start < len(tail) - 26 else b""
    whole = bool(segments) and len(tail) >= start + 27 + len(segments) + sum(segments)
    return whole and bool(tail[start + 5] & 4)


def _reason(error: Any) -> str:
    """What went wrong without the library's preamble and the path that the message already has."""
    text = getattr(error, "error_string", None) or getattr(error, "strerror", None) or str(error)
    return str(text).strip().removeprefix("Error : ").rstrip(".")
