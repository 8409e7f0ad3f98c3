"""The steps of a GRU on a CPU: a matrix product and one compiled pass over memory, in turn."""

from __future__ import annotations

import torch
from torch import Tensor

from asr.recurrence.gru_kernels import COMPILER, backward_step, bits, forward_step


def forward_steps(
    order: Tensor, x_gates: Tensor, u: Tensor, c: Tensor, before: Tensor, saved: Tensor, output: Tensor
) -> None:
    """Fill `output` (B, T, K·H), and `before` and `saved` where they hold all steps.

    order (K, T, B), x_gates (B, T, K·3H), u (K, 3H, H) and c (K, 3H).
    """
    COMPILER.announce()
    directions, steps, batch = order.shape
    units, dtype = u.shape[2], u.dtype
    h_gates = torch.empty(directions, batch, 3 * units, dtype=dtype)
    state = torch.zeros(directions, batch, units)
    low = torch.zeros(directions, batch, units, dtype=dtype)
    arrays = [bits(tensor) for tensor in (order, x_gates, h_gates, state, low, before, saved, output)]
    offset, u_transposed = c.unsqueeze(1).to(dtype), u.transpose(1, 2)
    for s in range(steps):
        torch.baddbmm(offset, low, u_transposed, out=h_gates)
        forward_step(s, *arrays)


def backward_steps(
    order: Tensor, gradient: Tensor, u: Tensor, before: Tensor, saved: Tensor, by_input: Tensor, by_state: Tensor
) -> None:
    """Fill `by_input` (B, T, K·3H) and `by_state` (K, B, T, 3H) from the output's gradient (B, T, K·H)."""
    directions, steps, batch = order.shape
    units, dtype = u.shape[2], u.dtype
    leaving = torch.empty(directions, batch, 3 * units, dtype=dtype)
    passed = torch.zeros(directions, batch, units, dtype=dtype)
    flow = torch.zeros(directions, batch, units)
    tensors = (order, gradient, passed, flow, before, saved, by_input, by_state, leaving)
    arrays = [bits(tensor) for tensor in tensors]
    for s in range(steps - 1, -1, -1):
        backward_step(s, *arrays)
        torch.bmm(leaving, u, out=passed)
