from __future__ import annotations

import pytest

from asr.text.case import write_case


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", ""),
        ("HELLO WORLD", "Hello world"),
        ("I THINK I'M IN IT", "I think I'm in it"),
        ("IT IS I'LL SAY MONDAY'S NEWS FROM LONDON", "It is I'll say Monday's news from London"),
        ("HE MAY MARCH IN JUNE", "He may march in June"),
        ("'TIS SO", "'Tis so"),
        ("ÉTÉ À PARIS", "Été à paris"),
    ],
)
def test_sentence(text, sentence):
    assert write_case(text, "sentence") == sentence


@pytest.mark.parametrize(("case", "text"), [("lower", "so i say"), ("upper", "SO I SAY"), ("model", "So I SAY")])
def test_other_cases(case, text):
    assert write_case("So I SAY", case) == text


def test_in_mid_sentence_only_names_rise():
    assert write_case("AND SO I DID", "sentence", start=False) == "and so I did"
