"""What phones sound like to a network: snippets of what it heard, to be put together to what a text would sound like.

A network is never sure. What it gives for a phone depends on the speaker, the noise and the phones around, and spreads
over those that sound alike. So what it heard of real speech is cut where one phone ends and the next begins, and any
text can then be put together from snippets of the same phones between the same neighbours: concatenative synthesis,
but of log-probabilities in place of sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from asr.errors import ModelError
from asr.files import write_whole
from asr.pronunciation.phones import VOCABULARY as PHONES

Integers = npt.NDArray[np.int64]
Halves = npt.NDArray[np.float16]

EDGE = 0
"""The neighbour of the first and the last phone; no phone has the blank's number."""
FEWEST = 4
"""Snippets between the same two neighbours; where there are fewer, the left one may be another, then both."""


@dataclass(frozen=True, eq=False)
class Sounds:
    """What was heard of a number of utterances, and where in it each phone lies."""

    log_probs: Halves
    """(N, P), natural log, in half precision: the steps of all utterances, one after the other."""
    edges: Integers
    """(U + 1,) where each utterance begins; the last is N."""
    texts: npt.NDArray[np.str_]
    """(U,) what was said."""
    starts: Integers
    """(S,) where each snippet begins, in the order of `keys`."""
    lengths: Integers
    """(S,) steps of each snippet."""
    keys: Integers
    """(S,) rising: the phone, its right neighbour and its left one as digits of one number."""

    def phones(self) -> frozenset[str]:
        """The phones, and "▁", of which there is a snippet."""
        return frozenset(PHONES[phone] for phone in np.unique(self.keys // len(PHONES) ** 2).tolist())

    def spoken(self, phones: Sequence[Integers], generator: np.random.Generator) -> list[Halves]:
        """What sequences of `phones`, none of them empty, may sound like: the steps (T, P) of each.

        Every phone is given a random snippet of itself, of which there must be one, between the same neighbours where
        it was heard so.
        """
        counts = np.array([len(each) for each in phones])
        chosen = self._choose(np.concatenate([neighbours(each) for each in phones]), generator)
        steps = self.log_probs[ranges(self.starts[chosen], self.lengths[chosen])]
        ends = np.add.reduceat(self.lengths[chosen], counts.cumsum() - counts).cumsum()
        return np.split(steps, ends[:-1])

    def heard(self, utterance: int) -> tuple[str, Halves]:
        """What was said in an utterance, and its steps (T, P) as they were."""
        return str(self.texts[utterance]), self.log_probs[self.edges[utterance] : self.edges[utterance + 1]]

    def save(self, path: Path) -> None:
        """Write all of it as an .npz file."""
        with write_whole(path, "wb") as file:
            np.savez(file, **{each.name: getattr(self, each.name) for each in fields(self)})

    def _choose(self, keys: Integers, generator: np.random.Generator) -> Integers:
        """The number of a snippet for each key."""
        base = len(PHONES)
        first, behind = self._range(keys, 1)
        for wider in (base, base * base):
            few = behind - first < FEWEST
            first[few], behind[few] = self._range(keys[few], wider)
        return first + (generator.random(len(keys)) * (behind - first)).astype(np.int64)

    def _range(self, keys: Integers, width: int) -> tuple[Integers, Integers]:
        """The first snippet, and the one behind the last, whose key is the same without its last digits."""
        low = keys - keys % width
        return self.keys.searchsorted(low), self.keys.searchsorted(low + width)


class Recording:
    """Gathers `Sounds`, an utterance at a time."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._steps: list[Halves] = []
        self._starts: list[Integers] = []
        self._lengths: list[Integers] = []
        self._keys: list[Integers] = []
        self._end = 0

    def add(
        self, text: str, log_probs: npt.NDArray[np.float32], phones: Integers, begins: Integers, ends: Integers
    ) -> None:
        """An utterance's text, its steps (T, P) and its phones (U,), which lie from step `begins` to before `ends`.

        What lies between two phones is shared by both.
        """
        cuts = np.concatenate([[0], (ends[:-1] + begins[1:]) // 2, [len(log_probs)]])
        self._texts.append(text)
        self._steps.append(log_probs.astype(np.float16))
        self._starts.append(self._end + cuts[:-1])
        self._lengths.append(np.diff(cuts))
        self._keys.append(neighbours(phones))
        self._end += len(log_probs)

    def sounds(self) -> Sounds:
        """All that was added."""
        keys = np.concatenate(self._keys)
        order = keys.argsort(kind="stable")
        return Sounds(
            np.concatenate(self._steps),
            np.concatenate([[0], np.cumsum([len(each) for each in self._steps])]),
            np.array(self._texts),
            np.concatenate(self._starts)[order],
            np.concatenate(self._lengths)[order],
            keys[order],
        )


def load_sounds(path: Path) -> Sounds:
    """Read what `Sounds.save` wrote. Raises `ModelError` naming a file that is torn or something else."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return Sounds(**{each.name: kept[each.name] for each in fields(Sounds)})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ModelError(f"{path} does not hold sounds: {error}", "Delete it; it is made again.") from error


def neighbours(phones: Integers) -> Integers:
    """The key (U,) of each of `phones` (U,): itself, the one after it, the one before it."""
    base = len(PHONES)
    after = np.append(phones[1:], EDGE)
    before = np.insert(phones[:-1], 0, EDGE)
    keys: Integers = (phones * base + after) * base + before
    return keys


def ranges(starts: Integers, lengths: Integers) -> Integers:
    """The numbers from each of `starts` on, as many as `lengths` says, one range after the other."""
    ends = lengths.cumsum()
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
