"""Normalizers as tables, and what holds for any text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import DataError, UsageError
from asr.text.normalize import _NORMAL, NORMALIZERS, _respell, get_normalizer, librispeech, ljspeech
from asr.text.numbers import cardinal, spell_out, year


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Already SAID", "ALREADY SAID"),
        ("  white \t space\n", "WHITE SPACE"),
        ("Well-known, isn’t it?", "WELL KNOWN ISN'T IT"),
        ("‘Tis the boys’ boat", "'TIS THE BOYS' BOAT"),
        ("she said ''no'' - twice", "SHE SAID NO TWICE"),
        ("rock ' roll", "ROCK ROLL"),
        ("“Quoted”…then dots", "QUOTED THEN DOTS"),
        ("naïve café, Ærø, straße, Łódź", "NAIVE CAFE AERO STRASSE LODZ"),
        ("the U.S. and/or Mr. Bell", "THE U S AND OR MR BELL"),
        ("soft\u00adhyphen, zero\u200bwidth", "SOFTHYPHEN ZEROWIDTH"),
        ("ﬁne ligature", "FINE LIGATURE"),
        ("end.Begin", "END BEGIN"),
        ("", ""),
        ("?!", ""),
    ],
)
def test_librispeech(text: str, expected: str) -> None:
    assert librispeech(text) == expected


@pytest.mark.parametrize(
    ("text", "named"), [("page 7", "'7'"), ("salt & pepper", "'&'"), ("50 %", "'%'"), ("Привет", "'П'"), ("½", "'1'")]
)
def test_what_cannot_be_written_is_named_not_dropped(text: str, named: str) -> None:
    with pytest.raises(DataError) as caught:
        librispeech(text)
    assert named in str(caught.value)
    assert "ljspeech" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mr. Bell met Dr. Hale at St. Ives.", "MISTER BELL MET DOCTOR HALE AT SAINT IVES"),
        ("No. 7, but no. Then etc.", "NUMBER SEVEN BUT NO THEN ET CETERA"),
        ("1,064 of 28,539", "ONE THOUSAND SIXTY FOUR OF TWENTY EIGHT THOUSAND FIVE HUNDRED THIRTY NINE"),
        ("in 1764, 1905 and 1800", "IN SEVENTEEN SIXTY FOUR NINETEEN OH FIVE AND EIGHTEEN HUNDRED"),
        ("the 1920s", "THE NINETEEN TWENTIES"),
        ("in 2006", "IN TWO THOUSAND SIX"),
        ("the 1st, 22nd and 30th", "THE FIRST TWENTY SECOND AND THIRTIETH"),
        ("£5, $1.01 and €2 million", "FIVE POUNDS ONE DOLLAR AND ONE CENT AND TWO MILLION EUROS"),
        (
            "$2.5 million, $1.5 and $2 trillion",
            "TWO POINT FIVE MILLION DOLLARS ONE POINT FIVE DOLLARS AND TWO TRILLION DOLLARS",
        ),
        ("$5 Million or $2.50", "FIVE MILLION DOLLARS OR TWO DOLLARS AND FIFTY CENTS"),
        ("at 20°C", "AT TWENTY DEGREES C"),
        ("£1.50", "ONE POUND AND FIFTY PENCE"),
        ("3.14 & 50%", "THREE POINT ONE FOUR AND FIFTY PERCENT"),
        ("1815.", "EIGHTEEN FIFTEEN"),
        ("0 and 007", "ZERO AND SEVEN"),
        ("costs nothing.", "COSTS NOTHING"),
    ],
)
def test_ljspeech(text: str, expected: str) -> None:
    assert ljspeech(text) == expected


def test_numbers_in_words() -> None:
    words = {0: "zero", 13: "thirteen", 20: "twenty", 99: "ninety-nine", 100: "one hundred", 10**6: "one million"}
    assert {number: cardinal(number) for number in words} == words
    assert cardinal(10**15) == "one " + " ".join(["zero"] * 15)
    firsts = {1: "first", 12: "twelfth", 40: "fortieth", 101: "one hundred first", 1000: "one thousandth"}
    assert {number: spell_out(f"{number}th") for number in firsts} == firsts
    assert [year(1066), year(1999)] == ["ten sixty-six", "nineteen ninety-nine"]


@given(st.integers(0, 10**15 - 1), st.integers(0, 10**15 - 1))
def test_different_numbers_read_differently(one: int, other: int) -> None:
    assert (cardinal(one) == cardinal(other)) == (one == other)


@pytest.mark.parametrize("name", NORMALIZERS)
@given(text=st.text(max_size=80))
def test_idempotent(name: str, text: str) -> None:
    normalize = get_normalizer(name)
    try:
        once = normalize(text)
    except DataError:
        return
    assert normalize(once) == once


@given(text=st.text(max_size=80))
def test_only_the_alphabet_comes_out(text: str) -> None:
    try:
        written = librispeech(text)
    except DataError:
        return
    assert re.fullmatch(r"(?:[A-Z']+(?: [A-Z']+)*)?", written)


@given(text=st.text(alphabet=st.characters(codec="ascii"), max_size=80))
def test_plain_numbers_and_letters_are_always_written(text: str) -> None:
    ljspeech(re.sub(r"[^A-Za-z0-9 .,']", "", text))


@pytest.mark.parametrize("text", ["{}", "${}", "{}th", "{}.5"])
def test_digits_without_end_are_read_one_by_one(text: str) -> None:
    """Python itself reads no number of more than 4,300 digits."""
    assert ljspeech(text.format("7" * 5000)).startswith("SEVEN SEVEN SEVEN")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'libri'") as caught:
        get_normalizer("libri")
    assert all(name in caught.value.hint for name in NORMALIZERS)


@pytest.mark.speech
def test_numbers_are_read_as_ljspeech_reads_them(corpora: Path) -> None:
    """The corpus publishes each text as printed and with its numbers spelled out by hand."""
    lines = (corpora / "LJSpeech-1.1/metadata.csv").read_text(encoding="utf-8").splitlines()
    texts = [line.split("|")[1:] for line in lines]
    differing = [(printed, spoken) for printed, spoken in texts if printed != spoken]
    agreeing = sum(ljspeech(printed) == ljspeech(spoken) for printed, spoken in differing)
    assert len(differing) >= 68
    assert agreeing / len(differing) > 0.95


quotes = st.sampled_from(["", "'"])
normal_words = st.builds(
    "{}{}{}".format, quotes, st.lists(st.text("ABYZ", min_size=1), min_size=1).map("'".join), quotes
)


@given(st.lists(normal_words, min_size=1).map(" ".join))
def test_what_is_taken_for_normal_is_normal(text: str) -> None:
    assert _NORMAL.fullmatch(text)
    assert _respell(text) == text


@given(st.text(alphabet="AB' ", max_size=12))
def test_the_short_cut_changes_no_result(text: str) -> None:
    assert librispeech(text) == _respell(text)
