"""The steps of a GRU between two matrix products, and their gradients, each one pass over memory.

A step is a small product and some fifteen elementwise operations. Done one by one by a tensor library the latter cost
as much as the product; compiled as one loop they cost a tenth of it. bfloat16 numbers come as their 16 bits (`uint16`),
which are the upper half of a float32; all arithmetic is in float32.

Shapes: B utterances of T steps or fewer, N rows for the steps of all, K directions, H units; gates are r, z, n.
`order[k, s, b]` is the row of utterance b at which direction k is at its step s; −1 follows where an utterance has
ended. Those that end later come first, so that a step is one of the first `count` utterances.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numba.core import types
from numba.extending import overload
from torch import Tensor

from asr.nn.numba_cache import Compiler

_LOG2_E = np.float32(1 / np.log(2))
# 2^f = Σ (f ln 2)^k / k! to the sixth power: below float32's resolution for |f| ≤ 1/2
_POWERS = tuple(np.float32(np.log(2) ** k / np.prod(np.arange(1.0, k + 1))) for k in range(7))
_LIMIT = np.float32(20.0)  # beyond ± 20 a sigmoid is 0 or 1 in float32

COMPILER = Compiler("the recurrent layers", [Path(__file__)], fastmath=("contract", "nsz"))
inner, kernel = COMPILER.inner, COMPILER.kernel


def widen(x: Any) -> Any:
    """A stored number as float32."""


def narrow(x: Any, like: Any) -> Any:
    """A float32 as a number to store beside `like`: itself, or rounded to the nearest bfloat16, ties to even."""


@overload(widen, inline="always", strict=False)  # numba compares annotations otherwise
def _widen(x: Any) -> Any:
    if x == types.uint16:
        return lambda x: np.uint32(np.uint32(x) << np.uint32(16)).view(np.float32)
    return lambda x: x


@overload(narrow, inline="always", strict=False)
def _narrow(x: Any, like: Any) -> Any:
    return _to_bfloat16 if like == types.uint16 else lambda x, like: x


def _to_bfloat16(x: Any, like: Any) -> Any:
    bits = np.float32(x).view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    return np.uint16((bits + np.uint32(0x7FFF) + odd) >> np.uint32(16))


@inner
def sigmoid(x: Any) -> Any:
    """1 / (1 + e^−x), in operations that a compiler turns into vector instructions."""
    t = -_LOG2_E * min(max(x, -_LIMIT), _LIMIT)
    whole = np.floor(t + np.float32(0.5))
    f = t - whole
    power = _POWERS[6]
    power = power * f + _POWERS[5]
    power = power * f + _POWERS[4]
    power = power * f + _POWERS[3]
    power = power * f + _POWERS[2]
    power = power * f + _POWERS[1]
    power = power * f + _POWERS[0]
    scale = np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)).view(np.float32)
    return np.float32(1.0) / (np.float32(1.0) + power * scale)


@inner
def tanh(x: Any) -> Any:
    """2 σ(2x) − 1."""
    return np.float32(2.0) * sigmoid(np.float32(2.0) * x) - np.float32(1.0)


@kernel
def forward_step(
    s: int,
    count: int,
    order: Any,
    x_gates: Any,
    h_gates: Any,
    state: Any,
    low: Any,
    before: Any,
    saved: Any,
    output: Any,
) -> None:
    """One step of all directions and of the utterances that have not ended.

    x_gates (N, K·3H) and h_gates (K, B, 3H) are the gates' sums from the input and from the state; `state`
    (K, B, H), float32, and `low`, the same for the next product, move on; the new state also goes to `output`
    (N, K·H). For the gradient, the state before goes to `before` (K, N, H) and r, z, n and the offer to `saved`
    (N, K, 4H); with an N of 1 these two are scratch.
    """
    directions = order.shape[0]
    units = state.shape[2]
    keep = saved.shape[0] > 1
    for k in range(directions):
        for b in range(count):
            at = order[k, s, b]
            kept_at = at if keep else 0
            x = x_gates[at, k * 3 * units : (k + 1) * 3 * units]
            h = h_gates[k, b]
            old, new, low_new = before[k, kept_at], state[k, b], low[k, b]
            gates = saved[kept_at, k]
            reset, update = gates[:units], gates[units : 2 * units]
            candidate, offer = gates[2 * units : 3 * units], gates[3 * units :]
            x_candidate, h_candidate = x[2 * units :], h[2 * units :]
            result = output[at, k * units : (k + 1) * units]
            # Several short loops over a row that stays in the fastest cache: few enough arrays in each for the
            # compiler to see that they do not overlap.
            for i in range(units):
                old[i] = low_new[i]
            for i in range(2 * units):
                gates[i] = sigmoid(widen(x[i]) + widen(h[i]))
            for i in range(units):
                offer[i] = widen(h_candidate[i])
            for i in range(units):
                candidate[i] = tanh(widen(x_candidate[i]) + reset[i] * offer[i])
            for i in range(units):
                new[i] = candidate[i] + update[i] * (new[i] - candidate[i])
            for i in range(units):
                low_new[i] = narrow(new[i], low_new[i])
                result[i] = low_new[i]


@kernel
def backward_step(
    s: int,
    count: int,
    order: Any,
    gradient: Any,
    passed: Any,
    flow: Any,
    before: Any,
    saved: Any,
    by_input: Any,
    by_state: Any,
    leaving: Any,
) -> None:
    """One step backwards.

    gradient (N, K·H) is the output's; `passed` (K, B, H) what the product with U brings from the step after, and
    `flow` (K, B, H), float32, what its update gate let through. The gradients of the gates' sums go to `by_input`
    (N, K·3H) and `by_state` (K, N, 3H), which differ in n alone: the state's part passes the reset gate. This
    step's `by_state` alone goes to `leaving` (K, B, 3H) for the next product.
    """
    directions = order.shape[0]
    units = flow.shape[2]
    for k in range(directions):
        for b in range(count):
            at = order[k, s, b]
            arriving = gradient[at, k * units : (k + 1) * units]
            through, carried = passed[k, b], flow[k, b]
            old, gates = before[k, at], saved[at, k]
            reset, update = gates[:units], gates[units : 2 * units]
            candidate, offer = gates[2 * units : 3 * units], gates[3 * units :]
            x = by_input[at, k * 3 * units : (k + 1) * 3 * units]
            x_reset, x_update, x_candidate = x[:units], x[units : 2 * units], x[2 * units :]
            h = by_state[k, at]
            h_candidate = h[2 * units :]
            row = leaving[k, b]
            for i in range(units):
                carried[i] += widen(arriving[i]) + widen(through[i])
            for i in range(units):
                slope = update[i] * (np.float32(1.0) - update[i])
                x_update[i] = narrow(carried[i] * slope * (widen(old[i]) - candidate[i]), x_update[i])
            for i in range(units):
                flat = (np.float32(1.0) - update[i]) * (np.float32(1.0) - candidate[i] * candidate[i])
                x_candidate[i] = narrow(carried[i] * flat, x_candidate[i])
                h_candidate[i] = narrow(carried[i] * flat * reset[i], h_candidate[i])
            for i in range(units):
                flat = (np.float32(1.0) - update[i]) * (np.float32(1.0) - candidate[i] * candidate[i])
                slope = offer[i] * reset[i] * (np.float32(1.0) - reset[i])
                x_reset[i] = narrow(carried[i] * flat * slope, x_reset[i])
            for i in range(2 * units):
                h[i] = x[i]
            for i in range(3 * units):
                row[i] = h[i]
            for i in range(units):
                carried[i] *= update[i]


def bits(tensor: Tensor) -> np.ndarray:
    """A tensor's memory for the kernels: float32 as it is, bfloat16 as `uint16`."""
    tensor = tensor.detach()
    memory: np.ndarray = (tensor.view(torch.uint16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return memory


def going(order: Tensor) -> list[int]:
    """At each step of an order (K, T, B), how many utterances have not ended."""
    counts: list[int] = (order[0] >= 0).sum(1).tolist()
    return counts


def forward_steps(
    order: Tensor, x_gates: Tensor, u: Tensor, c: Tensor, before: Tensor, saved: Tensor, output: Tensor
) -> None:
    """Fill `output` (N, K·H), and `before` and `saved` where they hold all rows.

    order (K, T, B), x_gates (N, K·3H), u (K, 3H, H) and c (K, 3H).
    """
    COMPILER.announce()
    directions, _, batch = order.shape
    units, dtype = u.shape[2], u.dtype
    h_gates = torch.empty(directions, batch, 3 * units, dtype=dtype)
    state = torch.zeros(directions, batch, units)
    low = torch.zeros(directions, batch, units, dtype=dtype)
    arrays = [bits(tensor) for tensor in (order, x_gates, h_gates, state, low, before, saved, output)]
    # Laid out as the product reads it: of a few rows at a time, it would be turned again in every step.
    offset, u_transposed = c.unsqueeze(1).to(dtype), u.transpose(1, 2).contiguous()
    for s, count in enumerate(going(order)):
        torch.baddbmm(offset, low[:, :count], u_transposed, out=h_gates[:, :count])
        forward_step(s, count, *arrays)


def backward_steps(
    order: Tensor, gradient: Tensor, u: Tensor, before: Tensor, saved: Tensor, by_input: Tensor, by_state: Tensor
) -> None:
    """Fill `by_input` (N, K·3H) and `by_state` (K, N, 3H) from the output's gradient (N, K·H)."""
    directions, _, batch = order.shape
    units, dtype = u.shape[2], u.dtype
    leaving = torch.empty(directions, batch, 3 * units, dtype=dtype)
    passed = torch.zeros(directions, batch, units, dtype=dtype)
    flow = torch.zeros(directions, batch, units)
    tensors = (order, gradient, passed, flow, before, saved, by_input, by_state, leaving)
    arrays = [bits(tensor) for tensor in tensors]
    for s, count in reversed(list(enumerate(going(order)))):
        backward_step(s, count, *arrays)
        torch.bmm(leaving[:, :count], u, out=passed[:, :count])
