"""The symbols of the phones: one character each, none of them twice, and CMUdict's spelling turns into them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from asr.errors import DataError
from asr.lexicon.lexicon import owner_of, possessive
from asr.lexicon.phones import PHONES, SYMBOLS, VOCABULARY, from_arpabet

ROOT = Path(__file__).resolve().parents[2]


def test_the_vocabulary_has_the_blank_the_space_and_39_distinct_single_characters() -> None:
    assert len(VOCABULARY) == len(set(VOCABULARY)) == 41
    assert VOCABULARY[:2] == ["<blank>", "▁"]
    assert all(len(symbol) == 1 and not symbol.isspace() for symbol in VOCABULARY[1:])
    assert VOCABULARY[2:] == list(SYMBOLS) == list(PHONES.values())


def test_the_order_is_that_of_arpabet() -> None:
    # A trained network's outputs depend on it.
    assert list(PHONES) == sorted(PHONES)
    assert SYMBOLS == "ɑæʌɔUIbʧdðɛɝEfɡhɪiʤklmnŋOYprsʃtθʊuvwjzʒ"


@pytest.mark.parametrize(
    ("symbols", "phones"),
    [
        ("HH AH0 L OW1", "hʌlO"),
        ("K AE1 T", "kæt"),
        ("K AE T", "kæt"),
        ("CH OY2 S", "ʧYs"),
        ("M EH1 ZH ER0", "mɛʒɝ"),
        ("DH AW1", "ðU"),
        ("F AY1 NG", "fIŋ"),
        ("", ""),
    ],
)
def test_arpabet_is_read_with_and_without_stress(symbols: str, phones: str) -> None:
    assert from_arpabet(symbols.split()) == phones


@pytest.mark.parametrize("symbol", ["AX", "aa", "", "K1", "CH1", "AA3", "AA11", "1", "<blank>", "▁", "AA "])
def test_an_unknown_symbol_is_named(symbol: str) -> None:
    with pytest.raises(DataError, match="not a phone") as caught:
        from_arpabet(["K", symbol])
    assert repr(symbol) in str(caught.value)


@pytest.mark.parametrize(
    ("word", "its"),
    [
        ("K AE T", "K AE T S"),
        ("K AH P", "K AH P S"),
        ("B AE K", "B AE K S"),
        ("S T AE F", "S T AE F S"),
        ("S M IH TH", "S M IH TH S"),
        ("D AO G", "D AO G Z"),
        ("S IY", "S IY Z"),
        ("B R IY DH", "B R IY DH Z"),
        ("HH AO R S", "HH AO R S AH Z"),
        ("R OW Z", "R OW Z AH Z"),
        ("F IH SH", "F IH SH AH Z"),
        ("G ER AA ZH", "G ER AA ZH AH Z"),
        ("CH ER CH", "CH ER CH AH Z"),
        ("JH AH JH", "JH AH JH AH Z"),
    ],
)
def test_the_last_sound_decides_the_possessive(word: str, its: str) -> None:
    assert possessive(from_arpabet(word.split())) == from_arpabet(its.split())


@pytest.mark.parametrize(("word", "owner"), [("DOG'S", "DOG"), ("DOGS", ""), ("DOGS'", ""), ("'S", ""), ("", "")])
def test_owners(word: str, owner: str) -> None:
    assert owner_of(word) == owner


def test_nothing_heavy_is_imported_before_a_word_is_predicted() -> None:
    code = """
import sys
from asr.lexicon import Lexicon
Lexicon({"CAT": ["kæt"]}).encode("CAT CAT'S")
print(sorted(set(sys.modules) & {"torch", "numpy", "numba", "librosa"}))
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"
