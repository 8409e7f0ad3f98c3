"""Recordings that are broken in the ways recordings are: each is one `AudioError` that names the file."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.stream import AudioStream, read_audio
from asr.errors import AudioError, UsageError
from tests.audio.recordings import FORMATS, chirp, encode, hear

STEREO = np.stack([chirp(2.0)] * 2, axis=1)


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_truncated(tmp_path, form, subtype, share):
    data = encode(np.tile(chirp(2.0), 2), 16000, form, subtype)
    path = tmp_path / "half.wav"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(AudioError, match=r"half\.wav"):
        read_audio(path)


def test_what_comes_before_the_cut_is_still_heard():
    data = encode(np.tile(chirp(2.0), 4), 16000)
    heard = []
    with AudioStream(data[: len(data) // 2], block_seconds=1.0) as stream, pytest.raises(AudioError, match="cut short"):
        heard.extend(stream)
    assert sum(map(len, heard)) >= 3 * 16000


@pytest.mark.parametrize("size", [0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_written_to_a_pipe_does_not_know_its_length(size):
    data = bytearray(encode(chirp(1.0), 16000))
    start = data.index(b"data") + 4
    data[start : start + 4] = size.to_bytes(4, "little")
    assert hear(bytes(data)).duration == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"Dear diary, this is no sound.\n" * 50, "holds text"),
        ("Ceci est du texte accentué : é à ü.\n".encode() * 50, "holds text"),
        (bytes(2000), "cannot|can be read"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "can be read"),
        (b"RIFF" + bytes(3000), "can be read"),
        (b"OggS" + bytes(3000), "can be read"),
        (b"fLaC" + bytes(3000), "can be read|cut short"),
    ],
)
def test_mislabelled(tmp_path, content, reason):
    path = tmp_path / "odd.wav"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=rf"odd\.wav.*({reason})"):
        read_audio(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e14])
def test_numbers_that_are_none(bad):
    samples = chirp(1.0)
    samples[777] = bad
    with pytest.raises(AudioError, match="no sound"):
        read_audio(encode(samples, 16000, "WAV", "FLOAT"))


def test_folder_named_like_a_recording(tmp_path):
    folder = tmp_path / "x.wav"
    folder.mkdir()
    with pytest.raises(AudioError, match=r"x\.wav is a folder"):
        read_audio(folder)


def test_gone(tmp_path):
    with pytest.raises(AudioError, match=r"gone\.wav does not exist"):
        read_audio(tmp_path / "gone.wav")


def test_name_that_is_not_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    path.write_bytes(encode(chirp(1.0), 16000))
    with pytest.raises(AudioError, match=r"caf\\udce9\.wav.* its name is not UTF-8; rename it"):
        read_audio(path)


def test_name_that_is_not_utf8_of_a_recording_with_a_header_to_mend(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    data = bytearray(encode(chirp(1.0), 16000))
    size = data.index(b"data") + 4
    data[size : size + 4] = bytes(4)  # as of a recorder that was killed
    path.write_bytes(data)
    with pytest.raises(AudioError, match="its name is not UTF-8; rename it"):
        read_audio(path)


def test_a_place_that_cannot_be_found_in_a_damaged_file(tmp_path):
    path = tmp_path / "half.flac"
    data = encode(np.random.default_rng(0).normal(0, 0.1, 160_000), 16000, "FLAC")
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(AudioError, match=r"half\.flac is damaged or cut short: 8\.0 s cannot be found"):
        read_audio(path, offset=8.0)


@pytest.mark.parametrize(
    "options", [{"offset": -1.0}, {"offset": np.nan}, {"offset": np.inf}, {"duration": -1.0}, {"duration": np.inf}]
)
def test_places_that_no_recording_has(tmp_path, options):
    (tmp_path / "a.wav").write_bytes(encode(chirp(1.0), 16000))
    with pytest.raises(AudioError, match=r"a\.wav cannot be read from"):
        read_audio(tmp_path / "a.wav", **options)


def test_a_file_that_is_open_as_text(tmp_path):
    (tmp_path / "a.wav").write_bytes(encode(chirp(1.0), 16000))
    with (tmp_path / "a.wav").open() as file, pytest.raises(UsageError, match=r"a\.wav is open as text\n.*rb"):
        read_audio(file)
    with pytest.raises(UsageError, match="open as text"):
        read_audio(io.StringIO("a.wav"))


def test_dangling_link(tmp_path):
    link = tmp_path / "link.wav"
    link.symlink_to(tmp_path / "nowhere.wav")
    with pytest.raises(AudioError, match=r"link\.wav does not exist"):
        read_audio(link)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything; needs a non-root user")
def test_unreadable(tmp_path):
    path = tmp_path / "secret.wav"
    path.write_bytes(encode(chirp(1.0), 16000))
    path.chmod(0)
    with pytest.raises(AudioError, match=r"secret\.wav cannot be read: Permission denied"):
        read_audio(path)


def test_headerless(tmp_path):
    path = tmp_path / "samples.raw"
    path.write_bytes(chirp(1.0).tobytes())
    with pytest.raises(AudioError, match=r"samples\.raw has no header"):
        read_audio(path)


def test_a_pipe_is_read_like_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = encode(chirp(1.0), 16000)
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert hear(pipe).duration == 1.0
    writer.join()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_damage_is_a_traceback(data):
    form, subtype = data.draw(st.sampled_from(FORMATS))
    content = bytearray(encode(chirp(0.2), 16000, form, subtype))
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        samples = read_audio(bytes(content))
    except AudioError:
        return
    assert np.isfinite(samples).all()


class TestContainersThatNeedFfmpeg:
    def test_without_ffmpeg_the_error_says_exactly_that(self, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", str(tmp_path))
        path = tmp_path / "voice.m4a"
        path.write_bytes(b"\x00\x00\x00\x1cftypM4A " + bytes(500))
        with pytest.raises(AudioError, match=r"voice\.m4a is an MP4 recording \(m4a\), which needs the ffmpeg command"):
            read_audio(path)
        with pytest.raises(AudioError, match="WebM"):
            read_audio(b"\x1a\x45\xdf\xa3" + bytes(500))

    @pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg command")
    def test_a_playlist_opens_no_other_file(self, tmp_path):
        """ffmpeg would follow it, and whoever uploads one could have files of the server transcribed."""
        (tmp_path / "secret.wav").write_bytes(encode(STEREO, 16000))
        subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "secret.wav", tmp_path / "secret.ts"], check=True)
        entry = f"#EXTINF:2,\nfile://{tmp_path}/secret.ts\n"
        (tmp_path / "list.m4a").write_bytes(
            b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#\0\n" + entry.encode() + b"#EXT-X-ENDLIST\n"
        )
        with pytest.raises(AudioError, match="not one of recordings"):
            read_audio(tmp_path / "list.m4a")

    @pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg command")
    @pytest.mark.parametrize("extension", ["m4a", "webm"])
    def test_with_ffmpeg(self, tmp_path, extension):
        wav, path = tmp_path / "a.wav", tmp_path / f"a.{extension}"
        wav.write_bytes(encode(STEREO, 16000))
        subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-ar", "48000", path], check=True)
        for audio in (path, path.read_bytes()):
            recording = hear(audio)
            assert recording.duration == pytest.approx(2.0, abs=0.05)
            assert recording.source.channels == 2
        assert hear(path, offset=0.5, duration=0.25).duration == pytest.approx(0.25, abs=0.001)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(AudioError, match=rf"a\.{extension}"):
            read_audio(path)


@pytest.mark.parametrize("as_path", [True, False], ids=["path", "bytes"])
def test_half_an_mp3_is_noticed_behind_a_large_cover(tmp_path, as_path):
    whole = encode(chirp(6.0), 16000, "MP3")
    assert b"Xing" in whole[:2000] or b"Info" in whole[:2000]
    size = 120_000
    tag = b"ID3\x03\x00\x00" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0)) + bytes(size)
    path = tmp_path / "cover.mp3"
    path.write_bytes(tag + whole)
    assert read_audio(path if as_path else path.read_bytes()).size > 5.9 * 16000
    path.write_bytes((tag + whole)[: size + 10 + len(whole) // 2])
    with pytest.raises(AudioError, match="cut short"):
        read_audio(path if as_path else path.read_bytes())
