from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from asr.decoding import greedy, spell

PIECES = ["<blank>", "▁", "A", "B"]


def paths_to_log_probs(paths: list[list[int]], tokens: int = 4) -> np.ndarray:
    """A batch that gives each named path 0.7 per frame; rows are padded with a token that must never be read."""
    longest = max(len(path) for path in paths)
    probs = np.full((len(paths), longest, tokens), 0.1, dtype=np.float32)
    for row, path in enumerate(paths):
        for frame in range(longest):
            probs[row, frame, path[frame] if frame < len(path) else 3] = 0.7
    return np.log(probs)


@pytest.mark.parametrize(
    ("path", "tokens", "frames"),
    [
        ([], [], []),
        ([0], [], []),
        ([2], [2], [0]),
        ([0, 0, 2, 2, 0], [2], [2]),
        ([2, 0, 2], [2, 2], [0, 2]),
        ([2, 2, 3, 3, 2], [2, 3, 2], [0, 2, 4]),
    ],
)
def test_repeats_and_blanks_are_removed(path, tokens, frames):
    log_probs = paths_to_log_probs([path, [3] * 6])
    first, second = greedy(log_probs, [len(path), 6])
    assert (list(first.tokens), list(first.frames)) == (tokens, frames)
    assert first.score == pytest.approx(len(path) * np.log(0.7), rel=1e-6)
    assert second.tokens == (3,)


def test_score_is_that_of_the_best_single_path():
    rng = np.random.default_rng(3)
    log_probs = torch.log_softmax(torch.from_numpy(rng.normal(size=(1, 4, 3))).float(), dim=-1)
    best = max(
        sum(float(log_probs[0, frame, token]) for frame, token in enumerate(path))
        for path in itertools.product(range(3), repeat=4)
    )
    assert greedy(log_probs, torch.tensor([4]))[0].score == pytest.approx(best, rel=1e-6)


def test_torch_and_numpy_agree():
    log_probs = torch.randn(5, 30, 7, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    lengths = torch.tensor([30, 0, 1, 17, 29])
    assert greedy(log_probs, lengths) == greedy(log_probs.numpy(), lengths.tolist())


def test_an_empty_batch_decodes_to_nothing():
    assert greedy(np.zeros((0, 5, 3), np.float32), []) == []


@pytest.mark.parametrize("lengths", [[5], [2, 2, 2], [-1, 2]])
def test_lengths_that_do_not_fit_are_refused(lengths):
    with pytest.raises(ValueError, match="length"):
        greedy(np.zeros((2, 4, 3), np.float32), lengths)


@pytest.mark.parametrize(
    ("pieces", "text"),
    [([], ""), ([1], ""), ([1, 2, 1, 1, 3, 1], "A B"), ([2, 3], "AB"), ([1, 2, 2], "AA")],
)
def test_spelling_folds_blanks(pieces, text):
    assert spell(PIECES, pieces) == text
