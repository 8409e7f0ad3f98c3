from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.corpus.manifest import Utterance
from asr.errors import AsrError, AudioError
from asr.evaluation.decode import PART, decode_manifest, request_of
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


class Silent:
    """A recognizer of nothing."""

    def transcribe_many(self, requests: Any, **options: Any) -> Iterator[Any]:
        return iter(())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(AsrError, match=r"cannot write .*taken"):
        decode_manifest(Silent(), [], tmp_path / "taken", {})  # type: ignore[arg-type]


@pytest.mark.parametrize("torn", ["\0" * 40, '{"id": "u2"}', "[1]"])
def test_what_an_interrupted_run_left_is_taken_as_far_as_it_can_be_read(tmp_path: Path, torn: str) -> None:
    whole = '{"search": "greedy"}\n{"id": "u1", "text": "a", "seconds": 1.0, "took": 0.1}\n'
    (tmp_path / PART).write_text(f"{whole}{torn}\n")
    found = decode_manifest(Silent(), [], tmp_path, {"search": "greedy"})  # type: ignore[arg-type]
    assert list(found.texts) == ["u1"]
    assert (tmp_path / PART).read_text() == whole
