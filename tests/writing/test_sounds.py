"""Snippets of what was heard: cut without loss, found by phone and neighbours, put together to any sequence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import ModelError
from asr.pronunciation.phones import VOCABULARY as PHONES
from asr.writing.sounds import FEWEST, Recording, Sounds, load_sounds, ranges


def recorded(*utterances: tuple[list[int], list[int]]) -> Sounds:
    """Utterances of phones and the steps that each lasts; in every step the phone's own number is written."""
    recording = Recording()
    for phones, lengths in utterances:
        steps = np.repeat(phones, lengths)
        ends = np.cumsum(lengths)
        log_probs = np.tile(steps[:, None], (1, len(PHONES))).astype(np.float32)
        recording.add(f"{phones}", log_probs, np.array(phones), ends - lengths, ends)
    return recording.sounds()


spoken = st.lists(st.tuples(st.integers(1, len(PHONES) - 1), st.integers(1, 4)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(utterances=st.lists(spoken, min_size=1, max_size=5), seed=st.integers(0, 100))
def test_every_phone_is_given_a_snippet_of_itself(utterances: list[list[tuple[int, int]]], seed: int) -> None:
    sounds = recorded(*(tuple(map(list, zip(*utterance, strict=True))) for utterance in utterances))
    wanted = [np.array([phone for phone, _ in utterance]) for utterance in reversed(utterances)]
    together = sounds.spoken(wanted, np.random.default_rng(seed))
    assert len(together) == len(wanted)
    for steps, phones in zip(together, wanted, strict=True):
        written = steps[:, 0].astype(int)
        changes = np.flatnonzero(np.append(True, np.diff(written) != 0))
        repeated = np.flatnonzero(np.append(True, np.diff(phones) != 0))
        assert written[changes].tolist() == phones[repeated].tolist()


def test_it_knows_of_which_phones_there_are_snippets() -> None:
    last = len(PHONES) - 1
    assert recorded(([1, last], [2, 3]), ([3, 1], [1, 1])).phones() == {PHONES[phone] for phone in (1, 3, last)}


def test_snippets_of_the_same_neighbours_come_first() -> None:
    # Phone 2 lasts three steps between 1 and 3, and one step elsewhere.
    same = ([1, 2, 3], [1, 3, 1])
    sounds = recorded(*[same] * FEWEST, *[([4, 2, 5], [1, 1, 1])] * 50)
    for seed in range(20):
        generator = np.random.default_rng(seed)
        between, elsewhere = sounds.spoken([np.array([1, 2, 3]), np.array([4, 2, 5])], generator)
        assert (len(between), len(elsewhere)) == (5, 3)


@pytest.mark.parametrize(
    ("others", "lengths"),
    [
        ([([9, 2, 3], [1, 2, 1])] * FEWEST, {4}),  # the right neighbour's
        ([([9, 2, 8], [1, 2, 1])] * FEWEST, {4, 6}),  # any
    ],
)
def test_where_few_were_heard_the_next_best_will_do(
    others: list[tuple[list[int], list[int]]], lengths: set[int]
) -> None:
    rare = ([1, 2, 7], [1, 4, 1])
    sounds = recorded(rare, *others, *[([1], [1]), ([3], [1]), ([7], [1])] * FEWEST)
    wanted = np.array([1, 2, 3] if others[0][0][2] == 3 else [1, 2, 7])
    found = {len(sounds.spoken([wanted], np.random.default_rng(seed))[0]) for seed in range(40)}
    assert found == lengths


def test_what_lies_between_two_phones_is_shared() -> None:
    recording = Recording()
    log_probs = np.zeros((10, len(PHONES)), np.float32)
    recording.add("", log_probs, np.array([3, 4]), np.array([2, 7]), np.array([3, 8]))
    sounds = recording.sounds()
    assert sounds.starts.tolist() == [0, 5]
    assert sounds.lengths.tolist() == [5, 5]


def test_utterances_stay_whole_and_files_keep_all(tmp_path: Path) -> None:
    sounds = recorded(([1, 2], [2, 3]), ([3], [4]))
    sounds.save(tmp_path / "sounds.npz")
    again = load_sounds(tmp_path / "sounds.npz")
    for number, text, steps in ((0, "[1, 2]", [1, 1, 2, 2, 2]), (1, "[3]", [3, 3, 3, 3])):
        said, heard = again.heard(number)
        assert said == text
        assert heard[:, 0].tolist() == steps
    first, second = (each.spoken([np.array([1, 3, 2])], np.random.default_rng(1))[0] for each in (sounds, again))
    assert np.array_equal(first, second)


def test_a_torn_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sounds.npz"
    recorded(([1, 2], [2, 3])).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match=r"sounds\.npz does not hold sounds"):
        load_sounds(path)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5))))
def test_ranges(pairs: list[tuple[int, int]]) -> None:
    starts, lengths = (np.array([pair[i] for pair in pairs], np.int64) for i in (0, 1))
    assert ranges(starts, lengths).tolist() == [n for start, length in pairs for n in range(start, start + length)]
