"""The CTC loss against the sum over all paths, written out."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.model.ctc import disagreements, needed_steps, pad_targets, sequence_losses


def collapse(path: tuple[int, ...]) -> list[int]:
    return [token for token, _ in itertools.groupby(path) if token]


def by_hand(log_probs: torch.Tensor, target: list[int]) -> float:
    """−log of the summed probability of every path that reads as `target`."""
    steps, size = log_probs.shape
    paths = [p for p in itertools.product(range(size), repeat=steps) if collapse(p) == target]
    total = sum(math.exp(sum(float(log_probs[t, token]) for t, token in enumerate(path))) for path in paths)
    return -math.log(total) if total else math.inf


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(
        st.tuples(st.integers(1, 5), st.lists(st.integers(1, 2), min_size=1, max_size=4)), min_size=1, max_size=3
    ),
    seed=st.integers(0, 99),
)
def test_equals_the_sum_over_all_paths(sizes: list[tuple[int, list[int]]], seed: int) -> None:
    log_probs = torch.randn(len(sizes), 5, 3, generator=torch.Generator().manual_seed(seed)).log_softmax(dim=2)
    targets, target_lengths = pad_targets([target for _, target in sizes])
    losses = sequence_losses(log_probs, torch.tensor([steps for steps, _ in sizes]), targets, target_lengths)
    for row, (steps, target) in enumerate(sizes):
        assert float(losses[row]) == pytest.approx(by_hand(log_probs[row, :steps], target), rel=1e-4)
        assert math.isinf(losses[row]) == (needed_steps(target) > steps), "nothing that does not fit is hidden"


def test_losses_are_float32_under_autocast() -> None:
    log_probs = torch.randn(1, 6, 3).log_softmax(dim=2)
    targets, lengths = pad_targets([[1, 2]])
    exact = sequence_losses(log_probs, torch.tensor([6]), targets, lengths)
    with torch.autocast("cpu", torch.bfloat16):
        cast = sequence_losses(log_probs, torch.tensor([6]), targets, lengths)
    assert cast.dtype == torch.float32
    assert torch.equal(exact, cast)


@pytest.mark.parametrize(
    ("tokens", "steps"), [([], 0), ([1], 1), ([1, 2], 2), ([1, 1], 3), ([1, 1, 1], 5), ([1, 2, 2, 1], 5)]
)
def test_needed_steps(tokens: list[int], steps: int) -> None:
    assert needed_steps(tokens) == steps


def test_padded_targets() -> None:
    targets, lengths = pad_targets([[1, 2, 3], [], [4]])
    assert targets.tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert lengths.tolist() == [3, 0, 1]


def test_two_views_disagree_by_their_divergence_within_the_length() -> None:
    first = torch.tensor([[[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]]]).log()
    second = torch.tensor([[[0.25, 0.75], [0.9, 0.1], [0.7, 0.3]]]).log()
    expected = 0.5 * ((0.5 - 0.25) * math.log(0.5 / 0.25) + (0.5 - 0.75) * math.log(0.5 / 0.75))
    both = torch.cat([first, second])
    assert disagreements(both, torch.tensor([2, 2])).tolist() == pytest.approx([expected])
    assert disagreements(torch.cat([first, first]), torch.tensor([3, 3])).tolist() == [0.0]


def test_disagreement_pulls_each_view_towards_the_other() -> None:
    logits = torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
    lengths = torch.tensor([6, 4, 6, 4])
    before = disagreements(logits.log_softmax(dim=2), lengths).sum()
    (gradient,) = torch.autograd.grad(before, logits)
    after = disagreements((logits - 0.1 * gradient).log_softmax(dim=2), lengths).sum()
    assert after.item() < before.item()
