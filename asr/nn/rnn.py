"""The memory of the network: recurrent layers over utterances of any lengths, exact for every one of them.

Utterances are packed: their steps are rows, one after another, without the padding of a batch, and each direction of a
layer is an order in which a recurrence takes the rows. PyTorch's own packed layers are 2 to 20 times slower on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from asr.nn.gru import gru
from asr.nn.gru_int8 import Int8Gru


class Packing:
    """Where the steps of B utterances lie as rows (N, ·), and the `order` (2, T, B) of rows forwards and backwards.

    T counts the steps of the longest, whose column is the first; an utterance that has ended has −1. If `padded`, as
    on a GPU, which would have to wait to know N, the padding is there as rows behind each utterance, and nothing is −1.
    """

    def __init__(self, lengths: Tensor, steps: int, padded: bool | None = None) -> None:
        """Of utterances of `lengths` (B,) in a batch (B, steps, ·)."""
        self.shape = len(lengths), steps
        self.padded = lengths.is_cuda if padded is None else padded
        position = torch.arange(steps, device=lengths.device)
        if self.padded:
            first, longest = steps * torch.arange(len(lengths), device=lengths.device), steps
        else:
            self._places = (position < lengths.unsqueeze(1)).flatten().nonzero().squeeze(1)
            sorted_lengths, by_length = lengths.sort(descending=True)
            first, longest = (lengths.cumsum(0) - lengths)[by_length], int(sorted_lengths[0])
            lengths = sorted_lengths
        position = position[:longest].unsqueeze(1)
        going = position < lengths
        backwards = torch.where(going, lengths - 1 - position, position)
        order = first + torch.stack([position.expand_as(backwards), backwards])
        self.order = order if self.padded else order.masked_fill(~going, -1)

    def pack(self, x: Tensor) -> Tensor:
        """A batch (B, steps, D) as rows (N, D)."""
        rows = x.flatten(0, 1)
        return rows if self.padded else rows[self._places]

    def unpack(self, rows: Tensor) -> Tensor:
        """Rows (N, D) as a batch (B, steps, D), zero behind each utterance unless `padded`."""
        if not self.padded:
            batch = rows.new_zeros(self.shape[0] * self.shape[1], rows.shape[1])
            batch[self._places] = rows
            rows = batch
        return rows.view(*self.shape, -1)


class Recurrent(nn.Module):
    """A GRU that hears the past, and one that hears the future if `both`: rows (N, D) → (N, H) or (N, 2H)."""

    def __init__(self, size: int, hidden: int, both: bool = True) -> None:
        super().__init__()
        self.forwards = nn.GRU(size, hidden, batch_first=True)
        self.backwards = nn.GRU(size, hidden, batch_first=True) if both else None
        self._packed: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
        self._int8: Int8Gru | None = None

    @property
    def directions(self) -> list[nn.GRU]:
        """One GRU or two."""
        return [self.forwards] if self.backwards is None else [self.forwards, self.backwards]

    def pack(self, dtype: torch.dtype) -> None:
        """Keep the weights as the recurrence takes them, in `dtype`: only for a layer that learns no more."""
        with torch.no_grad():
            w, u, b, c = stacked(*self.directions)
            self._packed = w.to(dtype), u.to(dtype), b.to(dtype), c.to(dtype)

    def quantize(self) -> None:
        """Multiply whole numbers from now on: only for a layer that learns no more, on a CPU."""
        self._int8 = Int8Gru(*(tensor.detach() for tensor in stacked(*self.directions)))

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """`packing` says which rows x (N, D) follow one another."""
        if not runs_here(x, self.forwards):
            past = on_gpu(self.forwards, packing.unpack(x)).flatten(0, 1)
            if self.backwards is None:
                return past
            mirrored = packing.order[1].t()
            future = on_gpu(self.backwards, x[mirrored]).flatten(0, 1)
            return torch.cat([past, future[mirrored.flatten()]], dim=1)
        order = packing.order[: len(self.directions)]
        if self._int8 is not None:
            return self._int8(x, order, product_dtype(x))
        return gru(x, order, *(self._packed or stacked(*self.directions)), product_dtype(x))


class Memoryless(nn.Module):
    """Two linear layers on each row alone, (N, D) → (N, H): what is left when the memory is taken away."""

    def __init__(self, size: int, hidden: int, output: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(size, hidden), nn.SiLU(), nn.Linear(hidden, output))

    def forward(self, x: Tensor, packing: Packing) -> Tensor:
        """`packing` is not needed: no row sees another."""
        del packing
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


MOST_UNITS = 512
"""That a GPU's registers hold beside all else: see `gru_cuda`."""


def stacked(*layers: nn.GRU, level: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The weights of K layers (at `level`, of stacked ones) for `gru`: w (K, 3H, D), u (K, 3H, H), b and c (K, 3H)."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w, u, b, c = (torch.stack([getattr(layer, f"{name}_l{level}") for layer in layers]) for name in names)
    return w, u, b, c


def run_stack(x: Tensor, stack: nn.GRU) -> Tensor:
    """x (B, T, D) through all layers of `stack`, which looks back only, from zeros → (B, T, H): `stack(x)[0]`."""
    if not runs_here(x, stack):
        return on_gpu(stack, x)
    order = torch.arange(x.shape[0] * x.shape[1], device=x.device).view(x.shape[:2]).t().contiguous().unsqueeze(0)
    rows = x.flatten(0, 1)
    for level in range(stack.num_layers):
        rows = gru(rows, order, *stacked(stack, level=level), product_dtype(rows))
    return rows.view(*x.shape[:2], -1)


def runs_here(x: Tensor, layer: nn.GRU) -> bool:
    """Whether our own recurrence takes x through `layer`: on a CPU always, on a GPU in bfloat16 with Triton.

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


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


def product_dtype(x: Tensor) -> torch.dtype:
    """The arithmetic of matrix products that the surrounding autocast asks for."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
