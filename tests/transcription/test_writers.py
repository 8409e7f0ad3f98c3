from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.transcription.result import Segment, Transcript, Word
from asr.transcription.writers import FORMATS, LINE, LINES, LONGEST, READ, SHORTEST, Cue, cues, render

TWO = Transcript(
    name="calls/first call.wav",
    duration=7.5,
    segments=(
        Segment(0.5, 1.7, "GOOD MORNING", (Word("GOOD", 0.5, 0.9, 0.98), Word("MORNING", 0.95, 1.7, 0.75))),
        Segment(4.0, 5.0, "I'M HERE", (Word("I'M", 4.0, 4.25, 1.0), Word("HERE", 4.5, 5.0, 0.5))),
    ),
    notices=("is clipped (2.0 % of its samples)",),
)

EXPECTED = {
    "txt": "Good morning\nI'm here\n",
    "srt": "1\n00:00:00,500 --> 00:00:01,700\nGood morning\n\n2\n00:00:04,000 --> 00:00:05,000\nI'm here\n",
    "vtt": "WEBVTT\n\n00:00:00.500 --> 00:00:01.700\nGood morning\n\n00:00:04.000 --> 00:00:05.000\nI'm here\n",
    "tsv": "start\tend\ttext\n500\t1700\tGood morning\n4000\t5000\tI'm here\n",
    "ctm": "first_call 1 0.500 0.400 GOOD 0.980\nfirst_call 1 0.950 0.750 MORNING 0.750\n"
    "first_call 1 4.000 0.250 I'M 1.000\nfirst_call 1 4.500 0.500 HERE 0.500\n",
}


@pytest.mark.parametrize("form", EXPECTED)
def test_literally(form):
    assert render(TWO, form) == EXPECTED[form]


def test_json():
    record = json.loads(render(TWO, "json"))
    assert record["version"] == 1
    assert record["text"] == "Good morning I'm here"
    assert record["segments"][1]["words"][0] == {"text": "I'm", "start": 4.0, "end": 4.25, "confidence": 1.0}
    assert record["notices"] == ["is clipped (2.0 % of its samples)"]
    assert (record["file"], record["duration"]) == ("calls/first call.wav", 7.5)


@pytest.mark.parametrize(
    ("case", "text"), [("sentence", "Good morning"), ("lower", "good morning"), ("upper", "GOOD MORNING")]
)
@pytest.mark.parametrize("form", ["txt", "json", "srt", "vtt", "tsv"])
def test_letter_case(form, case, text):
    assert text in render(TWO, form, case)


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_transcript_is_a_valid_file(form):
    text = render(Transcript("a.wav", 1.0, ()), form)
    assert text in {"", "WEBVTT\n", "start\tend\ttext\n"} or json.loads(text)["segments"] == []


def test_markup_and_arrows_are_escaped():
    strange = Transcript("a", 9.0, (Segment(0.0, 3.0, "<i>x --> y</i> & z"),))
    for form in ("srt", "vtt"):
        text = render(strange, form, "lower")
        assert "&lt;i&gt;x --&gt; y&lt;/i&gt; &amp; z" in text
        assert text.count("-->") == 1


def test_channels_are_labelled():
    split = Transcript("a", 9.0, (Segment(0.0, 2.0, "YES", channel=1), Segment(1.0, 3.0, "NO", channel=2)))
    assert render(split, "txt") == "[1] Yes\n[2] No\n"
    assert [each["channel"] for each in json.loads(render(split, "json"))["segments"]] == [1, 2]
    assert "[2] No" in render(split, "srt")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("one two", ["one two"]),
        ("a" * 42, ["a" * 42]),
        ("the quick brown fox jumps over the lazy dog today", ["the quick brown fox jumps", "over the lazy dog today"]),
    ],
)
def test_lines_are_even(text, lines):
    assert Cue(0.0, 1.0, text).lines == lines


@st.composite
def transcripts(draw):
    """Words one after the other, some of them long, quick or far apart."""
    segments, now = [], draw(st.floats(0, 2))
    for _ in range(draw(st.integers(0, 4))):
        words = []
        for _ in range(draw(st.integers(1, 30))):
            text = draw(st.text("abcdefgh'", min_size=1, max_size=20))
            length = draw(st.floats(0.02, 2.0))
            words.append(Word(text, round(now, 3), round(now + length, 3), 0.5))
            now += length + draw(st.sampled_from([0.0, 0.0, 0.1, 1.5]))
        segments.append(Segment(words[0].start, words[-1].end, " ".join(word.text for word in words), tuple(words)))
        now += draw(st.floats(0, 3))
    return Transcript("x", round(now + 0.5, 3), tuple(segments))


@settings(max_examples=60, deadline=None)
@given(transcript=transcripts())
def test_subtitles_can_be_read(transcript):
    shown = cues(transcript)
    assert " ".join(cue.text for cue in shown).split() == transcript.text.split()
    for cue in shown:
        assert len(cue.lines) <= LINES
        assert all(len(line) <= LINE for line in cue.lines)
        assert 0 <= cue.start < cue.end <= transcript.duration + 1e-6
        assert cue.end - cue.start <= LONGEST + 1e-6
    for number, (before, after) in enumerate(itertools.pairwise(shown)):
        assert before.end <= after.start + 1e-9
        if before.end - before.start < SHORTEST - 1e-6:  # only where its neighbors leave no room
            assert before.end >= after.start - 1e-6
            assert number == 0 or shown[number - 1].end >= before.start - 1e-6


def spoken(channel, *words):
    """A segment of a channel: words of a second each, from the seconds given."""
    timed = tuple(Word(text, start, start + 1.0, 0.9) for text, start in words)
    return Segment(timed[0].start, timed[-1].end, " ".join(word.text for word in timed), timed, channel)


def test_an_answer_in_a_pause_is_shown_in_the_pause():
    asking = spoken(1, ("ARE", 0.0), ("YOU", 1.0), ("THERE", 6.0))
    shown = cues(Transcript("call", 9.0, (asking, spoken(2, ("YES", 3.0)))))
    assert [(cue.start, cue.end, cue.text) for cue in shown] == [
        (0.0, 2.0, "[1] ARE YOU"),
        (3.0, 4.0, "[2] YES"),
        (6.0, 7.0, "[1] THERE"),
    ]


def test_who_interrupts_is_shown_once_the_other_has_been_read():
    asking = spoken(1, *((word, float(second)) for second, word in enumerate(["CAN", "YOU", "HEAR", "ME", "NOW"])))
    shown = cues(Transcript("call", 9.0, (asking, spoken(2, ("YES", 2.0)))))
    assert [(cue.start, cue.end, cue.text) for cue in shown] == [
        (0.0, 2.0, "[1] CAN YOU HEAR ME NOW"),
        (2.0, 3.0, "[2] YES"),
    ]
    soon = cues(Transcript("call", 9.0, (asking, spoken(2, ("YES", 0.5)))))
    assert soon[1].start == pytest.approx(len("[1] CAN YOU HEAR ME NOW") / READ)


@settings(max_examples=60, deadline=None)
@given(left=transcripts(), right=transcripts())
def test_of_two_channels_nothing_is_lost_and_nothing_shown_at_once(left, right):
    segments = [
        Segment(each.start, each.end, each.text, each.words, channel)
        for channel, side in enumerate((left, right), 1)
        for each in side.segments
    ]
    segments.sort(key=lambda each: each.start)
    shown = cues(Transcript("call", max(left.duration, right.duration), tuple(segments)))
    words = [word for cue in shown for word in cue.text.split() if not word.startswith("[")]
    assert sorted(words) == sorted(f"{left.text} {right.text}".split())
    for cue in shown:
        assert 0 <= cue.start < cue.end
        assert cue.end - cue.start <= LONGEST + 1e-6
    for before, after in itertools.pairwise(shown):
        assert before.end <= after.start + 1e-9


@settings(max_examples=25, deadline=None)
@given(transcript=transcripts())
def test_other_parsers_read_the_subtitles(transcript):
    srt = pytest.importorskip("srt", reason="needs the PyPI package srt")
    webvtt = pytest.importorskip("webvtt", reason="needs the PyPI package webvtt-py")
    import io

    shown = cues(transcript.in_case("sentence"))
    from_srt = list(srt.parse(render(transcript, "srt")))
    assert [cue.content.split() for cue in from_srt] == [cue.text.split() for cue in shown]
    assert [cue.start.total_seconds() for cue in from_srt] == pytest.approx([cue.start for cue in shown], abs=1e-3)
    from_vtt = list(webvtt.from_buffer(io.StringIO(render(transcript, "vtt"))))
    assert [cue.text.split() for cue in from_vtt] == [cue.text.split() for cue in shown]
    assert [cue.end_in_seconds for cue in from_vtt] == pytest.approx([cue.end for cue in shown], abs=1)


def test_a_figure_in_a_ctm_is_the_words_that_were_spoken() -> None:
    words = (Word("The", 0.0, 0.2, 0.9, raw="THE"), Word("33.", 0.2, 1.4, 0.8, raw="THIRTY THREE"))
    transcript = Transcript("a.wav", 2.0, (Segment(0.0, 1.4, "The 33.", words, raw="THE THIRTY THREE"),))
    assert FORMATS["ctm"](transcript).splitlines() == [
        "a 1 0.000 0.200 THE 0.900",
        "a 1 0.200 0.646 THIRTY 0.800",
        "a 1 0.846 0.554 THREE 0.800",
    ]


def test_a_ctm_of_segments_alone_has_their_words() -> None:
    alone = Transcript("a.wav", 3.0, (Segment(1.0, 2.0, "Good day.", raw="GOOD DAY"),))
    assert FORMATS["ctm"](alone) == "a 1 1.000 0.556 GOOD 0.000\na 1 1.556 0.444 DAY 0.000\n"
