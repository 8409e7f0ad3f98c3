"""Readable text, whole and live: the same words, shown once."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr.errors import AudioError
from asr.punctuation.model import PunctuationModel, save_punctuation
from asr.transcription.readable import Readable
from asr.transcription.result import Failure, Segment, Transcript

SEGMENTS = (Segment(0.0, 1.0, "THE QUICK FOX"), Segment(2.0, 4.0, "JUMPS OVER TWENTY TWO DOGS"))


@pytest.fixture(scope="module")
def model(tiny_punctuation: PunctuationModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of which only the punctuation is looked at."""
    folder = tmp_path_factory.mktemp("model")
    save_punctuation(folder / "punctuation", tiny_punctuation)
    return folder


def test_transcripts_are_made_readable_and_failures_pass(model: Path) -> None:
    failure = Failure("b.wav", AudioError("b.wav cannot be read"))
    transcript, other = Readable(model).transcripts([Transcript("a.wav", 4.0, SEGMENTS), failure])
    assert isinstance(transcript, Transcript)
    assert transcript.plain().segments == SEGMENTS
    assert transcript.text[-1] in ".?"
    assert other is failure


def test_what_is_shown_live_is_all_that_was_said(model: Path) -> None:
    shown: list[Segment] = []
    live = Readable(model).live(shown.append)
    for segment in SEGMENTS:
        live.feed(segment)
    live.finish()
    live.finish()
    assert tuple(segment.plain() for segment in shown) == SEGMENTS


def test_without_punctuation_nothing_waits() -> None:
    shown: list[Segment] = []
    live = Readable(None, punctuation=False).live(shown.append)
    live.feed(SEGMENTS[0])
    assert shown == [SEGMENTS[0]]


def test_figures_are_shown_live() -> None:
    pytest.importorskip("text_to_num", reason="needs the extra `numbers`")
    shown: list[Segment] = []
    Readable(None, punctuation=False, numbers=True).live(shown.append).feed(SEGMENTS[1])
    assert [segment.text for segment in shown] == ["Jumps over 22 dogs"]
