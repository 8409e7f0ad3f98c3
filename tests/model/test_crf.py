"""CTC-CRF: equal to the sum over every string that there is, gradient and all."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from phone_ngram import count_phones, estimate
from torch import Tensor

from asr.errors import ModelError
from asr.model.crf import PhoneNgram, batched, compiled, crf_losses, load_phone_ngram
from asr.model.ctc import needed_steps, pad_targets


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
    run: Callable[[Tensor, Tensor, PhoneNgram], tuple[Tensor, Tensor]], size: int, steps: int
) -> None:
    ngram = random_ngram(size)
    log_probs = random_log_probs(1, steps, size)
    exact = log_probs[0].double().requires_grad_()
    expected = torch.stack(list(every_string(exact, ngram).values())).logsumexp(dim=0)
    expected.backward()
    logarithms, posteriors = run(log_probs, torch.tensor([steps]), ngram)
    assert logarithms[0].item() == pytest.approx(expected.item(), abs=1e-5)
    assert exact.grad is not None
    torch.testing.assert_close(posteriors[0].double(), exact.grad, atol=1e-6, rtol=1e-5)


def test_the_probabilities_of_all_strings_add_up_to_one() -> None:
    ngram = random_ngram(3)
    log_probs = random_log_probs(1, 4, 3)
    total = 0.0
    for labels in every_string(log_probs[0].double(), ngram):
        crf, ctc = crf_losses(ngram, log_probs, torch.tensor([4]), *pad_targets([list(labels)]))
        assert crf.item() >= -1e-5
        assert ctc.item() > 0
        total += float(torch.exp(-crf))
    assert total == pytest.approx(1.0, abs=1e-5)


@settings(deadline=None, max_examples=20)
@given(lengths=st.lists(st.integers(0, 12), min_size=1, max_size=4), spare=st.integers(0, 3), seed=st.integers(0, 1000))
def test_both_ways_agree_and_padding_changes_nothing(lengths: list[int], spare: int, seed: int) -> None:
    ngram = random_ngram(5, seed)
    steps = torch.tensor(lengths)
    log_probs = random_log_probs(len(lengths), max(lengths) + spare + 1, 5, seed)
    one, other = compiled(log_probs, steps, ngram), batched(log_probs, steps, ngram)
    for mine, theirs in zip(one, other, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)
    for number, length in enumerate(lengths):
        alone = compiled(log_probs[number : number + 1, : max(1, length)], steps[number : number + 1], ngram)
        torch.testing.assert_close(alone[0][0], one[0][number])
        torch.testing.assert_close(alone[1][0, :length], one[1][number, :length])
        assert not one[1][number, length:].any()


def test_the_gradient_is_that_of_finite_differences() -> None:
    ngram = random_ngram(4)
    logits = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(3))
    targets = pad_targets([[1, 1, 3]])

    def value(logits: Tensor) -> Tensor:
        return crf_losses(ngram, logits.log_softmax(dim=2), torch.tensor([6]), *targets)[0].sum()

    moved = logits.clone().requires_grad_()
    value(moved).backward()
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(4))
    step = 1e-2
    slope = (value(logits + step * direction) - value(logits - step * direction)) / (2 * step)
    assert moved.grad is not None
    assert float((moved.grad * direction).sum()) == pytest.approx(slope.item(), rel=2e-3)


def test_long_and_certain_utterances_stay_finite_in_float32() -> None:
    ngram = random_ngram(41)
    logits = 60 * torch.randn(1, 3000, 41, generator=torch.Generator().manual_seed(5))
    logarithms, posteriors = compiled(logits.log_softmax(dim=2), torch.tensor([3000]), ngram)
    assert torch.isfinite(logarithms).all()
    torch.testing.assert_close(posteriors.sum(dim=2), torch.ones(1, 3000), atol=1e-3, rtol=0)


def test_a_target_that_does_not_fit_has_an_infinite_loss() -> None:
    assert needed_steps([1, 1]) == 3
    crf, ctc = crf_losses(random_ngram(3), random_log_probs(1, 2, 3), torch.tensor([2]), *pad_targets([[1, 1]]))
    assert torch.isinf(crf).all()
    assert torch.isinf(ctc).all()


SENTENCES = [[1, 2, 1], [2], [1, 1]]


def test_counts_are_of_every_sentence_with_its_start_and_end() -> None:
    counts = count_phones(SENTENCES, 3)
    expected = {
        (0, 0, 1): 2, (0, 1, 2): 1, (1, 2, 1): 1, (2, 1, 0): 1,
        (0, 0, 2): 1, (0, 2, 0): 1,
        (0, 1, 1): 1, (1, 1, 0): 1,
    }  # fmt: skip
    assert {tuple(place): counts[tuple(place)] for place in np.argwhere(counts)} == expected


def test_a_trigram_is_smoothed_with_the_lower_orders() -> None:
    table = estimate(count_phones(SENTENCES, 3), order=3, pseudo_counts=1.0).table
    one = (np.array([3, 4, 2]) + 1 / 3) / (9 + 1)  # ends, label 1, label 2
    after_1 = (np.array([2, 1, 1]) + one) / (4 + 1)
    np.testing.assert_allclose(table[0, 1], (np.array([0, 1, 1]) + after_1) / (2 + 1), rtol=1e-6)
    np.testing.assert_allclose(table[2, 1], (np.array([1, 0, 0]) + after_1) / (1 + 1), rtol=1e-6)
    np.testing.assert_allclose(table.sum(axis=2), 1.0, rtol=1e-6)


@pytest.mark.parametrize(("order", "same"), [(1, (0, 1)), (2, (0,))])
def test_lower_orders_forget_the_labels_before(order: int, same: tuple[int, ...]) -> None:
    table = estimate(count_phones(SENTENCES, 3), order).table
    for axis in same:
        assert np.ptp(table, axis=axis).max() == 0


def test_the_probability_of_a_string_is_the_product_of_its_steps() -> None:
    ngram = estimate(count_phones(SENTENCES, 3))
    p = ngram.table
    expected = [p[0, 0, 1] * p[0, 1, 2] * p[1, 2, 0], p[0, 0, 0]]
    targets, lengths = pad_targets([[1, 2], []])
    np.testing.assert_allclose(np.exp(ngram.log_probabilities(targets.numpy(), lengths.numpy())), expected, rtol=1e-5)


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    ngram = estimate(count_phones(SENTENCES, 3))
    ngram.save(tmp_path / "phones.safetensors")
    np.testing.assert_array_equal(load_phone_ngram(tmp_path / "phones.safetensors").table, ngram.table)


def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "phones.safetensors"
    with pytest.raises(ModelError, match=r"phones\.safetensors"):
        load_phone_ngram(path)
    path.write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"phones\.safetensors"):
        load_phone_ngram(path)


@pytest.mark.parametrize(
    "table", [np.ones((2, 2, 3)) / 3, np.ones((3, 3, 3)), np.array([[[1.0, 0.0]] * 2] * 2)], ids=["cube", "sum", "zero"]
)
def test_a_table_that_is_no_ngram_is_refused(table: np.ndarray) -> None:
    with pytest.raises(ValueError, match="n-gram"):
        PhoneNgram(table.astype(np.float32))
