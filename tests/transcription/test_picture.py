"""Pictures of recordings: drawn with the words of an alignment, refused where nothing could be seen."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr.cli.main import app
from asr.errors import AudioError, UsageError
from asr.transcription.picture import LONGEST, draw_recording
from tests.audio.recordings import encode, noisy

pytest.importorskip("matplotlib", reason="needs asr[train]")


def size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header."""
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


@pytest.mark.slow
def test_an_alignment_and_a_recording_are_drawn(tmp_path: Path, tiny_model: Path) -> None:
    audio = tmp_path / "a.wav"
    audio.write_bytes(encode(noisy(6.0, 1), 16000))
    command = ["align", str(audio), "the fox", "-m", str(tiny_model), "-f", "png", "-o", str(tmp_path / "words.png")]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert CliRunner().invoke(app, ["info", str(audio), "--picture", str(tmp_path / "plain.png")]).exit_code == 0
    words, plain = ((tmp_path / name).read_bytes() for name in ("words.png", "plain.png"))
    assert size(words)[0] == size(plain)[0] > 700
    assert words != plain


@pytest.mark.filterwarnings("error")
def test_next_to_nothing_is_drawn_and_nothing_refused() -> None:
    assert size(draw_recording(encode(noisy(0.005, 1), 16000)))[0] > 700
    with pytest.raises(AudioError, match="the audio holds no sound"):
        draw_recording(encode(np.zeros(0, np.float32), 16000))


def test_what_cannot_be_seen_or_has_no_place_is_refused(tmp_path: Path) -> None:
    audio = tmp_path / "long.wav"
    audio.write_bytes(encode(np.zeros(round((LONGEST + 1) * 8000), np.float32), 8000))
    with pytest.raises(UsageError, match="too long for a picture"):
        draw_recording(audio)
    result = CliRunner().invoke(app, ["align", str(audio), "the fox", "-f", "png"])
    assert isinstance(result.exception, UsageError)
