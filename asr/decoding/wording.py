"""Words and how the network spells them: as they are written, or as they are spoken.

A network that hears phones spells `know` and `no` alike. The search then keeps the text of phones, and the language
model says which of the words that sound so is meant: the likeliest after the words before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np

from asr.decoding.hotwords import Hotword
from asr.decoding.lexicon import ROOT, Lexicon
from asr.errors import UsageError

if TYPE_CHECKING:
    from asr.language.ngram import NgramModel

Spellings = Mapping[str, Sequence[str]]
"""Of each word the ways in which pieces spell it."""

_MOST_WAYS = 8  # to speak a hotword of several words


class Wording:
    """From spelled words to words, by the lexicon and the language model of a search."""

    def __init__(
        self, lexicon: Lexicon, alphabet: Sequence[str], model: NgramModel, expected: Mapping[str, str]
    ) -> None:
        """`expected` are the words of hotwords by their spelling, which come before all others."""
        self._lexicon, self._model, self._expected = lexicon, model, expected
        self._letter_of = {letter: number for number, letter in enumerate(alphabet, start=1)}
        self._meanings = lru_cache(maxsize=None)(self._look_up)

    def words(self, spelled: str) -> tuple[str, bool]:
        """The words of a spelled text, and whether the last one is whole; one that is not is left out."""
        state = self._model.begin_state()
        words: list[str] = []
        for each in spelled.split():
            meanings = self._meanings(each)
            if not meanings:
                return " ".join(words), False
            scored = [(*self._model.score(state, word), word) for word in meanings]
            _, state, word = max(scored, key=lambda one: one[0])
            words.append(self._expected.get(each) or self._model.words[word])
        return " ".join(words), True

    def _look_up(self, spelled: str) -> list[int]:
        """The ids of the words that are spelled so."""
        node = ROOT
        for letter in map(self._letter_of.__getitem__, spelled):
            first, end = self._lexicon.first_child[node], self._lexicon.first_child[node + 1]
            child = int(first + np.searchsorted(self._lexicon.letter[first:end], letter))
            if child == end or self._lexicon.letter[child] != letter:
                return []
            node = child
        ids: list[int] = self._lexicon.word[
            self._lexicon.first_word[node] : self._lexicon.first_word[node + 1]
        ].tolist()
        return ids


def spell_phrases(hotwords: Iterable[Hotword], spellings: Spellings) -> list[Hotword]:
    """The hotwords as pieces spell them, each in up to eight ways. Raises `UsageError` naming one that none spells."""
    phrases = []
    for hotword in hotwords:
        ways = list(islice(product(*(spellings.get(word, ()) for word in hotword.phrase.split())), _MOST_WAYS))
        if not ways:
            raise UsageError(f"nobody can tell how the hotword {hotword.phrase!r} is spoken", "Spell it as it sounds.")
        phrases += [Hotword(" ".join(way), hotword.boost) for way in ways]
    return phrases
