from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr.corpus.manifest import Utterance
from asr.errors import AudioError
from asr.evaluation.decode import request_of
from tests.audio.recordings import encode, noisy

RATE = 16000


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "three.wav"
    path.write_bytes(encode(noisy(3.0, 1), RATE))
    return path


@pytest.mark.parametrize("duration", [2.95, 3.0, 3.5])
def test_all_of_a_recording_is_left_to_the_recognizer(audio: Path, duration: float) -> None:
    assert request_of(Utterance("u", audio, duration), RATE).audio == audio


@pytest.mark.parametrize(("offset", "duration"), [(0.0, 1.0), (1.0, 1.0), (1.0, 2.0), (0.0, 2.8)])
def test_of_a_part_nothing_else_is_heard(audio: Path, offset: float, duration: float) -> None:
    part = request_of(Utterance("u", audio, duration, offset=offset), RATE)
    assert isinstance(part.audio, np.ndarray)
    assert part.sample_rate == RATE
    assert len(part.audio) == round(duration * RATE)


@pytest.mark.parametrize("offset", [0.0, 1.0])
def test_a_recording_that_is_missing_is_named(audio: Path, offset: float) -> None:
    audio.unlink()
    with pytest.raises(AudioError, match=r"three\.wav"):
        request_of(Utterance("u", audio, 3.0, offset=offset), RATE)
