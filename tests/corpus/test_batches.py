"""Batches are pure functions of seed and epoch, hear every utterance once, and keep to their seconds."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.config import validate
from asr.corpus.batches import BatchConfig, draw_epoch, make_batches
from asr.errors import UsageError

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
        whole, part = divmod(weight, 1)
        assert sum(heard) == count * int(whole) + round(part * count)
        assert all(times - int(whole) in (0, 1) for times in heard)
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
