"""Readable text, whole and live: the same words, shown once; figures where writers put them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from asr.errors import AudioError
from asr.punctuation import PunctuationModel, save_punctuation
from asr.transcription.readable import Readable, write_figures
from asr.transcription.result import Failure, Segment, Transcript, Word

pytest.importorskip("text_to_num", reason="needs the extra `numbers`")

TABLE = [
    ("twenty three", "23"),
    ("In nineteen forty five, he was twenty three.", "In 1945, he was 23."),
    ("nineteen oh five", "1905"),
    ("twenty twenty five", "2025"),
    ("nineteen, forty five", "19, 45"),
    ("eighteen hundred and twelve", "1812"),
    ("two thousand and one", "2001"),
    ("half past three", "3:30"),
    ("a quarter past nine", "9:15"),
    ("quarter to one", "12:45"),
    ("it is ten o'clock", "it is 10 o'clock"),
    ("the twenty first of May", "the 21st of May"),
    ("the second time", "the second time"),
    ("one hundred and five dollars?", "$105?"),
    ("five million dollars", "$5,000,000"),
    ("fifty cents", "50 cents"),
    ("twenty pounds", "20 pounds"),
    ("three point one four", "3.14"),
    ("a hundred and one dalmatians", "101 dalmatians"),
    ("two or three men", "two or three men"),
    ("one two three", "one two three"),
    ("no one of them", "no one of them"),
    ("page one hundred and ten", "page 110"),
    ("he had twelve. Thirteen came", "he had 12. 13 came"),
    ("meet me at twelve thirty", "meet me at twelve thirty"),
    ("at twelve oh five", "at twelve oh five"),
    ("half a million dollars", "half a million dollars"),
    ("three and a half million", "three and a half million"),
    ("several hundred people", "several hundred people"),
    ("a few thousand men", "a few thousand men"),
    ("the nineteen twenties", "the nineteen twenties"),
    ("a thousand men", "1000 men"),
    ("", ""),
]


@pytest.mark.parametrize(("words", "shown"), TABLE)
def test_text_alone(words: str, shown: str) -> None:
    assert write_figures(Segment(0, 1, words, raw=words.upper() or " ")).text == shown


@pytest.mark.parametrize(("words", "shown"), TABLE[:-1])
def test_words_that_come_to_one_figure_become_one_word(words: str, shown: str) -> None:
    timed = tuple(Word(text, n, n + 1, 1 - n / 100, raw=text.upper()) for n, text in enumerate(words.split()))
    segment = write_figures(Segment(0, len(timed), words, timed, raw=words.upper()))
    assert segment.text == shown
    assert " ".join(word.text for word in segment.words) == shown
    assert " ".join(word.raw for word in segment.words) == words.upper()
    assert segment.words[-1].end == len(timed)
    assert all(before.end == after.start for before, after in pairwise(segment.words))


def test_without_punctuation_it_is_sentence_case() -> None:
    words = (Word("TWENTY", 0, 1, 0.5), Word("TWO", 1, 2, 0.9), Word("MEN", 2, 3, 0.9))
    segment = write_figures(Segment(0, 3, "TWENTY TWO MEN", words))
    assert (segment.text, segment.raw) == ("22 men", "TWENTY TWO MEN")
    assert segment.words[0] == Word("22", 0, 2, 0.5, raw="TWENTY TWO")
    assert segment.in_case("sentence") == segment
    assert segment.in_case("model").text == "TWENTY TWO MEN"


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
    live = Readable(model, show=shown.append)
    for segment in SEGMENTS:
        live.feed(segment)
    live.finish()
    live.finish()
    assert tuple(segment.plain() for segment in shown) == SEGMENTS


def test_without_punctuation_nothing_waits() -> None:
    shown: list[Segment] = []
    live = Readable(None, punctuation=False, show=shown.append)
    live.feed(SEGMENTS[0])
    assert shown == [SEGMENTS[0]]


def test_figures_are_shown_live() -> None:
    pytest.importorskip("text_to_num", reason="needs the extra `numbers`")
    shown: list[Segment] = []
    Readable(None, punctuation=False, numbers=True, show=shown.append).feed(SEGMENTS[1])
    assert [segment.text for segment in shown] == ["Jumps over 22 dogs"]
