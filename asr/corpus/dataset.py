"""Training speech as a stream of padded batches: cached audio, augmented afresh, with targets.

Batches are of like durations, measured in seconds of audio. What batch k of epoch e contains depends on the seed, e and
k alone, whoever asks and in whatever order, so that a resumed run needs no saved state: it skips the batches already
done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from asr.corpus.audio_cache import AudioCache
from asr.corpus.manifest import Utterance

TOGETHER = 4
"""Batches of like length that follow one another, so that processes which wait for each other's gradients finish
together; a multiple of the processes keeps them in step."""


@dataclass(frozen=True)
class BatchConfig:
    """How utterances are gathered into batches."""

    seconds: float = 320.0
    """Seconds of audio in a batch, padding included: what fixes the cost of a step."""
    utterances: int = 96
    """At most this many utterances, whatever their length."""
    spread: float = 0.05
    """Durations are shuffled by ± this share before sorting, so that the batches differ from epoch to epoch."""

    def __post_init__(self) -> None:
        if not self.seconds > 0 or self.utterances < 1 or not 0 <= self.spread < 1:
            raise ValueError("seconds and utterances must be positive, and spread at least 0 and below 1")


def draw_epoch(counts: Sequence[int], weights: Sequence[float], seed: int, epoch: int) -> np.ndarray:
    """Indices of the utterances heard in an epoch, corpora of `counts` utterances laid end to end.

    A weight of 2 hears a corpus twice an epoch; 0.3 hears a fresh random 30 % of it each time.
    """
    generator = np.random.default_rng([seed, epoch, 1])
    chosen: list[np.ndarray] = []
    start = 0
    for count, weight in zip(counts, weights, strict=True):
        whole, part = divmod(weight, 1.0)
        everything = np.arange(start, start + count)
        chosen += [everything] * int(whole)
        chosen.append(generator.permutation(everything)[: int(part * count + generator.random())])
        start += count
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)


def make_batches(
    durations: np.ndarray, indices: np.ndarray, config: BatchConfig, seed: int, epoch: int, ascending: bool = False
) -> list[np.ndarray]:
    """Group `indices` into batches; `durations` (in seconds) belongs to the whole corpus.

    Utterances longer than `config.seconds` form batches of their own. `ascending` keeps the shortest first, a
    curriculum for a first epoch.
    """
    generator = np.random.default_rng([seed, epoch, 2])
    shuffled = generator.permutation(indices)
    blurred = durations[shuffled] * generator.uniform(1 - config.spread, 1 + config.spread, len(shuffled))
    order = shuffled[np.argsort(blurred, kind="stable")]
    batches = fill_batches(order, durations, config)
    if ascending:
        return batches
    # What fills no group goes last, where it puts no other out of step, and may be left out of the last update: it is
    # taken from anywhere, for at the end of `batches` are the longest utterances, which must not be missed each time.
    whole, rest = divmod(len(batches), TOGETHER)
    last = generator.permutation(len(batches))[:rest]
    groups = np.delete(np.arange(len(batches)), last).reshape(whole, TOGETHER)
    return [batches[number] for number in [*generator.permutation(groups).flat, *last]]


def fill_batches(order: np.ndarray, durations: np.ndarray, config: BatchConfig) -> list[np.ndarray]:
    """Cut `order`, indices into `durations` (in seconds), wherever a batch is full."""
    batches: list[np.ndarray] = []
    first, longest = 0, 0.0
    for position, index in enumerate(order):
        longest = max(longest, float(durations[index]))
        size = position - first + 1
        if size > 1 and (size * longest > config.seconds or size > config.utterances):
            batches.append(order[first:position])
            first, longest = position, float(durations[index])
    if len(order):
        batches.append(order[first:])
    return batches


Augment = Callable[[list[np.ndarray], np.random.Generator], list[np.ndarray]]


@dataclass(frozen=True)
class SpeechBatch:
    """Padded waveforms (B, N) float32 in [-1, 1], lengths (B,) in samples, and the targets' token ids."""

    ids: list[str]
    waveforms: Tensor
    lengths: Tensor
    targets: list[list[int]]
    phones: list[list[int]]
    """How the targets are spoken; empty where that is not to be learned."""
    augmented: bool = True
    """Whether its epoch is one of those that augment: the waveforms were, the features shall be."""

    @property
    def samples(self) -> int:
        """Samples of audio in it, without padding."""
        return int(self.lengths.sum())


@dataclass(frozen=True)
class Corpus:
    """One manifest's worth of speech; `targets` and `phones` are empty where they are not asked for."""

    name: str
    utterances: list[Utterance]
    audio: AudioCache
    targets: list[list[int]]
    phones: list[list[int]] = field(default_factory=list)
    """How the utterances are spoken."""
    weight: float = 1.0


@dataclass
class SpeechStream:
    """All training corpora, drawn by weight, in batches of like duration.

    `workers` threads prepare the batches, which do not depend on their number; `pinned` places them where a GPU can
    fetch them while the CPU goes on.
    """

    corpora: Sequence[Corpus]
    config: BatchConfig
    seed: int
    sample_rate: int
    augment: Augment | None = None
    sortagrad_epochs: int = 0
    augment_warmup_epochs: int = 0
    workers: int = 1
    pinned: bool = False

    def __post_init__(self) -> None:
        self._places = [(c, i) for c, corpus in enumerate(self.corpora) for i in range(len(corpus.utterances))]
        self._durations = np.array([self.corpora[c].audio.samples(i) / self.sample_rate for c, i in self._places])

    def plan(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch, as indices into all utterances."""
        drawn = draw_epoch(
            [len(corpus.utterances) for corpus in self.corpora],
            [corpus.weight for corpus in self.corpora],
            self.seed,
            epoch,
        )
        return make_batches(
            self._durations, drawn, self.config, self.seed, epoch, ascending=epoch < self.sortagrad_epochs
        )

    def hours(self, epoch: int) -> dict[str, float]:
        """Hours drawn from each corpus in an epoch."""
        result = dict.fromkeys((corpus.name for corpus in self.corpora), 0.0)
        for batch in self.plan(epoch):
            for index in batch:
                result[self.corpora[self._places[index][0]].name] += self._durations[index] / 3600
        return result

    def load(self, epoch: int, first: int = 0, stride: int = 1) -> Iterator[SpeechBatch]:
        """Batches `first`, `first + stride`, … of an epoch, prepared a few ahead."""
        return prefetch(partial(self._collate, epoch), self.plan(epoch)[first::stride], self.workers)

    def _collate(self, epoch: int, indices: np.ndarray) -> SpeechBatch:
        waveforms, ids, targets, phones = [], [], [], []
        for index in indices:
            corpus, place = self._places[index]
            waveforms.append(self.corpora[corpus].audio[place])
            ids.append(self.corpora[corpus].utterances[place].id)
            targets.append(self.corpora[corpus].targets[place])
            phones += self.corpora[corpus].phones[place : place + 1]
        augmented = epoch >= self.augment_warmup_epochs
        if self.augment is not None and augmented:
            waveforms = self.augment(waveforms, np.random.default_rng([self.seed, epoch, int(indices[0]), 3]))
        padded, lengths = pad_waveforms(waveforms, self.pinned)
        return SpeechBatch(ids, padded, lengths, targets, phones, augmented)


def pad_waveforms(waveforms: Sequence[np.ndarray], pinned: bool = False) -> tuple[Tensor, Tensor]:
    """Waveforms of any lengths → zero-padded (B, N) and lengths (B,); `pinned` as in `SpeechStream`."""
    lengths = torch.tensor([len(samples) for samples in waveforms], dtype=torch.long)
    padded = torch.empty(len(waveforms), max(1, int(lengths.max())), pin_memory=pinned)
    # By numpy, because a thread that calls PyTorch's own operations brings a team of threads along.
    for row, samples in zip(padded.numpy(), waveforms, strict=True):
        row[: len(samples)] = samples
        row[len(samples) :] = 0
    return padded, lengths


Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    prepare: Callable[[Item], Result], items: Sequence[Item], workers: int = 1, ahead: int = 3
) -> Iterator[Result]:
    """`prepare(item)` of every item in turn, computed by `workers` threads while the consumer computes.

    While the consumer holds one result, `workers + ahead` others are ready or in the making. An error arises where its
    item's result would have. Whoever leaves early waits for the items in the making; no other is begun.
    """
    coming: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            coming.append(pool.submit(prepare, item))
            if len(coming) > workers + ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        # A thread that is still computing when the interpreter ends would take the process down with it.
        pool.shutdown(cancel_futures=True)
