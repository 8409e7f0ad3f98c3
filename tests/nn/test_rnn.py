"""Our recurrent layers are PyTorch's packed ones: outputs and gradients, for utterances of any lengths."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr.features.extractor import length_mask
from asr.nn.rnn import Bidirectional, Unidirectional, batches_by_length, reorder, reversal


def packed(reference: nn.GRU, x: Tensor, lengths: list[int]) -> Tensor:
    result, _ = reference(pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False))
    return pad_packed_sequence(result, batch_first=True, total_length=x.shape[1])[0]


def twins(size: int, hidden: int) -> tuple[Bidirectional, nn.GRU]:
    """Our bidirectional layer and PyTorch's with the same weights."""
    ours = Bidirectional(size, hidden)
    theirs = nn.GRU(size, hidden, batch_first=True, bidirectional=True)
    for name, parameter in ours.named_parameters():
        direction, _, name = name.partition(".")
        getattr(theirs, name + ("_reverse" if direction == "backwards" else "")).data.copy_(parameter.data)
    return ours, theirs


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    size=st.integers(1, 6),
    hidden=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_bidirectional_equals_packed(lengths: list[int], size: int, hidden: int, seed: int) -> None:
    torch.manual_seed(seed)
    ours, theirs = twins(size, hidden)
    x = torch.randn(len(lengths), max(lengths), size)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    mask = length_mask(torch.tensor(lengths), max(lengths)).unsqueeze(2)
    weight = torch.randn(len(lengths), max(lengths), 2 * hidden) * mask
    result, wanted = ours(mine, torch.tensor(lengths)), packed(theirs, other, lengths)
    torch.testing.assert_close(result * mask, wanted * mask, rtol=0, atol=1e-5)
    (result * weight).sum().backward()
    (wanted * weight).sum().backward()
    torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-5)
    for name, parameter in ours.named_parameters():
        direction, _, name = name.partition(".")
        twin = getattr(theirs, name + ("_reverse" if direction == "backwards" else ""))
        torch.testing.assert_close(parameter.grad, twin.grad, rtol=1e-4, atol=1e-5)


def test_unidirectional_equals_nn_gru() -> None:
    torch.manual_seed(2)
    ours = Unidirectional(6, 5)
    x = torch.randn(3, 40, 6)
    result = ours(x, torch.tensor([40, 40, 40]))
    wanted, _ = ours.forwards(x)
    torch.testing.assert_close(result, wanted, rtol=0, atol=1e-5)
    weight = torch.randn_like(result)
    ours_grad = torch.autograd.grad((result * weight).sum(), list(ours.parameters()))
    theirs_grad = torch.autograd.grad((wanted * weight).sum(), list(ours.parameters()))
    torch.testing.assert_close(ours_grad, theirs_grad, rtol=1e-4, atol=1e-5)


@given(lengths=st.lists(st.integers(0, 8), min_size=1, max_size=4), more=st.integers(0, 3))
def test_reversal_is_its_own_inverse_and_leaves_padding(lengths: list[int], more: int) -> None:
    steps = max(lengths) + more
    x = torch.arange(float(len(lengths) * steps)).reshape(len(lengths), steps, 1)
    order = reversal(torch.tensor(lengths), steps)
    turned = reorder(x, order)
    for row, length in enumerate(lengths):
        assert turned[row, :length].flatten().tolist() == x[row, :length].flatten().tolist()[::-1]
        assert torch.equal(turned[row, length:], x[row, length:])
    assert torch.equal(reorder(turned, order), x)


def test_batches_hold_everything_once_within_the_limit() -> None:
    lengths = [6, 2, 10, 4, 4, 41, 1]
    batches = batches_by_length(lengths, 20)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= 20 for batch in batches)
