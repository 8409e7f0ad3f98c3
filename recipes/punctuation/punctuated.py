"""From punctuated prose to what a listener gets: words without case, and after each the mark and the case it had.

What is folded: exclamation marks → full stops (commas where the sentence goes on in small letters); semicolons,
colons, dashes and round brackets → commas; three dots → a comma or a full stop, as the next word is small or capital.
A full stop before a small letter belonged to an abbreviation. Quotation marks are dropped, hyphens part words.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from asr.text.numbers import spell_out

NONE, COMMA, STOP, QUESTION = range(4)
LOWER, CAPITAL, UPPER, MIXED = range(4)
_EXCLAMATION, _DOTS = 4, 5  # told apart until the next word is known

_WORD_SHIFT, _CASE_SHIFT, _BRACKET = 6, 3, 1 << 5
_BAD = -1

_FOLD = str.maketrans({
    "’": "'", "‘": "'", "`": "'", "´": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "—": " -- ", "―": " -- ",
    "–": "-", "‑": "-", "‐": "-", "\u00a0": " ", "\u2009": " ", "\u200b": "", "\ufeff": "", "\u00ad": "", "_": "",
    "*": " ", "~": " ", "\t": " ", "æ": "ae", "Æ": "Ae", "œ": "oe", "Œ": "Oe", "ß": "ss", "ø": "o", "…": " ... ",
})  # fmt: skip
_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Dr": "Doctor", "St": "Saint", "Ms": "Ms", "Messrs": "Messrs", "Mme": "Madame",
    "Mlle": "Mademoiselle", "Capt": "Captain", "Col": "Colonel", "Gen": "General", "Lieut": "Lieutenant",
    "Lt": "Lieutenant", "Maj": "Major", "Sergt": "Sergeant", "Sgt": "Sergeant", "Rev": "Reverend", "Hon": "Honorable",
    "Prof": "Professor", "Gov": "Governor", "Sen": "Senator", "Jr": "Junior", "Sr": "Senior", "Mt": "Mount",
    "Ft": "Fort", "Adm": "Admiral", "Supt": "Superintendent", "Mons": "Monsieur",
}  # fmt: skip
_EDGE = re.compile(r"""^(["'(\[]*)(.*?)([^A-Za-z0-9%]*)$""", re.S)
_WORDS = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*")
_ROMAN = re.compile(r"[IVXLC]{2,}")
_DASHES = re.compile(r"-{2,}")
_AS_READ = {"Mr": "Mister", "Mrs": "Missus", "Dr": "Doctor"}


class Reader:
    """Reads punctuated text with a vocabulary that grows; words are numbered from 1."""

    def __init__(self) -> None:
        self.vocabulary: dict[str, int] = {}
        self.mixed: dict[str, int] = {}
        """In how many surroundings each spelling in mixed case was read."""
        self._tokens: dict[str, tuple[int, ...]] = {}

    def read(self, text: str) -> tuple[NDArray[np.uint32], NDArray[np.uint8]] | None:
        """Words (N,) and labels (N,), mark + 4 × case, of one paragraph; None where something in it cannot be read.

        UPPER is what stands in the text; whether a word deserves it only a whole corpus knows (`settle_capitals`).
        """
        known = self._tokens
        codes: list[tuple[int, ...]] = []
        for token in text.split():
            code = known.get(token)
            if code is None:
                code = self._token(token)
                if len(known) < 3_000_000:
                    known[token] = code
            codes.append(code)
        flat = np.array(list(chain.from_iterable(codes)), dtype=np.int64)
        if (flat == _BAD).any():
            return None
        return _label(flat)

    def words(self, numbers: Iterable[int]) -> list[str]:
        """The words of these numbers."""
        names = list(self.vocabulary)
        return [names[number - 1] for number in numbers]

    def _token(self, token: str) -> tuple[int, ...]:
        """Codes of the words of one token without blanks: number, mark and case."""
        parts = _DASHES.split(token)
        result = array("q")
        for number, part in enumerate(parts):
            result.extend(self._part(part))
            if number < len(parts) - 1:
                result.append(COMMA)  # a mark alone goes to the word before it
        return tuple(result)

    def _part(self, part: str) -> list[int]:
        head, core, tail = _EDGE.match(part).groups()  # type: ignore[union-attr]
        mark = _mark(tail)
        bracket = _BRACKET if "(" in head or "(" in core else 0
        if not core:
            return [mark | bracket] if mark or bracket else []
        if core in _TITLES and tail[:1] == ".":
            core, mark = _TITLES[core], _mark(tail[1:])
        elif core in _AS_READ:
            core = _AS_READ[core]
        elif len(core) == 1 and core.isupper() and core not in "IO" and tail == ".":
            mark = NONE  # an initial
        elif core.lower() in ("etc", "&c"):
            core = "et cetera"
        elif any(letter.isdigit() for letter in core):
            core = spell_out(core)
            if any(letter.isdigit() for letter in core):
                return [_BAD]
        elif _ROMAN.fullmatch(core) or not core.isascii() or _strange(core):
            return [_BAD]
        words = _WORDS.findall(core)
        if not words:
            return [_BAD]
        codes = [self._word(word) for word in words]
        codes[0] |= bracket
        codes[-1] |= mark
        return codes

    def _word(self, word: str) -> int:
        upper = word.upper()
        number = self.vocabulary.setdefault(upper, len(self.vocabulary) + 1)
        if word == upper.lower():
            case = LOWER
        elif word == word[0].upper() + word[1:].lower():
            case = CAPITAL
        elif word == upper:
            case = UPPER
        else:
            case = MIXED if word[0].isupper() else LOWER
            if case == MIXED:
                self.mixed[word] = self.mixed.get(word, 0) + 1
        return number << _WORD_SHIFT | case << _CASE_SHIFT


def fold(text: str) -> str:
    """ASCII without accents, with plain quotation marks and dashes."""
    text = text.translate(_FOLD)
    return text if text.isascii() else unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def settle_capitals(words: NDArray[np.uint32], labels: NDArray[np.uint8], counts: NDArray[np.int64]) -> None:
    """Undo capitals for emphasis, in place: a word is UPPER only if it mostly is (`counts` (W, 4) of its cases)."""
    upper = np.flatnonzero((labels >> 2 == UPPER) & (words > 0))
    own = counts[words[upper]]
    keep = own[:, UPPER] > own[:, LOWER] + own[:, CAPITAL]
    case = np.where(own[:, CAPITAL] > own[:, LOWER], CAPITAL, LOWER)
    starts = np.isin(labels[np.maximum(upper, 1) - 1] & 3, (STOP, QUESTION)) | (upper == 0)
    case = np.where(keep, UPPER, np.where(starts, CAPITAL, case))
    labels[upper] = labels[upper] & 3 | (case << 2).astype(np.uint8)


def _label(codes: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Words and labels of codes, marks between words given to the word before, and folded into four."""
    is_word = codes >> _WORD_SHIFT > 0
    place = np.cumsum(is_word) - 1
    words = (codes[is_word] >> _WORD_SHIFT).astype(np.uint32)
    case = (codes[is_word] >> _CASE_SHIFT & 3).astype(np.uint8)
    mark = (codes[is_word] & 7).astype(np.uint8)
    if not len(words):
        return words, mark
    alone = np.flatnonzero(~is_word & (place >= 0))
    for index in alone:
        if not mark[place[index]]:
            mark[place[index]] = codes[index] & 7
    opens = np.flatnonzero(codes & _BRACKET > 0)
    before = np.where(is_word[opens], place[opens] - 1, place[opens])
    for index in before:
        if index >= 0 and not mark[index]:
            mark[index] = COMMA
    small = np.append(case[1:] == LOWER, False)
    mark[(mark == STOP) & small] = NONE
    mark[(mark == _DOTS) & small] = COMMA
    mark[(mark == _EXCLAMATION) & small] = COMMA
    mark[mark > QUESTION] = STOP
    return words, (mark | case << 2).astype(np.uint8)


def _mark(tail: str) -> int:
    """The mark that the signs behind a word come to: the first that ends a sentence, else any that parts."""
    if "?" in tail:
        return QUESTION
    if "!" in tail:
        return _EXCLAMATION
    if "..." in tail:
        return _DOTS
    if "." in tail:
        return STOP
    return COMMA if any(sign in tail for sign in ",;:)") or "--" in tail else NONE


def _strange(core: str) -> bool:
    return any(not (letter.isalpha() or letter in "'-.,;:!?\"()&/[]") for letter in core)
