"""Training speech as a stream of padded batches: cached audio, augmented afresh, with targets.

What batch k of epoch e contains depends on the seed, e and k alone, whoever asks and in whatever order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from asr.corpus.audio_cache import AudioCache
from asr.corpus.batches import BatchConfig, draw_epoch, make_batches
from asr.corpus.manifest import Utterance
from asr.corpus.prefetch import prefetch

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
    """One manifest's worth of training speech."""

    name: str
    utterances: list[Utterance]
    audio: AudioCache
    targets: list[list[int]]
    phones: list[list[int]] = field(default_factory=list)
    """How the targets are spoken, where that is to be learned as well."""
    weight: float = 1.0


class SpeechStream:
    """All training corpora, drawn by weight, in batches of like duration.

    `workers` threads prepare the batches, which do not depend on their number; `pinned` places them where a GPU can
    fetch them while the CPU goes on.
    """

    def __init__(
        self,
        corpora: Sequence[Corpus],
        config: BatchConfig,
        seed: int,
        sample_rate: int,
        augment: Augment | None = None,
        sortagrad_epochs: int = 0,
        augment_warmup_epochs: int = 0,
        workers: int = 1,
        pinned: bool = False,
    ) -> None:
        self.corpora = list(corpora)
        self.config, self.seed, self.augment = config, seed, augment
        self.sortagrad_epochs, self.augment_warmup_epochs = sortagrad_epochs, augment_warmup_epochs
        self.workers, self.pinned = workers, pinned
        self._places = [(c, i) for c, corpus in enumerate(self.corpora) for i in range(len(corpus.utterances))]
        self._durations = np.array([self.corpora[c].audio.samples(i) / sample_rate for c, i in self._places])

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
