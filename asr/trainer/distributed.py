"""Data-parallel training under `torchrun`: gradients are averaged over processes after the backward pass.

One all-reduce of the flattened gradients per update replaces DistributedDataParallel's hooks: the step stays the same
code with one process or many.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn

Item = TypeVar("Item")

# The others wait while the leader decodes a corpus or validates; PyTorch's ten minutes on GPUs are too few.
PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class World:
    """This process among all of a run."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """True in the one process that writes files and prints."""
        return self.rank == 0


def join_world() -> World:
    """Join the processes that `torchrun` started; a world of one without it."""
    if "RANK" not in os.environ:
        return World()
    if not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE)
    return World(dist.get_rank(), dist.get_world_size())


def leave_world() -> None:
    """Leave the group that `join_world` joined, if any."""
    if dist.is_initialized():
        dist.destroy_process_group()


def average_gradients(parameters: Iterable[nn.Parameter], world: World) -> None:
    """Replace every gradient by its mean over all processes."""
    if world.size == 1:
        return
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in learned:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in learned if parameter.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world.size
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def total(values: list[float], world: World) -> list[float]:
    """Sums of `values` over all processes."""
    if world.size == 1:
        return values
    tensor = torch.tensor(values, dtype=torch.float64)
    if torch.cuda.is_available():
        tensor = tensor.cuda()
    dist.all_reduce(tensor)
    result: list[float] = tensor.tolist()
    return result


def gather(items: list[Item], world: World) -> list[Item]:
    """`items` of all processes, in the order of their ranks."""
    if world.size == 1:
        return items
    parts: list[list[Item]] = [[] for _ in range(world.size)]
    dist.all_gather_object(parts, items)
    return [item for part in parts for item in part]


def broadcast(module: nn.Module, world: World) -> None:
    """Give every process the leader's parameters and buffers."""
    if world.size == 1:
        return
    for tensor in chain((parameter.data for parameter in module.parameters()), module.buffers()):
        dist.broadcast(tensor, src=0)


def wait_for_all(world: World) -> None:
    """Return when every process has come here."""
    if world.size > 1:
        dist.barrier()
