"""CTC-CRF: equal to the sum over every string that there is, gradient and all."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from asr.model.crf import CrfLoss, batched, compiled
from asr.model.ctc import needed_steps, pad_targets
from asr.model.phone_ngram import PhoneNgram


def random_ngram(size: int, seed: int = 0) -> PhoneNgram:
    table = np.random.default_rng(seed).dirichlet(np.full(size, 0.5), (size, size)) + 1e-3
    return PhoneNgram((table / table.sum(axis=2, keepdims=True)).astype(np.float32))


def random_log_probs(batch: int, steps: int, size: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, steps, size, generator=generator).mul(2).log_softmax(dim=2)


def log_probability(ngram: PhoneNgram, labels: list[int]) -> float:
    return float(ngram.log_probabilities(*(tensor.numpy() for tensor in pad_targets([labels])))[0])


def collapse(path: tuple[int, ...]) -> list[int]:
    return [label for label, _ in itertools.groupby(path) if label]


def every_string(log_probs: Tensor, ngram: PhoneNgram) -> dict[tuple[int, ...], Tensor]:
    """The log of p(l) · Σ Π y of each label string that (T, V) can say, in float64."""
    paths: dict[tuple[int, ...], list[Tensor]] = {}
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        score = sum((log_probs[t, k] for t, k in enumerate(path)), torch.zeros((), dtype=torch.float64))
        paths.setdefault(tuple(collapse(path)), []).append(score)
    return {
        labels: torch.stack(scores).logsumexp(dim=0) + log_probability(ngram, list(labels))
        for labels, scores in paths.items()
    }


@pytest.mark.parametrize("run", [compiled, batched])
@pytest.mark.parametrize(("size", "steps"), [(2, 1), (2, 6), (3, 5), (4, 5)])
def test_the_denominator_and_its_gradient_are_those_of_every_string(
    run: Callable[[Tensor, Tensor, CrfLoss], tuple[Tensor, Tensor]], size: int, steps: int
) -> None:
    loss = CrfLoss(random_ngram(size))
    log_probs = random_log_probs(1, steps, size)
    exact = log_probs[0].double().requires_grad_()
    expected = torch.stack(list(every_string(exact, loss.ngram).values())).logsumexp(dim=0)
    expected.backward()
    logarithms, posteriors = run(log_probs, torch.tensor([steps]), loss)
    assert logarithms[0].item() == pytest.approx(expected.item(), abs=1e-5)
    assert exact.grad is not None
    torch.testing.assert_close(posteriors[0].double(), exact.grad, atol=1e-6, rtol=1e-5)


def test_the_probabilities_of_all_strings_add_up_to_one() -> None:
    loss = CrfLoss(random_ngram(3))
    log_probs = random_log_probs(1, 4, 3)
    total = 0.0
    for labels in every_string(log_probs[0].double(), loss.ngram):
        crf, ctc = loss(log_probs, torch.tensor([4]), *pad_targets([list(labels)]))
        assert crf.item() >= -1e-5
        assert ctc.item() > 0
        total += float(torch.exp(-crf))
    assert total == pytest.approx(1.0, abs=1e-5)


@settings(deadline=None, max_examples=20)
@given(lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4), spare=st.integers(0, 3), seed=st.integers(0, 1000))
def test_both_ways_agree_and_padding_changes_nothing(lengths: list[int], spare: int, seed: int) -> None:
    loss = CrfLoss(random_ngram(5, seed))
    steps = torch.tensor(lengths)
    log_probs = random_log_probs(len(lengths), max(lengths) + spare + 1, 5, seed)
    one, other = compiled(log_probs, steps, loss), batched(log_probs, steps, loss)
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    for number, length in enumerate(lengths):
        alone = compiled(log_probs[number : number + 1, : max(1, length)], steps[number : number + 1], loss)
        torch.testing.assert_close(alone[0][0], one[0][number])
        torch.testing.assert_close(alone[1][0, :length], one[1][number, :length])
        assert not one[1][number, length:].any()


def test_the_gradient_is_that_of_finite_differences() -> None:
    loss = CrfLoss(random_ngram(4))
    logits = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(3))
    targets = pad_targets([[1, 1, 3]])

    def value(logits: Tensor) -> Tensor:
        return loss(logits.log_softmax(dim=2), torch.tensor([6]), *targets)[0].sum()

    moved = logits.clone().requires_grad_()
    value(moved).backward()
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(4))
    step = 1e-2
    slope = (value(logits + step * direction) - value(logits - step * direction)) / (2 * step)
    assert moved.grad is not None
    assert float((moved.grad * direction).sum()) == pytest.approx(slope.item(), rel=2e-3)


def test_long_and_certain_utterances_stay_finite_in_float32() -> None:
    loss = CrfLoss(random_ngram(41))
    logits = 60 * torch.randn(1, 3000, 41, generator=torch.Generator().manual_seed(5))
    logarithms, posteriors = compiled(logits.log_softmax(dim=2), torch.tensor([3000]), loss)
    assert torch.isfinite(logarithms).all()
    torch.testing.assert_close(posteriors.sum(dim=2), torch.ones(1, 3000), atol=1e-3, rtol=0)


def test_a_target_that_does_not_fit_has_an_infinite_loss() -> None:
    assert needed_steps([1, 1]) == 3
    crf, ctc = CrfLoss(random_ngram(3))(random_log_probs(1, 2, 3), torch.tensor([2]), *pad_targets([[1, 1]]))
    assert torch.isinf(crf).all()
    assert torch.isinf(ctc).all()
