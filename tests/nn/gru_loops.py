"""The loops of `gru_cpu` or `gru_cuda` on the same random numbers: all that they write.

By itself it writes those of `gru_cuda` into a file: `TRITON_INTERPRET=1`, which has Triton's kernels run on a CPU,
must be set before Triton is first imported. In float32, for the interpreter knows no bfloat16.
"""

from __future__ import annotations

import sys
from types import ModuleType

import torch
from torch import Tensor

from asr.nn.rnn import Packing

UNITS, DIRECTIONS = 5, 2
SIZES = [(1, 1), (3, 4), (18, 3)]


def both_ways(loops: ModuleType, batch: int, steps: int, keep: bool = True) -> list[Tensor]:
    """What the forward loop writes, and the backward loop if the former has kept what that needs."""
    random = torch.Generator().manual_seed(batch)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    lengths = torch.randint(1, steps + 1, (batch,), generator=random)
    order = Packing(lengths, steps, padded=True).order
    rows = batch * steps
    x_gates = draw(rows, DIRECTIONS * 3 * UNITS)
    u, c = draw(DIRECTIONS, 3 * UNITS, UNITS), draw(DIRECTIONS, 3 * UNITS)
    kept = rows if keep else 1
    before = torch.zeros(DIRECTIONS, kept, UNITS)
    saved = torch.zeros(kept, DIRECTIONS, 4 * UNITS)
    output = torch.zeros(rows, DIRECTIONS * UNITS)
    loops.forward_steps(order, x_gates, u, c, before, saved, output)
    if not keep:
        return [output]
    by_input = torch.zeros_like(x_gates)
    by_state = torch.zeros(DIRECTIONS, rows, 3 * UNITS)
    gradient = draw(*output.shape)
    loops.backward_steps(order, gradient, u, before, saved, by_input, by_state)
    return [output, before, saved, by_input, by_state]


def everything(loops: ModuleType) -> dict[str, list[Tensor]]:
    """All sizes, and once without keeping anything for a gradient."""
    results = {f"{batch} × {steps}": both_ways(loops, batch, steps) for batch, steps in SIZES}
    return results | {"nothing kept": both_ways(loops, 3, 4, keep=False)}


if __name__ == "__main__":
    from asr.nn import gru_cuda

    torch.save(everything(gru_cuda), sys.argv[1])
