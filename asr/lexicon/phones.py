"""The sounds of English: the 39 phones of CMUdict, its stress marks left out, each written as one character.

One character a phone, because the search spells words letter by letter: to it a pronunciation is another spelling.
The symbols are those of the IPA; the five diphthongs, which the IPA writes with two symbols, have a capital letter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from asr.errors import DataError
from asr.text.normalize import librispeech
from asr.text.tokenizer import BLANK_PIECE, WORD_START

PHONES: dict[str, str] = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "U", "AY": "I", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɝ", "EY": "E", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "ʤ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "O", "OY": "Y", "P": "p", "R": "r", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
"""ARPAbet symbol to phone symbol, in alphabetical order of the former."""

SYMBOLS = "".join(PHONES.values())
"""All symbols, in the order of `PHONES`."""

VOCABULARY: list[str] = [BLANK_PIECE, WORD_START, *SYMBOLS]
"""What a network that hears phones gives: the blank, "▁" between words, and the phones; 41 entries."""

# Vowels, which are the phones that begin with a vowel's letter, bear CMUdict's stress: none, primary, secondary.
_STRESSED = {arpabet + mark: symbol for arpabet, symbol in PHONES.items() if arpabet[0] in "AEIOU" for mark in "012"}
_SYMBOL_OF = PHONES | _STRESSED


def from_arpabet(symbols: Iterable[str]) -> str:
    """The phone symbols of ARPAbet `symbols`, with or without stress: K, AE1, T → kæt.

    Raises `DataError` naming a symbol that is not one of CMUdict's.
    """
    try:
        return "".join([_SYMBOL_OF[symbol] for symbol in symbols])
    except KeyError as error:
        hint = f"Known are: {', '.join(PHONES)}."
        raise DataError(f"{error.args[0]!r} is not a phone of CMUdict", hint) from None


LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ'"
"""What a G2P model reads of a word, whatever script or accents it is written in."""
_PLAIN = re.compile("[A-Z']*")


def letters_of(word: str) -> str:
    """`word` in A–Z and ', accents stripped, anything else left out: Café → CAFE, well-known → WELLKNOWN."""
    return word if _PLAIN.fullmatch(word) else "".join(map(_letter, word))


@lru_cache(maxsize=4096)
def _letter(character: str) -> str:
    """What the normalizer makes of one character; between two others, for it drops an apostrophe that stands alone."""
    try:
        return librispeech(f"A{character}A")[1:-1].replace(" ", "")
    except DataError:
        return ""
