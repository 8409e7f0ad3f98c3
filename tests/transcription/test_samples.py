"""What Python users hold in their hands: arrays, tensors and iterators of blocks say the same as the file."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import asr
from asr.errors import UsageError
from tests.audio.recordings import encode, noisy

RATE = 16000
VOICE = noisy(3.0, 1)
OTHER = noisy(3.0, 2)


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> asr.Recognizer:
    return asr.load_model(tiny_model, device="cpu", precision="float32")


def blocks(samples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


@pytest.mark.parametrize("rate", [16000, 8000, 44100])
def test_arrays_tensors_and_blocks_are_read_like_the_file(recognizer: asr.Recognizer, rate: int) -> None:
    text = recognizer.transcribe(encode(VOICE, rate)).text
    assert text
    integers = np.rint(VOICE * 32768).clip(-32768, 32767).astype(np.int16)
    forms = [
        integers,
        torch.from_numpy(integers),
        integers[:, None],
        torch.from_numpy(integers)[None],
        blocks(integers, 777),
    ]
    for samples in forms:
        assert recognizer.transcribe(samples, sample_rate=rate).text == text


def test_channels_of_arrays_are_those_of_files(recognizer: asr.Recognizer) -> None:
    stereo = np.stack([VOICE, OTHER], axis=1)
    first, second = (recognizer.transcribe(each, sample_rate=RATE).text for each in (VOICE, OTHER))
    mixed = recognizer.transcribe(stereo.mean(axis=1), sample_rate=RATE).text
    forms = {
        "array": lambda: stereo,
        "tensor": lambda: torch.from_numpy(stereo.T),
        "blocks": lambda: blocks(stereo, 5000),
    }
    for make in forms.values():
        assert recognizer.transcribe(make(), sample_rate=RATE, channel=1).text == first
        assert recognizer.transcribe(make(), sample_rate=RATE, channel=2).text == second
        assert recognizer.transcribe(make(), sample_rate=RATE).text == mixed
        split = recognizer.transcribe(make(), sample_rate=RATE, channel="split")
        assert {segment.channel for segment in split.segments} == {1, 2}


@pytest.mark.parametrize(
    ("samples", "complaint"),
    [
        (np.zeros((2, 3, 4)), r"not of shape \(2, 3, 4\)"),
        (np.zeros(()), r"not of shape \(\)"),
        (np.zeros((10, 200)), r"not of shape \(10, 200\)"),
        (iter([np.zeros((5, 2)), np.zeros((5, 3))]), "blocks of 2 and of 3 channels"),
        (3.5, "is a float, which is no audio"),
    ],
    ids=["three dimensions", "a number in an array", "too many channels", "blocks of other channels", "a number"],
)
def test_what_is_no_audio_is_named(recognizer: asr.Recognizer, samples: object, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        recognizer.transcribe(samples, sample_rate=RATE)  # type: ignore[arg-type]


def test_a_request_of_a_path_is_named_by_it(recognizer: asr.Recognizer, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(encode(VOICE, RATE))
    (outcome,) = recognizer.transcribe_many([asr.Request(tmp_path / "a.wav")])
    assert outcome.name == str(tmp_path / "a.wav")
    assert asr.Request(torch.zeros(3)).name == "the audio"


def test_two_threads_share_one_recognizer(recognizer: asr.Recognizer) -> None:
    signals = [noisy(2.0 + number / 3, number) for number in range(8)]
    alone = [recognizer.transcribe(signal) for signal in signals]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(recognizer.transcribe, signals))
    assert together == alone


def test_a_transcript_is_saved_by_its_suffix_and_shown_in_a_notebook(
    recognizer: asr.Recognizer, tmp_path: Path
) -> None:
    transcript = recognizer.transcribe(VOICE, sample_rate=RATE)
    for form in ("txt", "json", "srt", "vtt", "tsv", "ctm"):
        transcript.save(tmp_path / f"talk.{form}")
        assert (tmp_path / f"talk.{form}").stat().st_size > 0
    with pytest.raises(UsageError, match="no format 'doc'"):
        transcript.save(tmp_path / "talk.doc")
    html = replace(transcript, name="<b>")._repr_html_()
    assert "&lt;b&gt;" in html
    assert html.count("<span") == len(transcript.words)
