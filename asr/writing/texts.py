"""Texts as one long row of words, each with the phones that it is spoken with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.errors import DataError
from asr.language.ngram import SPECIAL_WORDS
from asr.language.text import tokenize
from asr.pronunciation import Pronunciations
from asr.pronunciation.phones import VOCABULARY as PHONES
from asr.text.tokenizer import WORD_START
from asr.writing.sounds import Integers, ranges

_IDS = {sign: number for number, sign in enumerate(PHONES)}


@dataclass(frozen=True, eq=False)
class SpokenText:
    """A text and how it is spoken."""

    words: list[str]
    text: npt.NDArray[np.int32]
    """(N,) places in `words`."""
    phones: Integers
    """The "▁" and the phones of each of `words`, one after the other."""
    starts: Integers
    """Where those of each word begin, and the end."""

    def excerpt(self, first: int, count: int) -> tuple[str, Integers]:
        """`count` words from place `first` on, and their phones with "▁" between words."""
        chosen = self.text[first : first + count]
        starts = self.starts[chosen]
        spoken = self.phones[ranges(starts, self.starts[chosen + 1] - starts)]
        return " ".join(self.words[word] for word in chosen.tolist()), spoken[1:]


def speak(sentences: Iterable[str], pronunciations: Pronunciations) -> SpokenText:
    """The words of all sentences, those left out that nobody can speak. Raises `DataError` where none is left."""
    tokens = tokenize(sentences)
    spoken = pronunciations.of(tokens.words[len(SPECIAL_WORDS) :])
    speakable = np.array([word in spoken for word in tokens.words])
    text = tokens.ids[speakable[tokens.ids]]
    if not len(text):
        raise DataError("the texts to learn writing from have no word that can be spoken")
    phones = [[_IDS[sign] for sign in WORD_START + spoken.get(word, ("",))[0]] for word in tokens.words]
    starts = np.cumsum([0, *map(len, phones)])
    return SpokenText(tokens.words, text, np.concatenate(phones), starts)
