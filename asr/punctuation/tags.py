"""What is said of each word: the mark behind it and its case; and how words with them are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MARKS = ("", ",", ".", "?")
NONE, COMMA, STOP, QUESTION = range(4)
CASES = ("lower", "capitalized", "upper")
LOWER, CAPITALIZED, UPPER = range(3)


@dataclass(frozen=True)
class Tag:
    """The mark behind a word, an index in `MARKS`, and its case, an index in `CASES`."""

    mark: int
    case: int

    @property
    def ends_sentence(self) -> bool:
        """Whether a sentence ends with this word."""
        return self.mark in (STOP, QUESTION)


def write_words(words: Sequence[str], tags: Sequence[Tag], mixed: Mapping[str, str]) -> list[str]:
    """Each word as a reader sees it, its mark behind it; `mixed` spells words like McDonald, by their upper case."""
    return [write_word(word, tag, mixed) for word, tag in zip(words, tags, strict=True)]


def write_word(word: str, tag: Tag, mixed: Mapping[str, str]) -> str:
    """`MCDONALD` with a comma → `McDonald,`."""
    if tag.case == LOWER:
        shown = word.lower()
    elif tag.case == UPPER:
        shown = word.upper()
    else:
        shown = mixed.get(word.upper()) or word[:1].upper() + word[1:].lower()
    return shown + MARKS[tag.mark]
