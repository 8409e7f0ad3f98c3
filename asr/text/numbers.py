"""Spelling out what English readers say: numbers, ordinals, years, money, abbreviations.

Rules for read prose, not a grammar of English: where a reading is open (is `1815` a year?) the one usual in books wins.
"""

from __future__ import annotations

import re

_ONES = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred"))
LONGEST = 15
"""Digits of the longest numbers that are read as such."""
_IRREGULAR_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip

# The abbreviations that LJSpeech's own notes list, and those usual beside them.
_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "dr": "doctor", "drs": "doctors", "st": "saint",
    "co": "company", "jr": "junior", "sr": "senior", "maj": "major", "gen": "general", "rev": "reverend",
    "lt": "lieutenant", "hon": "honorable", "sgt": "sergeant", "capt": "captain", "esq": "esquire",
    "ltd": "limited", "col": "colonel", "ft": "fort", "etc": "et cetera",
}  # fmt: skip
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
}
_SIGNS = {"&": "and", "%": "percent", "@": "at", "+": "plus", "=": "equals", "°": "degrees"}

_NUMBER = r"\d{1,3}(?:,\d{3})+|\d+"
_ABBREVIATION = re.compile(rf"\b({'|'.join(_ABBREVIATIONS)})\.(?!\w)", re.IGNORECASE)
# `No.` ends many a sentence; it is "number" only before a number.
_NUMERO = re.compile(r"\bno\.(?=\s*\d)", re.IGNORECASE)
_MONEY = re.compile(
    rf"([$£€])\s?({_NUMBER})(?:\.(\d+))?(?:\s+(thousand|million|billion|trillion)\b)?(?!\d)", re.IGNORECASE
)
_ORDINAL = re.compile(rf"\b({_NUMBER})(?:st|nd|rd|th)\b", re.IGNORECASE)
_YEAR = re.compile(r"(?<![\d.,])(1[1-9]\d\d|20[1-9]\d)(s?)(?![\d]|[.,]\d)")
_DECIMAL = re.compile(rf"({_NUMBER})\.(\d+)")
_CARDINAL = re.compile(_NUMBER)


def spell_out(text: str) -> str:
    """The text with abbreviations, money, ordinals, years, decimals, numbers and spoken signs as words."""
    text = _NUMERO.sub("number ", text)
    text = _ABBREVIATION.sub(lambda match: _ABBREVIATIONS[match[1].lower()], text)
    text = _MONEY.sub(_money, text)
    text = _ORDINAL.sub(lambda match: f" {_as_ordinal(_number(match[1]))} ", text)
    text = _YEAR.sub(lambda match: f" {_plural(year(int(match[1]))) if match[2] else year(int(match[1]))} ", text)
    text = _DECIMAL.sub(_decimal, text)
    text = _CARDINAL.sub(lambda match: f" {_number(match[0])} ", text)
    for sign, word in _SIGNS.items():
        text = text.replace(sign, f" {word} ")
    return " ".join(text.split())


def cardinal(number: int) -> str:
    """`1064` → `one thousand sixty-four`; past the trillions, digit by digit."""
    if number >= 10**LONGEST:
        return _digits(str(number))
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")
    size, name = next((size, name) for size, name in _SCALES if number >= size)
    count, rest = divmod(number, size)
    return f"{cardinal(count)} {name}" + (f" {cardinal(rest)}" if rest else "")


def _as_ordinal(words: str) -> str:
    """`twenty-one` → `twenty-first`."""
    head, last = re.fullmatch(r"(.*?)([a-z]+)", words).groups()  # type: ignore[union-attr]
    if last in _IRREGULAR_ORDINALS:
        return head + str(_IRREGULAR_ORDINALS[last])
    return head + (last[:-1] + "ieth" if last.endswith("y") else f"{last}th")


def year(number: int) -> str:
    """`1764` → `seventeen sixty-four`, `1905` → `nineteen oh five`, `1800` → `eighteen hundred`."""
    century, rest = divmod(number, 100)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {f'oh {_ONES[rest]}' if rest < 10 else cardinal(rest)}"


def _number(text: str) -> str:
    """`1,064` in words. Python makes no numbers of thousands of digits, so long ones are never made."""
    digits = text.replace(",", "").lstrip("0") or "0"
    return cardinal(int(digits)) if len(digits) <= LONGEST else _digits(digits)


def _digits(digits: str) -> str:
    return " ".join(_ONES[int(digit)] for digit in digits)


def _decimal(match: re.Match[str]) -> str:
    return f" {_number(match[1])} point {_digits(match[2])} "


def _money(match: re.Match[str]) -> str:
    one, many, cent, cents = _CURRENCIES[match[1]]
    if match[4] or (match[3] and len(match[3]) != 2):
        fraction = f".{match[3]}" if match[3] else ""
        return f" {match[2]}{fraction} {match[4] or ''} {many} "
    amount = _number(match[2])
    words = f"{amount} {one if amount == 'one' else many}"
    if match[3] and (small := int(match[3])):
        words += f" and {cardinal(small)} {cent if small == 1 else cents}"
    return f" {words} "


def _plural(words: str) -> str:
    """`seventeen sixty` → `seventeen sixties`."""
    return words[:-1] + "ies" if words.endswith("y") else f"{words}s"
