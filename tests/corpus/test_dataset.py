"""The stream of training speech: which batch is what depends on seed, epoch and number alone."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.corpus.audio_cache import AudioCache
from asr.corpus.batches import BatchConfig
from asr.corpus.dataset import Corpus, SpeechBatch, SpeechStream, pad_waveforms
from asr.corpus.manifest import Utterance


def corpus(name: str, count: int, weight: float = 1.0) -> Corpus:
    spans = [np.full(1600 * (n + 1), n + 1, dtype="<i2") for n in range(count)]
    utterances = [Utterance(f"{name}{n}", Path("x.wav"), (n + 1) / 10) for n in range(count)]
    return Corpus(name, utterances, AudioCache(spans), [[n + 1] for n in range(count)], weight=weight)


def jitter(batch: list[np.ndarray], generator: np.random.Generator) -> list[np.ndarray]:
    return [samples + np.float32(generator.uniform(0, 1)) for samples in batch]


def stream(*corpora: Corpus, seed: int = 1, workers: int = 1, augment_warmup_epochs: int = 0) -> SpeechStream:
    drawn = corpora or [corpus("a", 20)]
    batches = BatchConfig(seconds=4.0)
    return SpeechStream(
        drawn, batches, seed, 16000, jitter, augment_warmup_epochs=augment_warmup_epochs, workers=workers
    )


def equal(one: SpeechBatch, other: SpeechBatch) -> bool:
    return (one.ids, one.targets) == (other.ids, other.targets) and torch.equal(one.waveforms, other.waveforms)


def test_a_batch_holds_what_belongs_together() -> None:
    subject = SpeechStream([corpus("a", 9), corpus("b", 4)], BatchConfig(seconds=3.0), 1, 16000)
    for batch in subject.load(0):
        for row, name in enumerate(batch.ids):
            number = int(name[1:]) + 1
            length = int(batch.lengths[row])
            assert length == 1600 * number
            assert batch.targets[row] == [number]
            assert (batch.waveforms[row, :length] == number / 32768).all()
            assert not batch.waveforms[row, length:].any()
        assert batch.samples == int(batch.lengths.sum())


def test_any_batch_is_the_same_whoever_asks() -> None:
    everything = list(stream().load(3))
    assert len(everything) > 4
    resumed = list(stream().load(3, first=2))
    assert all(equal(one, other) for one, other in zip(everything[2:], resumed, strict=True))


def test_any_number_of_workers_prepares_the_same_batches() -> None:
    one, four = (list(stream(workers=workers).load(3)) for workers in (1, 4))
    assert all(equal(a, b) for a, b in zip(one, four, strict=True))


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_share_an_epoch_without_overlap(size: int) -> None:
    everything = list(stream().load(2))
    parts = [list(stream().load(2, first=rank, stride=size)) for rank in range(size)]
    assert all(equal(parts[k % size][k // size], batch) for k, batch in enumerate(everything))
    assert sum(map(len, parts)) == len(everything)


def test_augmentation_differs_between_epochs_seeds_and_utterances() -> None:
    def shifts(subject: SpeechStream, epoch: int) -> dict[str, float]:
        pairs = [
            (i, b.waveforms[r, 0].item() - b.targets[r][0] / 32768)
            for b in subject.load(epoch)
            for r, i in enumerate(b.ids)
        ]
        return dict(pairs)

    one, again, epoch, seed = shifts(stream(), 0), shifts(stream(), 0), shifts(stream(), 1), shifts(stream(seed=2), 0)
    assert one == again
    assert len(set(one.values())) == len(one)
    assert all(one[name] != epoch[name] for name in one)
    assert all(one[name] != seed[name] for name in one)


def test_plain_epochs_are_heard_as_recorded_and_all_others_as_without_them() -> None:
    plain, usual = stream(augment_warmup_epochs=2), stream()
    for epoch in range(2):
        for batch in plain.load(epoch):
            assert not batch.augmented
            assert batch.waveforms[:, 0].tolist() == [target[0] / 32768 for target in batch.targets]
    for ours, theirs in zip(plain.load(2), usual.load(2), strict=True):
        assert ours.augmented
        assert equal(ours, theirs)


def test_hours_are_those_of_the_drawn_batches() -> None:
    subject = stream(corpus("a", 20), corpus("b", 10, weight=0.5), corpus("c", 3, weight=2.0))
    hours = subject.hours(1)
    assert hours["a"] == pytest.approx(sum(range(1, 21)) / 36000)
    assert hours["c"] == pytest.approx(2 * 6 / 36000)
    heard = [i for batch in subject.load(1) for i in batch.ids if i.startswith("b")]
    assert len(heard) == 5
    assert hours["b"] == pytest.approx(sum(int(i[1:]) + 1 for i in heard) / 36000)


def test_padding() -> None:
    padded, lengths = pad_waveforms([np.ones(3, np.float32), np.zeros(0, np.float32), np.ones(5, np.float32)[::-1]])
    assert padded.tolist() == [[1, 1, 1, 0, 0], [0] * 5, [1] * 5]
    assert lengths.tolist() == [3, 0, 5]


def test_a_loader_that_is_left_ends_its_thread() -> None:
    before = set(threading.enumerate())
    loader = stream().load(0)
    next(loader)
    (worker,) = set(threading.enumerate()) - before
    loader.close()
    worker.join(10)
    assert not worker.is_alive()
