"""Our GRU is PyTorch's: outputs and gradients, of one layer and of several."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from asr.nn.rnn import on_gpu, run_stack


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 4),
    steps=st.integers(1, 9),
    size=st.integers(1, 6),
    hidden=st.integers(1, 5),
    layers=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_a_stack_equals_nn_gru(batch: int, steps: int, size: int, hidden: int, layers: int, seed: int) -> None:
    torch.manual_seed(seed)
    stack = nn.GRU(size, hidden, layers, batch_first=True)
    x = torch.randn(batch, steps, size, requires_grad=True)
    result, (wanted, _) = run_stack(x, stack), stack(x)
    torch.testing.assert_close(result, wanted, rtol=0, atol=1e-5)
    weight = torch.randn(batch, steps, hidden)
    inputs = [x, *stack.parameters()]
    gradients = [torch.autograd.grad((output * weight).sum(), inputs) for output in (result, wanted)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_bfloat16_gradients_are_close() -> None:
    torch.manual_seed(3)
    layer = nn.GRU(32, 24, batch_first=True)
    x = torch.randn(8, 50, 32)
    weight = torch.randn(8, 50, 24)

    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad((run_stack(x, layer) * weight).sum(), list(layer.parameters())))

    exact = gradients()
    with torch.autocast("cpu", torch.bfloat16):
        rough = gradients()
    for one, other in zip(exact, rough, strict=True):
        assert other.dtype == torch.float32
        assert (one - other).norm() < 0.02 * one.norm()


@pytest.mark.parametrize("steps", [1, 2, 200])
def test_states_stay_bounded(steps: int) -> None:
    layer = nn.GRU(4, 4, batch_first=True)
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 3.0)
    x = torch.full((2, steps, 4), 100.0)
    states = run_stack(x, layer)
    assert torch.isfinite(states).all()
    assert states.abs().max() <= 1


def test_torchs_own_recurrent_layer_stays_in_float32_under_autocast() -> None:
    layer = nn.GRU(4, 3, batch_first=True)
    x = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1)).bfloat16()
    exact, _ = layer(x.float())
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(on_gpu(layer, x), exact)
        assert not torch.equal(layer(x.float())[0].float(), exact), "what it would be without care"
