from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.stream import AudioStream, probe_audio, read_audio
from asr.errors import AudioError, UsageError
from tests.audio.recordings import FORMATS, chirp, encode, hear


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
@pytest.mark.parametrize("rate", [16000, 48000])
def test_every_format_gives_back_its_sound(form, subtype, rate):
    recording = hear(encode(chirp(2.0, rate), rate, form, subtype))
    wanted = chirp(2.0)
    assert recording.samples.dtype == np.float32
    assert abs(len(recording.samples) - len(wanted)) <= 2
    got = recording.samples[1000:30000]
    assert np.corrcoef(got, wanted[1000:30000])[0, 1] > 0.99
    assert not recording.notices


def test_path_bytes_and_file_object_agree(tmp_path):
    data = encode(chirp(1.0), 16000)
    path = tmp_path / "a.wav"
    path.write_bytes(data)
    first = hear(path)
    for other in (str(path), data, io.BytesIO(data), path.open("rb")):
        np.testing.assert_array_equal(read_audio(other), first.samples)


def test_the_name_of_a_file_need_not_tell_its_format(tmp_path):
    path = tmp_path / "really-flac.wav"
    path.write_bytes(encode(chirp(1.0), 16000, "FLAC"))
    assert hear(path).duration == 1.0


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000])
def test_resampling_is_soxr_at_its_best(rate):
    samples = chirp(3.0, rate)
    got = read_audio(encode(samples, rate, "WAV", "FLOAT"))
    np.testing.assert_array_equal(got, soxr.resample(samples, rate, 16000, quality="HQ"))


@pytest.mark.parametrize("rate", [16000, 44100])
def test_blocks_of_any_size_make_the_same_stream(rate):
    data = encode(chirp(3.0, rate), rate)
    whole = read_audio(data)
    for seconds in (0.01, 0.7, 3.0, 5.0):
        with AudioStream(data, block_seconds=seconds) as stream:
            np.testing.assert_array_equal(np.concatenate(list(stream)), whole)


@settings(max_examples=30, deadline=None)
@given(offset=st.floats(0, 2.5), duration=st.floats(0, 2.5))
def test_a_window_is_a_piece_of_the_whole(offset, duration):
    data = encode(chirp(2.0), 16000, "FLAC")
    whole = read_audio(data)
    start = round(offset * 16000)
    window = read_audio(data, offset=offset, duration=duration)
    np.testing.assert_array_equal(window, whole[start : start + round(duration * 16000)])


class TestChannels:
    stereo = np.stack([chirp(1.0), -0.5 * chirp(1.0)], axis=1)

    def test_mix_is_the_mean_and_says_so_once(self):
        recording = hear(encode(self.stereo, 16000, "WAV", "FLOAT"))
        np.testing.assert_allclose(recording.samples, self.stereo.mean(axis=1), atol=1e-7)
        assert recording.source.channels == 2
        assert [notice for notice in recording.notices if "2 channels" in notice] == recording.notices

    @pytest.mark.parametrize("channel", [1, 2])
    def test_one_channel_is_that_channel(self, channel):
        recording = hear(encode(self.stereo, 16000, "WAV", "FLOAT"), channel=channel)
        np.testing.assert_array_equal(recording.samples, self.stereo[:, channel - 1])
        assert not recording.notices

    @pytest.mark.parametrize("channel", [0, 3, -1])
    def test_a_channel_that_is_not_there(self, channel):
        with pytest.raises(AudioError, match=rf"2 channels, counted from 1: there is no channel {channel}"):
            read_audio(encode(self.stereo, 16000), channel=channel)

    def test_a_channel_that_is_no_channel(self):
        with pytest.raises(UsageError, match="'left'"):
            read_audio(encode(self.stereo, 16000), channel="left")


class TestNotices:
    def notices(self, samples, rate=16000) -> str:
        return "; ".join(hear(encode(samples, rate, "WAV", "FLOAT")).notices)

    def test_telephone(self):
        assert "telephone speech (8000 Hz)" in self.notices(chirp(1.0, 8000), 8000)

    def test_offset(self):
        assert "DC offset (10 % of full scale)" in self.notices(chirp(1.0) + 0.1)

    def test_clipping(self):
        assert "clipped" in self.notices(np.clip(8 * chirp(1.0), -1, 1))

    def test_low_level(self):
        assert "very quiet (-77 dBFS)" in self.notices(chirp(1.0) / 1000)

    def test_silence(self):
        assert self.notices(np.zeros(16000, np.float32)) == "is silent"

    def test_nothing_at_all(self):
        recording = hear(encode(np.zeros(0, np.float32), 16000))
        assert recording.samples.shape == (0,)
        assert recording.notices == ["holds no sound"]

    def test_good_speech_level_needs_no_notice(self):
        assert self.notices(chirp(1.0)) == ""


class TestProbe:
    @pytest.mark.parametrize(("form", "subtype"), FORMATS)
    def test_header(self, form, subtype):
        info = probe_audio(encode(np.stack([chirp(2.0, 48000)] * 2, axis=1), 48000, form, subtype))
        assert (info.sample_rate, info.channels) == (48000, 2)
        assert info.duration == pytest.approx(2.0, abs=0.01)

    def test_faults_name_the_file(self, tmp_path: Path):
        with pytest.raises(AudioError, match=r"gone\.wav does not exist"):
            probe_audio(tmp_path / "gone.wav")
