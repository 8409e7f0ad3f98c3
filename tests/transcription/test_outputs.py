"""How long what is to be transcribed is, as far as that can be told before it is read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from asr.transcription.outputs import seconds_of
from asr.transcription.reader import Request
from tests.audio.recordings import chirp, encode


def test_seconds_of_recordings_that_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "one.wav").write_bytes(encode(chirp(1.5), 16000))
    (tmp_path / "two.flac").write_bytes(encode(chirp(0.5, 48000), 48000, "FLAC"))
    names = ["one.wav", "two.flac", "gone.wav"]
    assert seconds_of(Request(str(tmp_path / name)) for name in names) == pytest.approx(2.0)
    assert seconds_of([Request(encode(chirp(1.0), 16000))]) is None


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_what_only_ffmpeg_reads_is_not_decoded_to_be_measured(tmp_path: Path, monkeypatch) -> None:
    ffmpeg = tmp_path / "ffmpeg"
    head = rb"printf '.snd\000\000\000\030\377\377\377\377\000\000\000\006\000\000\076\200\000\000\000\001'"
    ffmpeg.write_bytes(b"#!/bin/sh\n" + head + b"\nexec cat /dev/zero\n")
    ffmpeg.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "endless.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    assert seconds_of([Request(str(tmp_path / "endless.m4a"))]) is None
