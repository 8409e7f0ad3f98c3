"""The tagger: every word one tag, long texts as short ones, and what is on disk is what was saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import ModelError
from asr.punctuation import (
    CAPITALIZED,
    COMMA,
    LOWER,
    MARGIN,
    NONE,
    PAUSES,
    QUESTION,
    STOP,
    UPPER,
    WINDOW,
    PunctuationModel,
    Tag,
    load_punctuation,
    pause_classes,
    save_punctuation,
    write_words,
)

WORDS = ["the", "QUICK", "Mcdonald", "i", "dog's", "naïve", "1815", "", "'", "antidisestablishmentarianism" * 9]


@pytest.mark.parametrize(
    ("word", "tag", "shown"),
    [
        ("HELLO", Tag(NONE, LOWER), "hello"),
        ("hello", Tag(COMMA, CAPITALIZED), "Hello,"),
        ("usa", Tag(STOP, UPPER), "USA."),
        ("I'M", Tag(NONE, CAPITALIZED), "I'm"),
        ("MCDONALD", Tag(QUESTION, CAPITALIZED), "McDonald?"),
        ("MCDONALD", Tag(NONE, LOWER), "mcdonald"),
        ("'TIS", Tag(NONE, CAPITALIZED), "'Tis"),
    ],
)
def test_words_are_written_as_tagged(word: str, tag: Tag, shown: str) -> None:
    assert write_words([word], [tag], {"MCDONALD": "McDonald"}) == [shown]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(WORDS), max_size=40), st.booleans())
def test_every_word_has_a_tag_and_sentences_begin_with_capitals(
    tiny_punctuation: PunctuationModel, words: list[str], finished: bool
) -> None:
    tags = tiny_punctuation.tags(words, finished=finished)
    assert len(tags) == len(words)
    starts = [True, *(tag.ends_sentence for tag in tags)]
    assert all(tag.case != LOWER for tag, start in zip(tags, starts, strict=False) if start)
    if finished and words:
        assert tags[-1].ends_sentence


def test_a_long_text_is_read_in_windows_as_its_parts_are(tiny_punctuation: PunctuationModel) -> None:
    words = [WORDS[(7 * number * number) % 6] for number in range(10_000)]
    tags = tiny_punctuation.tags(words)
    assert len(tags) == 10_000
    # What stands inside one window is read with what lies around it, and with nothing else.
    part = words[WINDOW - MARGIN : 2 * WINDOW + MARGIN]
    alone = tiny_punctuation.tags(part, finished=False)
    assert alone[MARGIN + 1 : -MARGIN] == tags[WINDOW + 1 : 2 * WINDOW]


def test_given_tags_stay_and_what_follows_a_given_stop_is_a_beginning(tiny_punctuation: PunctuationModel) -> None:
    given_tags = [Tag(NONE, LOWER), Tag(STOP, UPPER)]
    tags = tiny_punctuation.tags(["the", "fox", "jumps", "over"], given=given_tags)
    assert tags[:2] == given_tags
    assert tags[2].case != LOWER


def test_pauses_are_classed_and_unknown_ones_say_nothing(tiny_punctuation: PunctuationModel) -> None:
    assert pause_classes([None, 0.0, PAUSES[0], 0.2, 5.0]).tolist() == [0, 1, 2, 3, 6]
    words = ["the", "fox", "jumps"]
    assert tiny_punctuation.tags(words, [None] * 3) == tiny_punctuation.tags(words)


def test_a_bias_moves_the_marks(tiny_punctuation: PunctuationModel) -> None:
    biased = PunctuationModel(tiny_punctuation.network, tiny_punctuation.tokenizer, {}, [0, 50, 0, 0])
    assert [tag.mark for tag in biased.tags(["the", "fox", "jumps"])][:2] == [COMMA, COMMA]


def test_what_is_saved_is_loaded(tiny_punctuation: PunctuationModel, tmp_path: Path) -> None:
    save_punctuation(tmp_path, tiny_punctuation)
    loaded = load_punctuation(tmp_path)
    assert loaded.mixed == tiny_punctuation.mixed
    for name, tensor in tiny_punctuation.network.state_dict().items():
        torch.testing.assert_close(loaded.network.state_dict()[name], tensor, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "acoustic"}, "not punctuation"),
        ({"bias": [0.0]}, "damaged"),
        ({"network": {"embedding": "wide"}}, "damaged"),
        ({"network": {"embedding": 16, "hidden": 8}}, "does not fit"),
        ({"network": {"hidden": -1}}, "damaged"),
        ({"network": {"dropout": 7.0}}, "damaged"),
        ({"training": 5}, "damaged"),
    ],
)
def test_a_damaged_folder_is_named(
    tiny_punctuation: PunctuationModel, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    save_punctuation(tmp_path, tiny_punctuation)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        load_punctuation(tmp_path)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no punctuation"):
        load_punctuation(tmp_path)
