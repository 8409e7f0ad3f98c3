"""The stream of training speech: which batch is what depends on seed, epoch and number alone.

Utterances are heard once, batches keep to their seconds, and work done ahead comes in order, errors in their place.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.config import validate
from asr.corpus.audio_cache import AudioCache
from asr.corpus.dataset import (
    BatchConfig,
    Corpus,
    SpeechBatch,
    SpeechStream,
    draw_epoch,
    make_batches,
    pad_waveforms,
    prefetch,
)
from asr.corpus.manifest import Utterance
from asr.errors import UsageError

WORKERS = [1, 4]


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_results_come_in_order_whoever_is_done_first(workers: int, count: int) -> None:
    def slow_when_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number * number

    assert list(prefetch(slow_when_even, range(count), workers)) == [n * n for n in range(count)]


def test_workers_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)
    assert len(set(prefetch(lambda _: (meeting.wait(), threading.get_ident())[1], range(3), workers=3))) == 3


@pytest.mark.parametrize("workers", WORKERS)
def test_only_so_much_is_done_ahead(workers: int) -> None:
    begun: list[int] = []
    coming = prefetch(begun.append, range(100), workers, ahead=2)
    assert not begun, "nothing is begun before somebody asks"
    for taken in range(1, 5):
        next(coming)
        most = taken + workers + 2
        patience = time.monotonic() + 10
        while len(begun) < most and time.monotonic() < patience:
            time.sleep(0.001)
        time.sleep(0.01)
        assert len(begun) == most
    coming.close()


@pytest.mark.parametrize("workers", WORKERS)
def test_an_error_arises_where_its_result_would_have(workers: int) -> None:
    def spoil_two(number: int) -> int:
        if number == 2:
            raise ValueError("spoilt")
        return number

    coming = prefetch(spoil_two, range(9), workers)
    assert [next(coming), next(coming)] == [0, 1]
    with pytest.raises(ValueError, match="spoilt"):
        next(coming)


@pytest.mark.parametrize("workers", WORKERS)
def test_leaving_early_ends_the_threads_and_begins_nothing_more(workers: int) -> None:
    before = set(threading.enumerate())
    begun: list[int] = []

    def prepare(number: int) -> None:
        begun.append(number)
        time.sleep(0.01)

    coming = prefetch(prepare, range(100), workers)
    next(coming)
    coming.close()
    assert set(threading.enumerate()) == before
    assert begun == list(range(len(begun)))
    assert len(begun) <= 1 + workers + 3


durations = st.lists(st.floats(0.1, 40), min_size=1, max_size=120).map(np.array)
configs = st.builds(BatchConfig, seconds=st.floats(1, 200), utterances=st.integers(1, 20), spread=st.floats(0, 0.5))
seeds = st.integers(0, 2**31)


@settings(max_examples=60, deadline=None)
@given(durations=durations, config=configs, seed=seeds, epoch=st.integers(0, 50), ascending=st.booleans())
def test_each_utterance_once_and_no_batch_above_its_seconds(durations, config, seed, epoch, ascending):
    batches = make_batches(durations, np.arange(len(durations)), config, seed, epoch, ascending)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(durations)))
    for batch in batches:
        assert len(batch) <= config.utterances
        assert len(batch) * durations[batch].max() <= config.seconds or len(batch) == 1


@settings(max_examples=30, deadline=None)
@given(durations=durations, config=configs, seed=seeds, epoch=st.integers(0, 50))
def test_the_same_seed_and_epoch_give_the_same_batches_whatever_was_asked_before(durations, config, seed, epoch):
    everything = np.arange(len(durations))
    once = make_batches(durations, everything, config, seed, epoch)
    make_batches(durations, everything, config, seed, epoch + 1)
    np.random.seed(1)
    again = make_batches(durations, everything, config, seed, epoch)
    assert [batch.tolist() for batch in once] == [batch.tolist() for batch in again]


def test_epochs_and_seeds_differ() -> None:
    durations = np.linspace(1, 20, 200)
    plans = [
        [batch.tolist() for batch in make_batches(durations, np.arange(200), BatchConfig(60), seed, epoch)]
        for seed, epoch in [(1, 0), (1, 1), (2, 0)]
    ]
    assert plans[0] != plans[1]
    assert plans[0] != plans[2]
    assert sorted(map(sorted, plans[0])) != sorted(map(sorted, plans[1])), "not only the order, the company changes too"


def test_little_is_padding() -> None:
    durations = np.random.default_rng(1).uniform(1, 16, 2000)
    batches = make_batches(durations, np.arange(2000), BatchConfig(200), 1, 5)
    padded = sum(len(batch) * durations[batch].max() for batch in batches)
    assert durations.sum() / padded > 0.9


@pytest.mark.parametrize("per_update", [1, 2, 4])
def test_the_longest_are_heard_too_where_batches_fill_no_last_update(per_update: int) -> None:
    durations = np.sort(1 + np.random.default_rng(1).gamma(4, 1.5, 90))
    heard = np.zeros(len(durations))
    for epoch in range(200):
        batches = make_batches(durations, np.arange(len(durations)), BatchConfig(100.0), 1, epoch)
        for batch in batches[: len(batches) // per_update * per_update]:
            heard[batch] += 1
    assert heard.min() > 0.5 * heard.max()


def test_ascending_epochs_begin_with_the_shortest() -> None:
    durations = np.random.default_rng(1).uniform(1, 16, 500)
    longest = [
        durations[batch].max()
        for batch in make_batches(durations, np.arange(500), BatchConfig(60, spread=0), 1, 0, True)
    ]
    assert longest == sorted(longest)
    shuffled = [
        durations[batch].max() for batch in make_batches(durations, np.arange(500), BatchConfig(60, spread=0), 1, 0)
    ]
    assert shuffled != sorted(shuffled)


@settings(max_examples=60, deadline=None)
@given(
    corpora=st.lists(st.tuples(st.integers(0, 30), st.floats(0, 3)), max_size=4), seed=seeds, epoch=st.integers(0, 9)
)
def test_weights_say_how_often_a_corpus_is_heard(corpora, seed, epoch):
    drawn = Counter(draw_epoch([n for n, _ in corpora], [w for _, w in corpora], seed, epoch).tolist())
    start = 0
    for count, weight in corpora:
        heard = [drawn[index] for index in range(start, start + count)]
        assert abs(sum(heard) - count * weight) < 1
        assert all(times - int(weight) in (0, 1) for times in heard)
        start += count
    assert drawn.total() == sum(times for index, times in drawn.items() if index < start)


def test_a_part_of_a_corpus_is_drawn_afresh_each_epoch() -> None:
    parts = [set(draw_epoch([1000], [0.3], 1, epoch).tolist()) for epoch in range(12)]
    assert {len(part) for part in parts} == {300}
    assert parts[0] != parts[1]
    assert len(set().union(*parts)) > 950


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"utterances": 0}, {"spread": 1.0}, {"spread": "wide"}])
def test_wrong_settings_are_named(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        validate(BatchConfig, wrong, "here")


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


def test_warm_up_epochs_are_heard_as_recorded_and_all_others_as_without_them() -> None:
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
