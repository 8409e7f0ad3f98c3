"""Letter case: a model that knows capitals only need not shout at its reader."""

from __future__ import annotations

import re
from typing import Literal, get_args

from asr.errors import UsageError

Case = Literal["sentence", "lower", "upper", "model"]
"""How to write words: as in a sentence, all small, all capitals, or as the model spells them."""

_MONTHS = {"january", "february", "april", "june", "july", "august", "september", "october", "november", "december"}
_DAYS = {"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}
# March and May are as often a walk and a permission.
_ALWAYS_CAPITAL = _MONTHS | _DAYS | {"christmas", "english", "england", "london", "america", "american", "europe"}
_FIRST_PERSON = re.compile(r"i('\w+)?")


def write_case(text: str, case: Case, start: bool = True) -> str:
    """`text` in letter case; `start` says that it begins a sentence. Raises `UsageError` for another case."""
    if case == "upper":
        return text.upper()
    if case == "lower":
        return text.lower()
    if case == "model":
        return text
    if case != "sentence":
        raise UsageError(f"there is no letter case {case!r}", f"Known are: {', '.join(get_args(Case))}.")
    return " ".join(word_case(word, start and number == 0) for number, word in enumerate(text.split()))


def word_case(word: str, start: bool) -> str:
    """One word as in a sentence: a capital at the start, for *I*, and for names that are never anything else."""
    word = word.lower()
    stem = word.removesuffix("'s")
    if start or _FIRST_PERSON.fullmatch(word) or stem in _ALWAYS_CAPITAL:
        return capitalize(word)
    return word


def capitalize(word: str) -> str:
    """`word` with a capital, behind an apostrophe where it begins with one: 'tis → 'Tis."""
    letters = word.lstrip("'’")
    return word.removesuffix(letters) + letters[:1].upper() + letters[1:]
