from __future__ import annotations

import numpy as np
import pytest

from asr.decoding import BeamDecoder, DecodingConfig, Hotword
from asr.decoding.hotwords import BETWEEN, build_states, fit_to_alphabet, gather_hotwords, parse_hotword, read_hotwords
from asr.errors import UsageError
from tests.benchmarks.synthetic import CHARACTERS, spell_out, synthesize

ALPHABET = list("'ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GRYFFINDOR=8", Hotword("GRYFFINDOR", 8.0)),
        ("GRYFFINDOR", Hotword("GRYFFINDOR")),
        ("  NEW   YORK = -2.5", Hotword("NEW YORK", -2.5)),
    ],
)
def test_hotwords_are_read(text, expected):
    assert parse_hotword(text) == expected


@pytest.mark.parametrize("text", ["", "=3", "WORD=", "WORD=much", "WORD=inf", "WORD=nan"])
def test_what_is_no_hotword_is_refused(text):
    with pytest.raises(UsageError, match="hotword"):
        parse_hotword(text)


def test_a_file_has_one_a_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("# spells\nALOHOMORA=9\n\n  NIMBUS TWO THOUSAND\n", encoding="utf-8")
    assert read_hotwords(path) == [Hotword("ALOHOMORA", 9.0), Hotword("NIMBUS TWO THOUSAND")]
    assert gather_hotwords(["PATRONUS=2", f"@{path}"])[::2] == [
        Hotword("PATRONUS", 2.0),
        Hotword("NIMBUS TWO THOUSAND"),
    ]
    with pytest.raises(UsageError, match=r"absent\.txt"):
        read_hotwords(tmp_path / "absent.txt")
    with pytest.raises(UsageError, match=r"must be a list.*\n.*\['RIVER'\]"):
        gather_hotwords("RIVER")


def test_letter_case_is_fitted_and_other_letters_are_named():
    assert fit_to_alphabet([Hotword("O'Neill", 3.0)], ALPHABET) == [Hotword("O'NEILL", 3.0)]
    twice = [Hotword("New York", 3.0), Hotword("NEW YORK", 5.0)]
    assert fit_to_alphabet(twice, ALPHABET) == [Hotword("NEW YORK", 5.0)]
    with pytest.raises(UsageError, match="too many"):
        fit_to_alphabet([Hotword("A" * length) for length in range(1, 2100)], ALPHABET)
    with pytest.raises(UsageError, match=r"'Zoë 2'.*: 2 ë"):
        fit_to_alphabet([Hotword("Zoë 2")], ALPHABET)


def rewards(phrases: dict[str, float], text: str) -> list[float]:
    """Reward after each letter of `text` and after the boundary at its end."""
    states = build_states([Hotword(phrase, boost) for phrase, boost in phrases.items()], ALPHABET)
    state, earned, total = BETWEEN, 0.0, []
    for letter in f"{text} ":
        state = states.next[state, 0 if letter == " " else 1 + ALPHABET.index(letter)]
        earned += states.earned[state]
        total.append(earned + states.held[state])
    return total


@pytest.mark.parametrize(
    ("phrases", "text", "expected"),
    [
        ({"ABC": 8}, "ABC", [2, 4, 6, 8]),
        ({"ABC": 8}, "ABD", [2, 4, 0, 0]),  # taken back
        ({"ABC": 8}, "ABCD", [2, 4, 6, 0, 0]),  # a longer word is another word
        ({"ABC": 8}, "XABC", [0, 0, 0, 0, 0]),  # so is one that ends in it
        ({"A B": 8}, "A B", [2, 4, 6, 8]),
        ({"A B": 8, "B C": 4}, "A B C", [2, 4, 6, 10, 11, 12]),  # the end of one phrase begins another
        ({"A": 2, "A B": 8}, "A", [2, 6]),  # a whole phrase and the beginning of a longer one
        ({"A": 2}, "A A", [1, 2, 3, 4]),
        ({"ABC": -4}, "AB", [-1, -2, 0]),
        ({}, "AB", [0, 0, 0]),
    ],
)
def test_rewards_grow_with_the_letters_and_are_taken_back(phrases, text, expected):
    assert rewards(phrases, text) == pytest.approx(expected)


def test_an_unknown_name_comes_out_when_it_is_spoken_and_not_when_it_is_not(model):
    """Names heard unclearly, with a language model that knows none of them: found where spoken, never invented."""
    names = ["QUIXOTEL", "MERRIDEW", "FIZZBANG"]
    generator, config = np.random.default_rng(4), DecodingConfig(unk_score=-8)
    plain = BeamDecoder(CHARACTERS, config, model)
    boosted = BeamDecoder(CHARACTERS, config, model, [Hotword(name.title(), 10) for name in names])
    spoken = {"plain": 0, "boosted": 0}
    for turn in range(30):
        name = names[turn % len(names)]
        heard = synthesize(spell_out(f"AB {name} BA", CHARACTERS), len(CHARACTERS), generator, clarity=5.5)
        spoken["plain"] += name in plain.decode(heard)[0].text.split()
        spoken["boosted"] += name in boosted.decode(heard)[0].text.split()
        other = synthesize(spell_out("AB B BAB BA", CHARACTERS), len(CHARACTERS), generator, clarity=5.5)
        assert not set(names) & set(boosted.decode(other)[0].text.split())
    assert spoken["boosted"] >= spoken["plain"] + 5
    assert spoken["boosted"] >= 20


def test_a_hotword_is_allowed_in_a_closed_vocabulary(model):
    heard = synthesize(spell_out("ABBA", CHARACTERS), len(CHARACTERS), np.random.default_rng(1), clarity=20.0)
    closed = DecodingConfig(closed_vocabulary=True)
    assert BeamDecoder(CHARACTERS, closed, model).decode(heard)[0].text != "ABBA"
    assert BeamDecoder(CHARACTERS, closed, model, [Hotword("ABBA")]).decode(heard)[0].text == "ABBA"


def test_hotwords_with_letters_that_the_model_lacks_are_refused():
    with pytest.raises(UsageError, match="É"):
        BeamDecoder(CHARACTERS, hotwords=[Hotword("CAFÉ")])
