"""Which recordings are named, and how long they are, as far as that can be told before they are read."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr.audio.stream import AudioStream, read_audio
from asr.errors import AudioError
from asr.transcription.outputs import Summary, collect, deliver, seconds_of
from asr.transcription.reader import Request
from asr.transcription.result import Transcript
from tests.audio.recordings import chirp, encode
from tests.audio.test_wav import wav


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


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"sound")))
    found, failures = collect(["-", "-"])
    assert [each.audio.read() for each in found if not isinstance(each.audio, str)] == [b"sound"]
    assert failures == []


def test_a_name_that_is_too_long_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encode(chirp(1.0), 16000))
    found, failures = collect(["x" * 5000, "*" + "x" * 5000, str(tmp_path)])
    assert [each.name for each in found] == [str(tmp_path / "a.wav")]
    assert ["xxx cannot be read: File name too long" in str(each.error) for each in failures] == [True, True]


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks into everything; needs a non-root user")
def test_folders_that_may_not_be_looked_into_are_told(tmp_path: Path) -> None:
    (tmp_path / "closed" / "inner").mkdir(parents=True)
    (tmp_path / "a.wav").write_bytes(encode(chirp(1.0), 16000))
    (tmp_path / "closed").chmod(0)
    try:
        found, failures = collect([str(tmp_path)], recursive=True)
        assert [each.name for each in found] == [str(tmp_path / "a.wav"), str(tmp_path / "closed")]
        with pytest.raises(AudioError, match="closed is a folder, and may not be looked into"):
            read_audio(tmp_path / "closed")
        _, failures = collect([str(tmp_path / "closed"), str(tmp_path / "closed" / "a.wav")])
        assert ["Permission denied" in str(each.error) for each in failures] == [True, True]
    finally:
        (tmp_path / "closed").chmod(0o700)


@pytest.mark.parametrize(
    "recordings",
    [
        [encode(chirp(1.0) + offset, 16000, "WAV", "FLOAT") for offset in (0.1, 0.2, 0.3)],
        [wav(size) for size in (16000, 32000, 48000)],
    ],
    ids=["offset", "header"],
)
def test_a_kind_of_notice_is_told_once_whatever_its_numbers(recordings: list[bytes]) -> None:
    told: list[str] = []
    heard = []
    for number, data in enumerate(recordings):
        with AudioStream(data) as stream:
            list(stream)
        heard.append(Transcript(f"{number}.wav", 1.0, (), tuple(stream.notices())))
    deliver(heard, lambda transcript: None, told.append, told.append, Summary())
    first, rest = told
    assert first.startswith("0.wav has a ")
    assert rest.startswith("2 more recordings: has a ")
