"""Words and how the network spells them: as they are written, or as they are spoken.

A network that hears phones spells `know` and `no` alike. The search then keeps the text of phones, and the language
model says which of the words that sound so is meant: the likeliest after the words before, the boosts of hotwords
counted in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from asr.decoding.hotwords import Hotword
from asr.decoding.lexicon_trie import ROOT, LexiconTrie
from asr.errors import UsageError
from asr.lm.ngram import UNKNOWN_ID

if TYPE_CHECKING:
    from asr.lm.ngram import NgramModel

PronunciationTable = Mapping[str, Sequence[str]]
"""Of each word the ways in which pieces spell it."""

_MOST_WAYS = 8  # to speak a hotword of several words


class _Meant(NamedTuple):
    """What some spelled words are taken for: the language model's score, its state after them, and the words."""

    score: float
    state: int
    words: list[str]


class Wording:
    """From spelled words to words, by the lexicon, the hotwords and the language model of a search."""

    def __init__(
        self,
        lexicon: LexiconTrie,
        alphabet: Sequence[str],
        model: NgramModel,
        hotwords: Sequence[Hotword],
        pronunciations: PronunciationTable,
    ) -> None:
        """`pronunciations` are those of the hotwords' words at least. What the model lacks comes before all others."""
        self._trie, self._model = lexicon, model
        self._letter_of = {letter: number for number, letter in enumerate(alphabet, start=1)}
        self._meanings = lru_cache(maxsize=None)(self._look_up)
        phrases = [(hotword.phrase.split(), hotword.boost) for hotword in hotwords]
        ways = {word: frozenset(pronunciations.get(word, ())) for words, _ in phrases for word in words}
        self._expected = {way: word for word in sorted(ways) if word not in model.vocabulary for way in ways[word]}
        self._phrases = [(words, [ways[word] for word in words], boost) for words, boost in phrases]

    def words(self, spelled: str, weight: float) -> tuple[str, bool]:
        """The words of a spelled text, and whether the last one is whole; one that is not is left out.

        `weight` is the language model's, which its scores are multiplied by before they are compared with boosts.
        """
        state = self._model.begin_state()
        heard, words = spelled.split(), list[str]()
        while len(words) < len(heard):
            rest = heard[len(words) :]
            meant = self._hotword(state, rest, weight) or self._likeliest(state, rest[:1])
            if meant is None:
                return " ".join(words), False
            state = meant.state
            words += meant.words
        return " ".join(words), True

    def _hotword(self, state: int, heard: Sequence[str], weight: float) -> _Meant | None:
        """The hotword that `heard` begins with, where its boost makes it as good as the likeliest that sounds so."""
        chosen, most = None, 0.0
        for words, ways, boost in self._phrases:
            spoken = heard[: len(words)]
            if len(spoken) < len(words) or not all(one in way for one, way in zip(spoken, ways, strict=True)):
                continue
            likeliest, meant = self._likeliest(state, spoken), self._follow(state, words)
            gain = boost + weight * (meant.score - likeliest.score) if likeliest else boost
            if gain >= most:
                chosen, most = meant, gain
        return chosen

    def _likeliest(self, state: int, heard: Sequence[str]) -> _Meant | None:
        """Each word of `heard` taken for what is likeliest after the words before; None where one is no word."""
        score, words = 0.0, list[str]()
        for each in heard:
            meanings = self._meanings(each)
            if not meanings:
                return None
            scored = [(*self._model.score(state, word), word) for word in meanings]
            best, state, word = max(scored, key=lambda one: one[0])
            score += best
            words.append(self._expected.get(each) or self._model.words[word])
        return _Meant(score, state, words)

    def _follow(self, state: int, words: Sequence[str]) -> _Meant:
        """Those words and no others."""
        score = 0.0
        for word in words:
            gained, state = self._model.score(state, self._model.vocabulary.get(word, UNKNOWN_ID))
            score += gained
        return _Meant(score, state, list(words))

    def _look_up(self, spelled: str) -> list[int]:
        """The ids of the words that are spelled so."""
        node = ROOT
        for letter in map(self._letter_of.__getitem__, spelled):
            first, end = self._trie.first_child[node], self._trie.first_child[node + 1]
            child = int(first + np.searchsorted(self._trie.letter[first:end], letter))
            if child == end or self._trie.letter[child] != letter:
                return []
            node = child
        ids: list[int] = self._trie.word[self._trie.first_word[node] : self._trie.first_word[node + 1]].tolist()
        return ids


def spell_phrases(hotwords: Iterable[Hotword], pronunciations: PronunciationTable) -> list[Hotword]:
    """The hotwords as pieces spell them, each in up to eight ways. Raises `UsageError` naming one that none spells."""
    phrases = []
    for hotword in hotwords:
        ways = list(islice(product(*(pronunciations.get(word, ()) for word in hotword.phrase.split())), _MOST_WAYS))
        if not ways:
            raise UsageError(f"nobody can tell how the hotword {hotword.phrase!r} is spoken", "Spell it as it sounds.")
        phrases += [Hotword(" ".join(way), hotword.boost) for way in ways]
    return phrases
