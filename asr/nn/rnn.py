"""The memory of the network: recurrent layers over padded batches, exact for every utterance.

PyTorch's own way to keep padding out of a bidirectional layer is packing, which on a CPU is 2 to 20 times slower.
Here the backward direction is a forward GRU over each utterance reversed within its own length; padding then always
lies *after* an utterance in both directions and cannot reach it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from asr.nn.gru import gru
from asr.nn.gru_int8 import Int8Gru


class Bidirectional(nn.Module):
    """A GRU in each direction: (B, T, D) and lengths (B,) → (B, T, 2H)."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.forwards = nn.GRU(size, hidden, batch_first=True)
        self.backwards = nn.GRU(size, hidden, batch_first=True)
        self._packed: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
        self._int8: Int8Gru | None = None

    def pack(self, dtype: torch.dtype) -> None:
        """Keep the weights as the recurrence takes them, in `dtype`: only for a layer that learns no more."""
        with torch.no_grad():
            w, u, b, c = stacked(self.forwards, self.backwards)
            self._packed = w.to(dtype), u.to(dtype), b.to(dtype), c.to(dtype)

    def quantize(self) -> None:
        """Multiply whole numbers from now on: only for a layer that learns no more, on a CPU."""
        self._int8 = Int8Gru(*(tensor.detach() for tensor in stacked(self.forwards, self.backwards)))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Steps beyond an utterance's length are unspecified."""
        order = reversal(lengths, x.shape[1])
        if not runs_here(x, self.forwards):
            past = on_gpu(self.forwards, x)
            future = on_gpu(self.backwards, reorder(x, order))
            return torch.cat([past, reorder(future, order)], dim=2)
        both = torch.stack([straight(x), order.t()])
        if self._int8 is not None:
            return self._int8(x, both, product_dtype(x))
        weights = self._packed or stacked(self.forwards, self.backwards)
        return gru(x, both, *weights, product_dtype(x))


class Unidirectional(nn.Module):
    """A GRU that hears only the past: (B, T, D) → (B, T, H)."""

    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.forwards = nn.GRU(size, hidden, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`lengths` is not needed: a causal layer cannot see the padding that follows."""
        del lengths
        return run_stack(x, self.forwards)


class Memoryless(nn.Module):
    """Two linear layers on each step alone, (B, T, D) → (B, T, H): what is left when the memory is taken away."""

    def __init__(self, size: int, hidden: int, output: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(size, hidden), nn.SiLU(), nn.Linear(hidden, output))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """`lengths` is not needed: no step sees another."""
        del lengths
        output: Tensor = self.layers(x)
        return output


def batches_by_length(lengths: Sequence[int], steps: int) -> list[list[int]]:
    """Indices in batches of similar length, each of at most `steps` steps with padding."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        # Lengths rise, so the newest decides the padding of its batch.
        if not batches or (len(batches[-1]) + 1) * lengths[index] > steps:
            batches.append([])
        batches[-1].append(index)
    return batches


def reversal(lengths: Tensor, steps: int) -> Tensor:
    """Indices (B, steps) that reverse each utterance within its length and leave the padding where it is.

    Applying the same indices twice gives the original order.
    """
    position = torch.arange(steps, device=lengths.device)
    mirrored = lengths.unsqueeze(1) - 1 - position
    return torch.where(mirrored >= 0, mirrored, position)


def reorder(x: Tensor, order: Tensor) -> Tensor:
    """Steps of x (B, T, D) in the order of indices (B, T)."""
    return x.gather(1, order.unsqueeze(2).expand(-1, -1, x.shape[2]))


MOST_UNITS = 512
"""That a GPU's registers hold beside all else: see `gru_cuda`."""


def run_gru(x: Tensor, order: Tensor, *layers: nn.GRU, level: int = 0) -> Tensor:
    """x (B, T, D) through K layers of the same size, each in its order (K, T, B) of steps → (B, T, K·H).

    Of stacked layers, those at `level` are run.
    """
    return gru(x, order, *stacked(*layers, level=level), product_dtype(x))


def stacked(*layers: nn.GRU, level: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The weights of K layers as `gru` takes them: w (K, 3H, D), u (K, 3H, H), b and c (K, 3H)."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w, u, b, c = (torch.stack([getattr(layer, f"{name}_l{level}") for layer in layers]) for name in names)
    return w, u, b, c


def run_stack(x: Tensor, stack: nn.GRU) -> Tensor:
    """x (B, T, D) through all layers of `stack`, which looks back only, from zeros → (B, T, H): `stack(x)[0]`."""
    if not runs_here(x, stack):
        return on_gpu(stack, x)
    order = straight(x).unsqueeze(0)
    for level in range(stack.num_layers):
        x = run_gru(x, order, stack, level=level)
    return x


def runs_here(x: Tensor, layer: nn.GRU) -> bool:
    """Whether our own recurrence takes x (B, T, D) through `layer`: on a CPU always, on a GPU in bfloat16 with Triton.

    In float32, cuDNN can be exact and the kernels are not; wider states do not fit them.
    """
    if not x.is_cuda:
        return True
    return product_dtype(x) == torch.bfloat16 and layer.hidden_size <= MOST_UNITS and _has_triton()


def on_gpu(layer: nn.GRU, x: Tensor) -> Tensor:
    """x (B, T, D) through cuDNN's layer, in float32 (TF32 where PyTorch allows it) → (B, T, H).

    Under autocast to bfloat16 PyTorch gives cuDNN float16 all the same, in which small gradients become zero.
    """
    with torch.autocast(x.device.type, enabled=False):
        output: Tensor = layer(x.float())[0]
        return output


def straight(x: Tensor) -> Tensor:
    """The order (T, B) of the steps of x (B, T, D) as they come."""
    # Written out in memory: the kernels are compiled for arrays without gaps.
    return torch.arange(x.shape[1], device=x.device).unsqueeze(1).repeat(1, x.shape[0])


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def product_dtype(x: Tensor) -> torch.dtype:
    """The arithmetic of matrix products that the surrounding autocast asks for."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
