"""WAV headers that lie mildly are read to the end of the file; recordings that are cut short are not."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.stream import probe_audio, read_audio
from asr.audio.wav import find_repair
from asr.errors import AudioError
from tests.audio.recordings import hear

RATE = 16000
SAMPLES = (np.random.default_rng(1).uniform(-0.5, 0.5, 3 * RATE) * 32767).astype("<i2")
LIST = b"LIST" + struct.pack("<I", 10) + b"INFOICRD\0\0"


def wav(
    size: int | None = None, after: bytes = b"", subtype: str = "PCM_16", channels: int = 1, pause: bool = False
) -> bytes:
    """Three seconds of noise whose data chunk says it has `size` bytes (the truth if None), if `pause` then zeros."""
    file = io.BytesIO()
    soundfile.write(file, np.repeat(SAMPLES[:, None] / 32768, channels, axis=1), RATE, format="WAV", subtype=subtype)
    data = file.getvalue()
    at = data.index(b"data") + 4
    if pause and size is not None:
        data = data[: at + 4 + size] + bytes(16) + data[at + 20 + size :]
    if size is not None:
        data = data[:at] + struct.pack("<I", size) + data[at + 4 :]
    return data + after


TRUE = 6 * RATE


@pytest.mark.parametrize(
    ("data", "seconds", "notice"),
    [
        (wav(), 3.0, ""),
        (wav(0), 3.0, "never finished"),
        (wav(4 * RATE), 3.0, "header (2.0 s)"),
        (wav(4 * RATE, pause=True), 3.0, "header (2.0 s)"),
        (wav(TRUE + 44), 3.0, ""),
        (wav(TRUE + 1), 3.0, ""),
        (wav(0xFFFFFFFF), 3.0, ""),
        (wav(after=LIST), 3.0, ""),
        (wav(after=bytes(100)), 3.0, ""),
        (wav(after=b"abc"), 3.0, ""),
        (wav(0, channels=2), 3.0, "never finished"),
        (wav(0, subtype="PCM_24"), 3.0, "never finished"),
        (wav(0, subtype="FLOAT"), 3.0, "never finished"),
    ],
    ids=[
        "true",
        "zero",
        "stale",
        "stale-in-a-pause",
        "44-more",
        "1-more",
        "endless",
        "chunk-behind",
        "zeros-behind",
        "crumbs-behind",
        "stereo",
        "24-bits",
        "floats",
    ],
)
@pytest.mark.parametrize("as_path", [True, False], ids=["path", "bytes"])
def test_the_sound_is_all_there(tmp_path: Path, data: bytes, seconds: float, notice: str, as_path: bool) -> None:
    (tmp_path / "a.wav").write_bytes(data)
    source = tmp_path / "a.wav" if as_path else data
    recording = hear(source)
    assert recording.duration == pytest.approx(seconds)
    assert probe_audio(source).duration == pytest.approx(seconds)
    differing = np.abs(recording.samples - SAMPLES / 32768) > 2e-4
    assert differing.sum() <= 8, "the pause"
    told = [each for each in recording.notices if "header" in each]
    assert [notice in each for each in told] == ([True] if notice else [])


def test_a_stretch_behind_the_stale_end_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(2 * RATE))
    samples = read_audio(tmp_path / "a.wav", RATE, offset=2.0, duration=0.5)
    np.testing.assert_allclose(samples, SAMPLES[2 * RATE : 2 * RATE + RATE // 2] / 32768, atol=2e-4)


def test_a_header_of_gigabytes_is_a_promise_too(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(2_900_000_000))
    with pytest.raises(AudioError, match="cut short"):
        hear(tmp_path / "a.wav")


@pytest.mark.parametrize("missing", [0.2, 1.0, 2.9])
def test_a_recording_that_is_cut_short_stays_an_error(tmp_path: Path, missing: float) -> None:
    (tmp_path / "a.wav").write_bytes(wav()[: -round(missing * 2 * RATE)])
    with pytest.raises(AudioError, match="cut short"):
        hear(tmp_path / "a.wav")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 140))
def test_any_bytes_are_examined_without_trouble(noise: bytes, cut: int) -> None:
    for data in (b"RIFF" + noise, wav()[:cut] + noise, wav()[:60] + noise):
        repair = find_repair(data)
        assert repair is None or 0 < repair.size <= len(data)
