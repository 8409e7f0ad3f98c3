"""Texts as one long row of words, each with the phones that it is spoken with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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


def speak(
    sentences: Iterable[str],
    pronunciations: Pronunciations,
    heard: frozenset[str] = frozenset(PHONES),
    report: Callable[[str], None] = lambda line: None,
) -> SpokenText:
    """The words of all sentences, those left out that nobody can speak or whose phones are not all among `heard`.

    `report` is told of the latter. Raises `DataError` where no word is left.
    """
    tokens = tokenize(sentences)
    spoken = pronunciations.of(tokens.words[len(SPECIAL_WORDS) :])
    speakable = np.array([word in spoken for word in tokens.words])
    text = tokens.ids[speakable[tokens.ids]]
    if not len(text):
        raise DataError("the texts to learn writing from have no word that can be spoken")
    signs = [WORD_START + spoken.get(word, ("",))[0] for word in tokens.words]
    text = _familiar(text, signs, heard, report)
    phones = [[_IDS[sign] for sign in each] for each in signs]
    starts = np.cumsum([0, *map(len, phones)])
    return SpokenText(tokens.words, text, np.concatenate(phones), starts)


def _familiar(
    text: npt.NDArray[np.int32], signs: list[str], heard: frozenset[str], report: Callable[[str], None]
) -> npt.NDArray[np.int32]:
    """The words of `text` whose `signs` are all among `heard`. Raises `DataError` where none is left."""
    familiar = np.array([heard.issuperset(each) for each in signs])[text]
    if familiar.all():
        return text
    missing = sorted({sign for word in np.unique(text[~familiar]).tolist() for sign in signs[word]} - heard)
    if not familiar.any():
        raise DataError(
            f"every word to learn writing from needs one of the phones {', '.join(missing)}, which the speech lacks",
            "Name speech that has them in hearing.train (▁ lies between two words).",
        )
    report(f"left out of the texts: {np.count_nonzero(~familiar)} words, for the speech lacks {', '.join(missing)}")
    kept: npt.NDArray[np.int32] = text[familiar]
    return kept
