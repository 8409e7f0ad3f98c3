"""A GRU whose matrix products are in whole numbers of eight bits: for recognizing, where speed is worth a rounding.

A processor multiplies two to four bytes in the time of one float32, and a small matrix of bytes stays in its fastest
caches. Every row of a weight matrix is scaled so that its largest number becomes 127, once; so is every step of the
input when it comes ("dynamic quantization"). The states of a GRU lie between −1 and 1: theirs is always 127. Sums are
exact, in 32 bits; what becomes of them is computed in float32, as in `gru_cpu`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr.nn import gru_cpu
from asr.nn.gru_cpu import bits, going, narrow, sigmoid, tanh, widen
from asr.nn.numba_cache import Compiler

BLOCK = 32
"""Steps whose inputs are multiplied together: their sums stay in the cache until they are asked for."""
_LARGEST = np.float32(127.0)
_TINY = np.float32(1e-30)  # a scale for rows of zeros

COMPILER = Compiler("the recurrent layers", [Path(gru_cpu.__file__), Path(__file__)], fastmath=("contract", "nsz"))
inner, kernel = COMPILER.inner, COMPILER.kernel


class Int8Gru:
    """K GRUs over the same inputs, as `asr.nn.gru.gru` runs them, without a gradient."""

    def __init__(self, w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> None:
        """w (K, 3H, D) and b (K, 3H) act on the input, u (K, 3H, H) and c (K, 3H) on the state; gates are r, z, n."""
        units = u.shape[2]
        by_input, input_scales = quantized(w)
        by_state, state_scales = quantized(u)
        self._w = [matrix.t() for matrix in by_input]
        self._u = [matrix.t() for matrix in by_state]
        self._scales = input_scales.numpy(), (state_scales / 127).numpy()
        offers = c.float()[:, 2 * units :].contiguous()
        sums = b.float().clone()
        sums[:, : 2 * units] += c.float()[:, : 2 * units]
        self._biases = sums.numpy(), offers.numpy()

    def __call__(self, inputs: Tensor, order: Tensor, dtype: torch.dtype) -> Tensor:
        """Rows of inputs (N, D), each direction in its order (K, T, B) of rows → states (N, K·H) in `dtype`."""
        COMPILER.announce()
        batch, units = order.shape[2], self._u[0].shape[0]
        directions = len(self._u)
        rows, scales = torch.empty(inputs.shape, dtype=torch.int8), torch.empty(len(inputs))
        quantize_rows(bits(inputs), bits(rows), bits(scales))
        x_sums = torch.empty(directions, BLOCK * batch, 3 * units, dtype=torch.int32)
        h_sums = torch.zeros(directions, batch, 3 * units, dtype=torch.int32)
        state = torch.zeros(directions, batch, units)
        low = torch.zeros(directions, batch, units, dtype=torch.int8)
        output = torch.empty(len(inputs), directions * units, dtype=dtype)
        gates = np.empty(3 * units, np.float32)
        tensors = (x_sums, scales, h_sums, state, low, output)
        arrays = [*map(bits, tensors), *self._scales, *self._biases, gates]
        products = list(zip(low, self._u, h_sums, strict=True))
        counts = going(order)
        for start in range(0, len(counts), BLOCK):
            # Utterances that have ended before this block have no part in it.
            block = order[:, start : start + BLOCK, : counts[start]].contiguous()
            for at, w, sums in zip(block.flatten(1).clamp(min=0), self._w, x_sums, strict=True):
                torch._int_mm(rows[at], w, out=sums[: len(at)])
            here = bits(block)
            for s, count in enumerate(counts[start : start + BLOCK]):
                if start + s > 0:  # the first state is zero
                    for states, u, sums in products:
                        torch._int_mm(states[:count], u, out=sums[:count])
                int8_step(s, count, here, *arrays)
        return output


def quantized(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (…, N, D) as bytes from −127 to 127, and what one is worth: scales (…, N)."""
    scales = (matrix.float().abs().amax(dim=-1) / 127).clamp(min=float(_TINY))
    return (matrix.float() / scales.unsqueeze(-1)).round().to(torch.int8), scales


@inner
def nearest(x: Any) -> Any:
    """A number within ± 127 as a byte."""
    return np.int8(np.floor(x + np.float32(0.5)))


@kernel
def quantize_rows(rows: Any, low: Any, scales: Any) -> None:
    """`quantized` for rows (N, D) of float32 or bfloat16, into `low` (N, D) and `scales` (N,)."""
    count, size = rows.shape
    for n in range(count):
        row, low_row = rows[n], low[n]
        largest = _TINY
        for i in range(size):
            largest = max(largest, abs(widen(row[i])))
        factor = _LARGEST / largest
        for i in range(size):
            low_row[i] = nearest(widen(row[i]) * factor)
        scales[n] = largest / _LARGEST


@kernel
def int8_step(
    s: int,
    count: int,
    order: Any,
    x_sums: Any,
    x_scales: Any,
    h_sums: Any,
    state: Any,
    low: Any,
    output: Any,
    w_scales: Any,
    u_scales: Any,
    biases: Any,
    offer_biases: Any,
    gates: Any,
) -> None:
    """One step of all directions and of the first `count` utterances.

    x_sums (K, ≥ S·B, 3H), of the steps that `order` (K, S, B) says, and h_sums (K, B, 3H) are sums of products of
    bytes, x_scales (N,), w_scales and u_scales (K, 3H) what these are worth; `biases` (K, 3H) are added to the gates'
    sums, offer_biases (K, H) to what the memory offers. `state` (K, B, H) and the same as bytes, `low`, move on; the
    new one also goes to `output` (N, K·H). `gates` (3H,) is scratch.
    """
    directions, _, batch = order.shape
    units = state.shape[2]
    reset, update, candidate = gates[:units], gates[units : 2 * units], gates[2 * units :]
    for k in range(directions):
        w, u, bias, offer_bias = w_scales[k], u_scales[k], biases[k], offer_biases[k]
        w_candidate, u_candidate, candidate_bias = w[2 * units :], u[2 * units :], bias[2 * units :]
        for b in range(count):
            at = order[k, s, b]
            worth = x_scales[at]
            x, h = x_sums[k, s * batch + b], h_sums[k, b]
            x_candidate, h_candidate = x[2 * units :], h[2 * units :]
            new, low_new = state[k, b], low[k, b]
            result = output[at, k * units : (k + 1) * units]
            for i in range(2 * units):
                gates[i] = sigmoid(np.float32(x[i]) * (worth * w[i]) + np.float32(h[i]) * u[i] + bias[i])
            for i in range(units):
                offer = np.float32(h_candidate[i]) * u_candidate[i] + offer_bias[i]
                own = np.float32(x_candidate[i]) * (worth * w_candidate[i]) + candidate_bias[i]
                candidate[i] = tanh(own + reset[i] * offer)
            for i in range(units):
                new[i] = candidate[i] + update[i] * (new[i] - candidate[i])
            for i in range(units):
                low_new[i] = nearest(new[i] * _LARGEST)
                result[i] = narrow(new[i], result[i])
