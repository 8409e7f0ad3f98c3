"""Dropout drops the share that it says, keeps the mean, and does nothing outside training."""

from __future__ import annotations

import pytest
import torch

from asr.model.acoustic import Dropout


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_share_and_mean(share: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    dropped = Dropout(share)(torch.ones(400, 501, dtype=dtype)).float()
    assert (dropped == 0).float().mean() == pytest.approx(share, abs=0.005)
    assert dropped.mean() == pytest.approx(1.0, abs=0.02)
    # Eight elements share one draw, but no randomness: neighbors agree no more often than chance has it.
    zero = (dropped == 0).float()
    both = (zero[:, 1:] * zero[:, :-1]).mean()
    assert both == pytest.approx(share**2, abs=0.01)


def test_gradient_is_the_mask() -> None:
    x = torch.randn(9, 7, requires_grad=True)
    result = Dropout(0.5)(x)
    result.sum().backward()
    torch.testing.assert_close(x.grad, (result / x).detach())


def test_same_seed_same_mask() -> None:
    layer = Dropout(0.3)
    x = torch.ones(5, 13)
    torch.manual_seed(3)
    first = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), first)


def test_nothing_when_evaluating_or_at_zero() -> None:
    x = torch.randn(4, 5)
    assert Dropout(0.0)(x) is x
    assert Dropout(0.5).eval()(x) is x
