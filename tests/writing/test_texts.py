from __future__ import annotations

import pytest

from asr.errors import DataError
from asr.pronunciation import Pronunciations
from asr.pronunciation.phones import VOCABULARY as PHONES
from asr.writing.texts import speak


def spelled(phones: list[int]) -> str:
    return "".join(PHONES[phone] for phone in phones)


def test_excerpts_reach_over_sentences() -> None:
    text = speak(["A CAT", "EYE A CAT"], Pronunciations({"A": ["ʌ"], "CAT": ["kæt"], "EYE": ["I"]}))
    excerpts = [text.excerpt(first, 3) for first in range(3)]
    assert [(words, spelled(phones.tolist())) for words, phones in excerpts] == [
        ("A CAT EYE", "ʌ▁kæt▁I"),
        ("CAT EYE A", "kæt▁I▁ʌ"),
        ("EYE A CAT", "I▁ʌ▁kæt"),
    ]


def test_what_nobody_can_speak_is_left_out() -> None:
    text = speak(["A 12 CAT"], Pronunciations({"A": ["ʌ"], "CAT": ["kæt"]}))
    assert text.excerpt(0, 2)[0] == "A CAT"
    assert len(text.text) == 2
    with pytest.raises(DataError, match="no word that can be spoken"):
        speak(["12"], Pronunciations({"A": ["ʌ"]}))


def test_what_was_nowhere_heard_is_left_out_and_told_of() -> None:
    listed = Pronunciations({"A": ["ʌ"], "CAT": ["kæt"], "EYE": ["I"], "MEASURE": ["mɛʒɝ"]})
    sentences, told = ["A CAT", "EYE A CAT EYE"], []
    text = speak(sentences, listed, frozenset("▁ʌkæt"), told.append)
    assert text.excerpt(0, 4)[0] == "A CAT A CAT"
    assert len(text.text) == 4
    assert told == ["left out of the texts: 2 words, for the speech lacks I"]
    with pytest.raises(DataError, match="needs one of the phones k, æ, which the speech lacks"):
        speak(["CAT CAT"], listed, frozenset("▁ʌt"))
    with pytest.raises(DataError, match="phones ▁, which"):
        speak(sentences, listed, frozenset("ʌkætI"))
