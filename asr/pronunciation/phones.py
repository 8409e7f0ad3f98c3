"""The sounds of English: the 39 phones of CMUdict, its stress marks left out, each written as one character.

One character a phone, because the search spells words letter by letter: to it a pronunciation is another spelling.
The signs are those of the IPA; the five diphthongs, which the IPA writes with two signs, have a capital letter.
"""

from __future__ import annotations

from collections.abc import Iterable

from asr.errors import DataError
from asr.text.tokenizer import BLANK_PIECE, WORD_START

PHONES: dict[str, str] = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "U", "AY": "I", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɝ", "EY": "E", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "i", "JH": "ʤ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "O", "OY": "Y", "P": "p", "R": "r", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "u", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
"""ARPAbet symbol to sign, in alphabetical order of the symbols."""

SIGNS = "".join(PHONES.values())
"""All signs, in the order of `PHONES`."""

VOCABULARY: list[str] = [BLANK_PIECE, WORD_START, *SIGNS]
"""What a network that hears phones gives: the blank, "▁" between words, and the phones; 41 entries."""

# Vowels, which are the phones that begin with a vowel's letter, bear CMUdict's stress: none, primary, secondary.
_STRESSED = {symbol + mark: sign for symbol, sign in PHONES.items() if symbol[0] in "AEIOU" for mark in "012"}
_SIGN_OF = PHONES | _STRESSED


def from_arpabet(symbols: Iterable[str]) -> str:
    """The signs of ARPAbet `symbols`, with or without stress: K, AE1, T → kæt.

    Raises `DataError` naming a symbol that is not one of CMUdict's.
    """
    try:
        return "".join([_SIGN_OF[symbol] for symbol in symbols])
    except KeyError as error:
        hint = f"Known are: {', '.join(PHONES)}."
        raise DataError(f"{error.args[0]!r} is not a phone of CMUdict", hint) from None
