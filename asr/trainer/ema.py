"""Averages of weights: a moving one along the way, and of saved models afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """Exponential moving average of a module's parameters (Polyak and Juditsky 1992).

    The decay warms up as (1 + n) / (10 + n), so that the first random weights are soon forgotten.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self._shadow = {name: p.detach().clone() for name, p in module.named_parameters()} if decay else {}

    @torch.no_grad()
    def update(self, module: nn.Module, updates: int) -> None:
        """Move towards the module's present parameters."""
        if not self.decay:
            return
        decay = min(self.decay, (1 + updates) / (10 + updates))
        names, current = zip(*module.named_parameters(), strict=True)
        torch._foreach_lerp_([self._shadow[name] for name in names], list(current), 1 - decay)

    def weights(self, module: nn.Module) -> dict[str, Tensor]:
        """The module's state with averaged parameters."""
        return {name: tensor.detach().clone() for name, tensor in (module.state_dict() | self._shadow).items()}

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return dict(self._shadow)

    def restore(self, state: dict[str, Any]) -> None:
        """From a checkpoint. Raises `KeyError` when it belongs to another module."""
        for name, tensor in self._shadow.items():
            tensor.copy_(state[name])


def mean_weights(models: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several states of the same network."""
    return {name: torch.stack([model[name].float() for model in models]).mean(dim=0) for name in models[0]}
