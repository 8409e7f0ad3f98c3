"""A GRU layer in any number of directions at once, its backward pass written out: the speed of training.

    r, z = σ(x W_rz + h U_rz + b)            reset and update gates
    q    = h U_n + c                          what the memory offers
    n    = tanh(x W_n + b + r q)              candidate
    h'   = (1 − z) n + z h                    (Cho et al. 2014, in PyTorch's arrangement)

`nn.GRU` on a CPU multiplies small matrices at every step of the backward pass, once for the gradient that flows on
and once for the weights' gradient, and spends as much again on elementwise operations. Here one product covers the
inputs of all steps and directions, the weights' gradients are one large product after the loop, and between two
products of the recurrence there is one pass over memory (`gru_cpu`). On a GPU one kernel takes all steps
(`gru_cuda`). A direction is an order of rows: the backward one reads and writes where it stands, and nothing is ever
reversed or copied.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor


def gru(
    inputs: Tensor, order: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Run K GRUs over the same inputs, rows (N, D), starting from zeros → hidden states (N, K·H) in `dtype`.

    `order` (K, T, B), integers: at its step s direction k is at row order[k, s, b] of the b-th utterance, at each row
    once. On a CPU, −1 follows where an utterance has ended, and those that end later come first.
    w (K, 3H, D) and b (K, 3H) act on the input, u (K, 3H, H) and c (K, 3H) on the state, gates in PyTorch's order
    r, z, n. Matrix products are in `dtype` (float32 or bfloat16); states and gates stay in float32.
    """
    with torch.autocast(inputs.device.type, enabled=False):
        result: Tensor = _Gru.apply(inputs, order, w, u, b, c, dtype)
        return result


class _Gru(torch.autograd.Function):
    """The recurrence and its gradient."""

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, order: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor, dtype: torch.dtype
    ) -> Tensor:
        rows, size = inputs.shape
        directions, units = u.shape[0], u.shape[2]
        x = inputs.to(dtype)
        w, u = w.to(dtype).reshape(-1, size), u.to(dtype)
        x_gates = torch.addmm(b.to(dtype).reshape(-1), x, w.t())
        output = x.new_empty(rows, directions * units)
        # Only a gradient asks what was before; without one a single row of memory serves all.
        kept = rows if any(ctx.needs_input_grad) else 1
        before = x.new_empty(directions, kept, units)
        saved = x.new_empty(kept, directions, 4 * units, dtype=torch.float32)
        loops_for(x).forward_steps(order, x_gates, u, c, before, saved, output)
        ctx.save_for_backward(x, order, w, u, before, saved)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, order, w, u, before, saved = ctx.saved_tensors
        rows, directions = saved.shape[:2]
        units, size, dtype = u.shape[2], w.shape[1], u.dtype
        by_input = x.new_empty(rows, directions * 3 * units)
        by_state = x.new_empty(directions, rows, 3 * units)
        loops_for(x).backward_steps(order, gradients[0].to(dtype).contiguous(), u, before, saved, by_input, by_state)
        ones = x.new_ones(1, rows)  # a product sums low-precision rows in float32
        dx = by_input @ w
        if not any(ctx.needs_input_grad[2:]):  # weights that do not learn: half of the work
            return dx, None, None, None, None, None, None
        dw = (by_input.t() @ x).view(directions, 3 * units, size)
        db = (ones @ by_input).view(directions, 3 * units)
        du = by_state.transpose(1, 2) @ before
        dc = (ones @ by_state).view(directions, 3 * units)
        return dx, None, dw.float(), du.float(), db.float(), dc.float(), None


def loops_for(x: Tensor) -> ModuleType:
    """The module with the loops over all steps, forwards and backwards, for the device of `x`."""
    if x.is_cuda:
        from asr.nn import gru_cuda

        return gru_cuda
    from asr.nn import gru_cpu

    return gru_cpu
