"""The way in for containers that libsndfile does not know (m4a, webm, …): the `ffmpeg` command, where there is one.

ffmpeg decodes to the AU format on a pipe, whose 24-byte header gives rate and channels without a second program.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import numpy.typing as npt

from asr.errors import AudioError

_CONTAINERS = {  # by what is found at which byte
    (4, b"ftyp"): "an MP4 recording (m4a)",
    (0, b"\x1a\x45\xdf\xa3"): "a WebM or Matroska recording",
    (0, b"0&\xb2u"): "a Windows Media recording (wma)",
    (0, b"#!AM"): "an AMR recording",
    (0, b"\xff\xf1"): "an AAC recording",
    (0, b"\xff\xf9"): "an AAC recording",
    (0, b"FLV\x01"): "a Flash recording",
}
# ffmpeg begins its lines with the decoder's address in memory, or with the name of the (temporary) file.
_ADDRESS = re.compile(r"^\[[^\]]* @ 0x[0-9a-f]+\] |^file:\S+: ")
# Containers of one recording. Not among them are playlists, which would have ffmpeg open whatever else they name.
_DEMUXERS = "mov,matroska,aac,ac3,eac3,amr,asf,avi,flv,mpeg,mpegts,mp3,ogg,wav,w64,aiff,caf,au,flac,ape,wv,tta,dts,dsf"
_NATIVE = (b"RIFF", b"FORM", b"fLaC", b"OggS")


def container(head: bytes) -> str:
    """The name of a container that only ffmpeg reads, told by a file's first bytes; empty for any other."""
    return next((name for (start, magic), name in _CONTAINERS.items() if head.startswith(magic, start)), "")


def can_try(head: bytes) -> bool:
    """Whether the command is on the PATH and may read what libsndfile could not: what that knows is broken to both."""
    return shutil.which("ffmpeg") is not None and not head.startswith(_NATIVE)


@contextmanager
def open_stream(name: str, data: str | bytes) -> Iterator[FfmpegSource]:
    """Decode a file (or its bytes) in a child process that ends with the block. Raises `AudioError`."""
    with tempfile.TemporaryFile() as faults, tempfile.NamedTemporaryFile() as copy:
        if isinstance(data, bytes):  # mp4 keeps its index at the end, so that it cannot be decoded from a pipe
            copy.write(data)
            copy.flush()
        path = copy.name if isinstance(data, bytes) else data
        command = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file", "-format_whitelist", _DEMUXERS]
        command += ["-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "-"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=faults) as process:
            try:
                assert process.stdout is not None
                yield FfmpegSource(name, process, process.stdout, faults)
            finally:
                process.kill()


class FfmpegSource:
    """A recording that ffmpeg decodes as it is read."""

    frames: int | None = None

    def __init__(self, name: str, process: subprocess.Popen[bytes], pipe: IO[bytes], faults: IO[bytes]) -> None:
        self.name = name
        self.notices: list[str] = []
        self.format = "FFMPEG"
        self._process = process
        self._pipe = pipe
        self._faults = faults
        header = pipe.read(24)
        if len(header) < 24 or header[:4] != b".snd":
            raise AudioError(f"{name} is not a recording that can be read: {self._fault()}")
        start, _, _, self.sample_rate, self.channels = struct.unpack(">5I", header[4:])
        pipe.read(start - 24)

    def seek(self, frame: int) -> None:
        """Decode and drop up to `frame` (a pipe knows no other way)."""
        while frame > 0:
            frame -= (block := len(self.read(min(frame, self.sample_rate))))
            if not block:
                return

    def read(self, frames: int) -> npt.NDArray[np.float32]:
        """The next (at most `frames`, C) samples. Raises `AudioError` with ffmpeg's own words."""
        data = self._pipe.read(frames * self.channels * 4)
        if len(data) < frames * self.channels * 4 and (self._process.wait() != 0 or self._fault("")):
            raise AudioError(f"{self.name} is damaged or cut short: {self._fault()}")
        return np.frombuffer(data, dtype=">f4").astype(np.float32).reshape(-1, self.channels)

    def missing(self, seen: int) -> bool:
        """Never: what ffmpeg finds missing it says itself."""
        return False

    def _fault(self, otherwise: str = "ffmpeg finds no sound in it") -> str:
        self._process.wait()
        self._faults.seek(0)
        lines = self._faults.read().decode(errors="replace").strip().splitlines()
        if lines and "not on whitelist" in lines[0]:
            return "it is in a format that is not one of recordings"
        return _ADDRESS.sub("", lines[0]).strip() if lines else otherwise
