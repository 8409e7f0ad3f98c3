"""Transcripts with punctuation: words, times and raw forms stay; streams agree with what they showed."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.punctuation import PunctuationModel
from asr.transcription.punctuate import LOOKAHEAD, PunctuatedStream, punctuate
from asr.transcription.result import Segment, Transcript, Word
from asr.transcription.writers import as_json, cues, render

VOCABULARY = ["THE", "QUICK", "BROWN", "FOX", "DOG'S"]
lengths = st.lists(st.integers(1, 9), max_size=12)


def segments_of(sizes: list[int], timed: bool = True, channels: int = 1) -> tuple[Segment, ...]:
    """Segments of that many words, a second apart, a word taking 0.3 s."""
    result, now, number = [], 0.0, 0
    for place, size in enumerate(sizes):
        words = []
        for _ in range(size):
            words.append(Word(VOCABULARY[(number * number + 3 * place) % 5], round(now, 3), round(now + 0.3, 3), 0.9))
            now, number = now + 0.4, number + 1
        text = " ".join(word.text for word in words)
        channel = None if channels == 1 else place % channels + 1
        result.append(Segment(words[0].start, words[-1].end, text, tuple(words) if timed else (), channel))
        now += 1
    return tuple(result)


def transcript_of(segments: tuple[Segment, ...]) -> Transcript:
    return Transcript("a.wav", segments[-1].end if segments else 1.0, segments)


@settings(deadline=None, max_examples=25)
@given(lengths, st.booleans(), st.integers(1, 2))
def test_words_times_and_raw_forms_stay(
    tiny_punctuation: PunctuationModel, sizes: list[int], timed: bool, channels: int
) -> None:
    plain = transcript_of(segments_of(sizes, timed, channels))
    shown = punctuate(plain, tiny_punctuation)
    assert shown.plain() == plain
    assert shown.in_case("model") == plain
    assert [segment.raw for segment in shown.segments] == [segment.text for segment in plain.segments]
    for segment in shown.segments:
        assert segment.words == () or segment.text == " ".join(word.text for word in segment.words)
        letters = segment.text.upper().replace(",", "").replace(".", "").replace("?", "")
        assert letters == segment.raw
    if shown.segments and channels == 1:
        assert shown.text[-1] in ".?"


@settings(deadline=None, max_examples=25)
@given(lengths, st.integers(1, 2))
def test_a_stream_shows_every_word_once_and_holds_back_little(
    tiny_punctuation: PunctuationModel, sizes: list[int], channels: int
) -> None:
    segments = segments_of(sizes, channels=channels)
    stream = PunctuatedStream(tiny_punctuation)
    shown: list[Segment] = []
    for number, segment in enumerate(segments, 1):
        shown += stream.feed(segment)
        for channel in {each.channel for each in segments[:number]}:
            held = [each for each in segments[:number] if each.channel == channel]
            held = held[len([each for each in shown if each.channel == channel]) :]
            assert sum(len(each.words) for each in held[1:]) < LOOKAHEAD
    shown += stream.finish()
    assert sorted((each.plain() for each in shown), key=lambda each: each.start) == list(segments)


def test_a_stream_begins_a_sentence_where_it_ended_one(tiny_punctuation: PunctuationModel) -> None:
    stream = PunctuatedStream(tiny_punctuation)
    shown = [each for segment in segments_of([7] * 30) for each in stream.feed(segment)] + stream.finish()
    words = [word.text for segment in shown for word in segment.words]
    assert len(words) == 210
    assert all(after[0].isupper() for before, after in pairwise(words) if before[-1] in ".?")


def test_nothing_and_one_word(tiny_punctuation: PunctuationModel) -> None:
    assert punctuate(transcript_of(()), tiny_punctuation) == transcript_of(())
    assert punctuate(transcript_of(segments_of([1])), tiny_punctuation).text in ("The.", "The?", "THE.", "THE?")


def shown_words() -> Transcript:
    words = [("Is", "IS"), ("it?", "IT"), ("Yes,", "YES"), ("it", "IT"), ("is.", "IS"), ("Good.", "GOOD")]
    timed = tuple(Word(text, n * 0.6, n * 0.6 + 0.5, 0.9, raw=raw) for n, (text, raw) in enumerate(words))
    text = " ".join(word.text for word in timed)
    return Transcript("a.wav", 4.0, (Segment(0.0, 3.5, text, timed, raw="IS IT YES IT IS GOOD"),))


def test_formats_show_marks_and_a_ctm_never_does() -> None:
    assert render(shown_words(), "txt") == "Is it? Yes, it is. Good.\n"
    assert render(shown_words(), "txt", "lower") == "is it? yes, it is. good.\n"
    assert render(shown_words(), "txt", "upper") == "IS IT? YES, IT IS. GOOD.\n"
    raw = ["IS", "IT", "YES", "IT", "IS", "GOOD"]
    assert [line.split()[4] for line in render(shown_words(), "ctm").splitlines()] == raw
    lower = [line.split()[4] for line in render(shown_words(), "ctm", "lower").splitlines()]
    assert lower == [word.lower() for word in raw]
    record = json.loads(as_json(shown_words()))
    assert record["text"] == "Is it? Yes, it is. Good."
    assert [word["raw"] for word in record["segments"][0]["words"]] == raw


def test_subtitles_break_where_sentences_end() -> None:
    assert [cue.text for cue in cues(shown_words())] == ["Is it?", "Yes, it is.", "Good."]


def test_json_without_punctuation_is_as_before() -> None:
    record = json.loads(as_json(transcript_of(segments_of([2]))))
    assert "raw" not in record["segments"][0]["words"][0]


@pytest.mark.parametrize("channel", [None, 2])
def test_channels_are_kept(tiny_punctuation: PunctuationModel, channel: int | None) -> None:
    segment = Segment(0.0, 1.0, "THE FOX", (), channel)
    assert punctuate(transcript_of((segment,)), tiny_punctuation).segments[0].channel == channel
