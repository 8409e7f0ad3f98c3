"""The steps of a GRU on a GPU, all of them in one kernel (Triton), and all their gradients in another.

cuDNN starts several kernels for every step of every direction, and starting them takes longer than computing them.
Here a program takes one direction of sixteen utterances from the first step to the last: their states stay in
registers, the matrix of the recurrence streams by from the GPU's cache, once a step. Programs need not wait for each
other, and there is one for every sixteen utterances of each direction.

Shapes and names are those of `gru_cpu`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 16  # the fewest that a matrix unit takes
WARPS, STAGES = 8, 3


def forward_steps(
    order: Tensor, x_gates: Tensor, u: Tensor, c: Tensor, before: Tensor, saved: Tensor, output: Tensor
) -> None:
    """Fill `output` (N, K·H), and `before` and `saved` where they hold all rows.

    order (K, T, B) without −1, x_gates (N, K·3H), u (K, 3H, H) and c (K, 3H).
    """
    directions, steps, batch = order.shape
    units = u.shape[2]
    low = torch.zeros(2, directions, batch, units, dtype=output.dtype, device=output.device)
    _forward[directions, triton.cdiv(batch, ROWS)](
        order,
        x_gates,
        u.transpose(1, 2).contiguous(),
        c.float(),
        low,
        before,
        saved,
        output,
        batch,
        steps,
        units=units,
        directions=directions,
        keep=saved.shape[0] == len(x_gates),
        rows=ROWS,
        columns=triton.next_power_of_2(units),
        width=16,
        num_warps=WARPS,
        num_stages=STAGES,
    )


def backward_steps(
    order: Tensor, gradient: Tensor, u: Tensor, before: Tensor, saved: Tensor, by_input: Tensor, by_state: Tensor
) -> None:
    """Fill `by_input` (N, K·3H) and `by_state` (K, N, 3H) from the output's gradient (N, K·H)."""
    directions, steps, batch = order.shape
    units = u.shape[2]
    _backward[directions, triton.cdiv(batch, ROWS)](
        order,
        gradient,
        u.contiguous(),
        before,
        saved,
        by_input,
        by_state,
        batch,
        steps,
        units=units,
        directions=directions,
        rows=ROWS,
        columns=triton.next_power_of_2(units),
        width=32,
        num_warps=WARPS,
        num_stages=STAGES,
    )


@triton.jit
def _place(batch, units: tl.constexpr, rows: tl.constexpr, columns: tl.constexpr):
    """The direction, utterances and units of this program, and which of the latter two and of their pairs exist."""
    k = tl.program_id(0)
    row = (tl.program_id(1) * rows + tl.arange(0, rows)).to(tl.int64)
    column = tl.arange(0, columns)
    there, real = row < batch, column < units
    tile = there[:, None] & real[None, :]
    return k, row, column, there, real, tile


@triton.jit(do_not_specialize=["batch", "steps"])
def _forward(
    order,
    x_gates,
    u,
    c,
    low,
    before,
    saved,
    output,
    batch,
    steps,
    units: tl.constexpr,
    directions: tl.constexpr,
    keep: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    width: tl.constexpr,
):
    k, row, column, there, real, tile = _place(batch, units, rows, columns)
    offset = c + k * 3 * units + column
    state = tl.zeros((rows, columns), tl.float32)
    for s in range(steps):
        at = tl.load(order + (k * steps + s) * batch + row, mask=there, other=0)
        place = (at * directions + k)[:, None]
        x = x_gates + place * 3 * units + column[None, :]
        x_reset = tl.load(x, mask=tile, other=0.0)
        x_update = tl.load(x + units, mask=tile, other=0.0)
        x_candidate = tl.load(x + 2 * units, mask=tile, other=0.0)
        # Two copies of the state for the product: one is read while the other is written.
        now = low + ((s % 2) * directions * batch + k * batch + row)[:, None] * units
        reset = tl.zeros((rows, columns), tl.float32)
        update = tl.zeros((rows, columns), tl.float32)
        offer = tl.zeros((rows, columns), tl.float32)
        for j in range(0, units, width):
            inner = j + tl.arange(0, width)
            h = tl.load(now + inner[None, :], mask=there[:, None] & (inner < units)[None, :], other=0.0)
            w = u + (k * units + inner)[:, None] * 3 * units + column[None, :]
            fits = (inner < units)[:, None] & real[None, :]
            reset = tl.dot(h, tl.load(w, mask=fits, other=0.0), reset)
            update = tl.dot(h, tl.load(w + units, mask=fits, other=0.0), update)
            offer = tl.dot(h, tl.load(w + 2 * units, mask=fits, other=0.0), offer)
        reset += tl.load(offset, mask=real, other=0.0)[None, :]
        update += tl.load(offset + units, mask=real, other=0.0)[None, :]
        offer += tl.load(offset + 2 * units, mask=real, other=0.0)[None, :]
        reset = tl.sigmoid(x_reset.to(tl.float32) + reset)
        update = tl.sigmoid(x_update.to(tl.float32) + update)
        candidate = 2.0 * tl.sigmoid(2.0 * (x_candidate.to(tl.float32) + reset * offer)) - 1.0
        if keep:
            old = before + (k * batch * steps + at)[:, None] * units + column[None, :]
            tl.store(old, state.to(before.dtype.element_ty), mask=tile)
            gates = saved + place * 4 * units + column[None, :]
            tl.store(gates, reset, mask=tile)
            tl.store(gates + units, update, mask=tile)
            tl.store(gates + 2 * units, candidate, mask=tile)
            tl.store(gates + 3 * units, offer, mask=tile)
        state = candidate + update * (state - candidate)
        new = state.to(output.dtype.element_ty)
        tl.store(output + place * units + column[None, :], new, mask=tile)
        following = low + (((s + 1) % 2) * directions * batch + k * batch + row)[:, None] * units
        tl.store(following + column[None, :], new, mask=tile)
        tl.debug_barrier()  # the next product reads what other threads have written


@triton.jit(do_not_specialize=["batch", "steps"])
def _backward(
    order,
    gradient,
    u,
    before,
    saved,
    by_input,
    by_state,
    batch,
    steps,
    units: tl.constexpr,
    directions: tl.constexpr,
    rows: tl.constexpr,
    columns: tl.constexpr,
    width: tl.constexpr,
):
    k, row, column, there, real, tile = _place(batch, units, rows, columns)
    flow = tl.zeros((rows, columns), tl.float32)
    passed = tl.zeros((rows, columns), tl.float32)
    for step in range(steps):
        at = tl.load(order + (k * steps + steps - 1 - step) * batch + row, mask=there, other=0)
        place = (at * directions + k)[:, None]
        kept = (k * batch * steps + at)[:, None]
        gates = saved + place * 4 * units + column[None, :]
        reset = tl.load(gates, mask=tile, other=0.0)
        update = tl.load(gates + units, mask=tile, other=0.0)
        candidate = tl.load(gates + 2 * units, mask=tile, other=0.0)
        offer = tl.load(gates + 3 * units, mask=tile, other=0.0)
        old = tl.load(before + kept * units + column[None, :], mask=tile, other=0.0).to(tl.float32)
        arriving = tl.load(gradient + place * units + column[None, :], mask=tile, other=0.0).to(tl.float32)
        flow += arriving + passed
        by_update = (flow * update * (1.0 - update) * (old - candidate)).to(by_input.dtype.element_ty)
        flat = flow * (1.0 - update) * (1.0 - candidate * candidate)
        by_reset = (flat * offer * reset * (1.0 - reset)).to(by_input.dtype.element_ty)
        x = by_input + place * 3 * units + column[None, :]
        tl.store(x, by_reset, mask=tile)
        tl.store(x + units, by_update, mask=tile)
        tl.store(x + 2 * units, flat.to(by_input.dtype.element_ty), mask=tile)
        h = by_state + kept * 3 * units
        tl.store(h + column[None, :], by_reset, mask=tile)
        tl.store(h + units + column[None, :], by_update, mask=tile)
        tl.store(h + 2 * units + column[None, :], (flat * reset).to(by_state.dtype.element_ty), mask=tile)
        flow *= update
        tl.debug_barrier()  # the product reads what other threads have written
        passed = tl.zeros((rows, columns), tl.float32)
        for j in range(0, 3 * units, width):
            inner = j + tl.arange(0, width)
            leaving = tl.load(h + inner[None, :], mask=there[:, None] & (inner < 3 * units)[None, :], other=0.0)
            w = u + (k * 3 * units + inner)[:, None] * units + column[None, :]
            fits = (inner < 3 * units)[:, None] & real[None, :]
            passed = tl.dot(leaving, tl.load(w, mask=fits, other=0.0), passed)
