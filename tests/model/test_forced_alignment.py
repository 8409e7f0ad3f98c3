from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.model.forced_alignment import align_tokens


def random_log_probs(steps: int, size: int, seed: int) -> np.ndarray:
    scores = np.random.default_rng(seed).normal(size=(steps, size)).astype(np.float32) * 2
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token)


@settings(max_examples=60, deadline=None)
@given(steps=st.integers(1, 6), target=st.lists(st.integers(1, 2), max_size=4), seed=st.integers(0, 999))
def test_no_other_path_is_better(steps, target, seed):
    log_probs = random_log_probs(steps, 3, seed)
    paths = [path for path in itertools.product(range(3), repeat=steps) if collapse(path) == tuple(target)]
    alignment = align_tokens(log_probs, target)
    if not paths:
        assert alignment is None
        return
    best = max(sum(log_probs[step, token] for step, token in enumerate(path)) for path in paths)
    assert alignment.score == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("seed", range(8))
def test_equals_torchaudio(seed):
    functional = pytest.importorskip("torchaudio.functional", reason="needs torchaudio")
    random = np.random.default_rng(seed)
    steps, size = int(random.integers(30, 80)), 12
    target = random.integers(1, size, size=int(random.integers(1, 14))).tolist()
    log_probs = random_log_probs(steps, size, seed)
    wanted, _ = functional.forced_align(torch.from_numpy(log_probs)[None], torch.tensor([target], dtype=torch.int32))
    alignment = align_tokens(log_probs, target)
    path = np.zeros(steps, dtype=np.int64)
    for token, begin, end in zip(target, alignment.begins, alignment.ends, strict=True):
        path[begin:end] = token
    np.testing.assert_array_equal(path, wanted[0].numpy())


def test_three_of_the_same_token_need_two_blanks_between_them():
    log_probs = random_log_probs(5, 8, seed=0)
    assert align_tokens(log_probs[:4], [5, 5, 5]) is None
    assert align_tokens(log_probs, [5, 5, 5]).begins.tolist() == [0, 2, 4]


def test_a_clear_path_is_found():
    path = [0, 0, 1, 1, 0, 2, 2, 2, 0, 2, 0]
    log_probs = np.full((len(path), 3), -6.0, dtype=np.float32)
    log_probs[np.arange(len(path)), path] = -0.01
    alignment = align_tokens(log_probs, [1, 2, 2])
    assert alignment.begins.tolist() == [2, 5, 9]
    assert alignment.ends.tolist() == [4, 8, 10]
    np.testing.assert_allclose(alignment.log_probs, -0.01)
