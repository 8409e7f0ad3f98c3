"""Our recurrent layers are PyTorch's packed ones: outputs and gradients, for utterances of any lengths."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from asr.features.extractor import length_mask
from asr.nn import rnn
from asr.nn.rnn import Packing, Recurrent, batches_by_length


def packed(reference: nn.GRU, x: Tensor, lengths: list[int]) -> Tensor:
    result, _ = reference(pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False))
    return pad_packed_sequence(result, batch_first=True, total_length=x.shape[1])[0]


def twins(size: int, hidden: int) -> tuple[Recurrent, nn.GRU]:
    """Our bidirectional layer and PyTorch's with the same weights."""
    ours = Recurrent(size, hidden)
    theirs = nn.GRU(size, hidden, batch_first=True, bidirectional=True)
    for name, parameter in ours.named_parameters():
        direction, _, name = name.partition(".")
        getattr(theirs, name + ("_reverse" if direction == "backwards" else "")).data.copy_(parameter.data)
    return ours, theirs


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    size=st.integers(1, 6),
    hidden=st.integers(1, 5),
    seed=st.integers(0, 99),
    arrangement=st.sampled_from(["without padding", "with padding", "by PyTorch's layers"]),
)
def test_bidirectional_equals_packed(lengths: list[int], size: int, hidden: int, seed: int, arrangement: str) -> None:
    torch.manual_seed(seed)
    packing = Packing(torch.tensor(lengths), max(lengths), padded=arrangement != "without padding")
    ours, theirs = twins(size, hidden)
    x = torch.randn(len(lengths), max(lengths), size)
    mine, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    mask = length_mask(torch.tensor(lengths), max(lengths)).unsqueeze(2)
    weight = torch.randn(len(lengths), max(lengths), 2 * hidden) * mask
    with pytest.MonkeyPatch.context() as patch:
        if arrangement == "by PyTorch's layers":
            patch.setattr(rnn, "runs_here", lambda *_: False)
        result = packing.unpack(ours(packing.pack(mine), packing))
    wanted = packed(theirs, other, lengths)
    torch.testing.assert_close(result * mask, wanted * mask, rtol=0, atol=1e-5)
    (result * weight).sum().backward()
    (wanted * weight).sum().backward()
    torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-5)
    for name, parameter in ours.named_parameters():
        direction, _, name = name.partition(".")
        twin = getattr(theirs, name + ("_reverse" if direction == "backwards" else ""))
        torch.testing.assert_close(parameter.grad, twin.grad, rtol=1e-4, atol=1e-5)


def test_unidirectional_equals_packed() -> None:
    torch.manual_seed(2)
    ours = Recurrent(6, 5, both=False)
    x, lengths = torch.randn(3, 40, 6), [17, 40, 1]
    packing = Packing(torch.tensor(lengths), 40)
    result = packing.unpack(ours(packing.pack(x), packing))
    wanted = packed(ours.forwards, x, lengths)
    torch.testing.assert_close(result, wanted, rtol=0, atol=1e-5)
    weight = torch.randn_like(result)
    ours_grad = torch.autograd.grad((result * weight).sum(), list(ours.parameters()))
    theirs_grad = torch.autograd.grad((wanted * weight).sum(), list(ours.parameters()))
    torch.testing.assert_close(ours_grad, theirs_grad, rtol=1e-4, atol=1e-5)


def test_packing_literally() -> None:
    lengths = torch.tensor([1, 3, 0])
    x = torch.tensor([[[10.0], [-1.0], [-1.0], [-1.0]], [[20.0], [21.0], [22.0], [-1.0]], [[-1.0]] * 4])
    packing = Packing(lengths, 4)
    assert packing.pack(x).flatten().tolist() == [10, 20, 21, 22]
    # The longest comes first: rows 1 to 3, then the only row of the one before it.
    assert packing.order.tolist() == [[[1, 0, -1], [2, -1, -1], [3, -1, -1]], [[3, 0, -1], [2, -1, -1], [1, -1, -1]]]
    assert packing.unpack(packing.pack(x)).squeeze(2).tolist() == [[10, 0, 0, 0], [20, 21, 22, 0], [0, 0, 0, 0]]
    padded = Packing(lengths, 4, padded=True)
    assert torch.equal(padded.unpack(padded.pack(x)), x)
    forwards, backwards = padded.order.tolist()
    assert forwards == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]
    assert backwards == [[0, 6, 8], [1, 5, 9], [2, 4, 10], [3, 7, 11]]


@given(lengths=st.lists(st.integers(0, 8), min_size=1, max_size=4), more=st.integers(0, 3), padded=st.booleans())
def test_each_direction_takes_each_row_once(lengths: list[int], more: int, padded: bool) -> None:
    packing = Packing(torch.tensor(lengths), max(lengths) + more, padded)
    rows = packing.pack(torch.zeros(*packing.shape, 1))
    for order in packing.order:
        assert sorted(order[order >= 0].tolist()) == list(range(len(rows)))


def test_batches_hold_everything_once_within_the_limit() -> None:
    lengths = [6, 2, 10, 4, 4, 41, 1]
    batches = batches_by_length(lengths, 20)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= 20 for batch in batches)
