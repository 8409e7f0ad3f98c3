"""Hotwords: phrases that are expected, and the reward that their letters earn during the search.

All phrases live in one automaton over letters (Aho and Corasick, "Efficient string matching", 1975), in which a phrase
begins and ends at a boundary between words: `▁NEW▁YORK▁`. Being partly through a phrase holds a part of its reward,
which is kept when the phrase completes and taken back when it does not. So every finished text has earned exactly the
sum of the boosts of the phrases in it, each as often as it occurs.

Where words are spelled by phones, each word of a hotword ends in a letter of its own: what only sounds like it earns
nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.decoding.lexicon_trie import BOUNDARY
from asr.errors import UsageError

DEFAULT_BOOST = 4.0
MOST_HOTWORDS = 2000
"""The automaton's memory grows with their square: 0.1 GB for as many."""
IDLE, BETWEEN = 0, 1  # states: within a word that begins no phrase; at a boundary

Array = NDArray[Any]


@dataclass(frozen=True)
class Hotword:
    """A word or phrase and its boost: what each occurrence adds to the score, natural log; below 0 it discourages."""

    phrase: str
    boost: float = DEFAULT_BOOST


class HotwordStates(NamedTuple):
    """The automaton of `S` states over `A` letters and the boundary."""

    next: Array  # (S, 1 + A + E) int32, state after each letter, or after one of E ends of words
    held: Array  # (S,) float64, reward for being partly through a phrase
    earned: Array  # (S,) float64, boosts of the phrases that complete on arriving here
    end_letter: Array  # int32, of each word id what the automaton reads where the word ends


def parse_hotword(text: str) -> Hotword:
    """`WORD`, `WORD=BOOST` or `"A WHOLE PHRASE=BOOST"`. Raises `UsageError` where it is neither."""
    phrase, separator, number = text.rpartition("=")
    if not separator:
        phrase, number = text, str(DEFAULT_BOOST)
    try:
        boost = float(number)
    except ValueError:
        boost = math.nan
    if not phrase.split() or not math.isfinite(boost):
        raise UsageError(f"hotword {text!r} is not of the form WORD or WORD=BOOST", 'For example "GRYFFINDOR=8".')
    return Hotword(" ".join(phrase.split()), boost)


def gather_hotwords(items: Iterable[str]) -> list[Hotword]:
    """Hotwords as a person gives them: each item is one, or `@FILE`. Raises `UsageError`."""
    if isinstance(items, str):
        raise UsageError(f"hotwords must be a list, not the text {items!r}", f"Give [{items!r}].")
    return [
        hotword for item in items for hotword in (read_hotwords(item[1:]) if item[:1] == "@" else [parse_hotword(item)])
    ]


def read_hotwords(path: Path | str) -> list[Hotword]:
    """The hotwords of a UTF-8 file, one a line; empty lines and lines that begin with `#` are skipped."""
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"hotword file {path} cannot be read: {error}") from error
    return [parse_hotword(line) for line in map(str.strip, lines) if line and not line.startswith("#")]


def fit_to_alphabet(hotwords: Iterable[Hotword], alphabet: Sequence[str]) -> list[Hotword]:
    """The hotwords in the alphabet's letter case, each once.

    Raises `UsageError` for more than `MOST_HOTWORDS`, and naming the characters that the alphabet lacks.
    """
    known = set(alphabet)
    fitted: dict[str, Hotword] = {}  # of a phrase that is given twice the last boost counts
    for hotword in hotwords:
        forms = ((letter, letter.upper(), letter.lower()) for letter in hotword.phrase)
        phrase = "".join(next((form for form in each if form in known), each[0]) for each in forms)
        strangers = sorted(set(phrase) - known - {" "})
        if strangers:
            raise UsageError(
                f"hotword {hotword.phrase!r} has characters that the model cannot spell: {' '.join(strangers)}",
                f"Spell it as it sounds, with {''.join(sorted(known))}",
            )
        fitted[phrase] = Hotword(phrase, hotword.boost)
    if len(fitted) > MOST_HOTWORDS:
        raise UsageError(f"{len(fitted):,} hotwords are too many to expect (at most {MOST_HOTWORDS:,})")
    return list(fitted.values())


PronunciationTable = Mapping[str, Sequence[str]]
"""Of each word the ways in which pieces spell it."""

_MOST_WAYS = 8  # to speak a hotword of several words


def build_states(
    hotwords: Sequence[Hotword],
    alphabet: Sequence[str],
    words: Sequence[str] = (),
    pronunciations: PronunciationTable | None = None,
) -> HotwordStates:
    """The automaton of `hotwords` over `alphabet`, in a search that knows `words`, named by their ids.

    Hotwords are spelled as they are written, in letters of `alphabet` (see `fit_to_alphabet`), or each in up to eight
    ways by `pronunciations`. Raises `UsageError` naming one without a pronunciation.
    """
    letter_of = {letter: index for index, letter in enumerate(alphabet, start=1)} | {" ": BOUNDARY}
    end_letter = np.full(max(1, len(words)), BOUNDARY, np.int32)
    if pronunciations is None:
        spelled = [([letter_of[letter] for letter in f"{each.phrase} "], each.boost) for each in hotwords]
        return _automaton(spelled, 1 + len(alphabet), end_letter)
    expected = sorted({word for hotword in hotwords for word in hotword.phrase.split()})
    end_of = {word: 1 + len(alphabet) + number for number, word in enumerate(expected)}
    for number, word in enumerate(words):
        end_letter[number] = end_of.get(word, BOUNDARY)
    spelled = []
    for hotword in hotwords:
        parts = hotword.phrase.split()
        ways = list(islice(product(*(dict.fromkeys(pronunciations.get(word, ())) for word in parts)), _MOST_WAYS))
        if not ways:
            raise UsageError(f"nobody can tell how the hotword {hotword.phrase!r} is spoken", "Spell it as it sounds.")
        for way in ways:
            letters = [[*map(letter_of.__getitem__, one), end_of[word]] for one, word in zip(way, parts, strict=True)]
            spelled.append(([*chain.from_iterable(letters)], hotword.boost))
    return _automaton(spelled, 1 + len(alphabet) + len(expected), end_letter)


def _automaton(phrases: Iterable[tuple[Sequence[int], float]], letters: int, end_letter: Array) -> HotwordStates:
    """Of phrases of letters with their boosts."""
    children: list[dict[int, int]] = [{BOUNDARY: BETWEEN}, {}]
    held, earned = [0.0, 0.0], [0.0, 0.0]
    for phrase, boost in phrases:
        state = BETWEEN
        for count, letter in enumerate(phrase, start=1):
            if letter not in children[state]:
                children[state][letter] = len(children)
                children.append({})
                held.append(0.0)
                earned.append(0.0)
            state = children[state][letter]
            if count < len(phrase):
                held[state] = max(held[state], boost * count / len(phrase), key=abs)
        earned[state] += boost
    ends = sorted({BOUNDARY, *end_letter.tolist()})
    return HotwordStates(*_close(children, held, earned, letters, ends), end_letter)


def _close(
    children: list[dict[int, int]], held: list[float], earned: list[float], letters: int, ends: Sequence[int]
) -> tuple[Array, Array, Array]:
    """Complete the transitions: where a phrase breaks off, its longest end that begins a phrase goes on."""
    table = np.zeros((len(children), letters), np.int32)
    table[IDLE, ends] = BETWEEN  # whatever word ends, a phrase may begin
    fallback = [IDLE] * len(children)
    queue = deque([IDLE])
    while queue:
        state = queue.popleft()
        if state != IDLE:
            table[state] = table[fallback[state]]
            earned[state] += earned[fallback[state]]
            if not children[state]:  # a whole phrase: what it may be the beginning of is all that is left to hope for
                held[state] = held[fallback[state]]
        for letter, child in children[state].items():
            fallback[child] = int(table[fallback[state], letter]) if state != IDLE else IDLE
            queue.append(child)
        for letter, child in children[state].items():
            table[state, letter] = child
    return table, np.array(held), np.array(earned)
