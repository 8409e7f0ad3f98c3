"""Dropout (Srivastava et al. 2014) whose random numbers cost an eighth."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Sets a share of the elements to zero while training, and scales the others to keep the mean.

    PyTorch draws a number for every element, which on a CPU takes longer than the layers' own arithmetic around it;
    here one draw of 64 bits serves eight elements. The share is rounded to the next 1/256.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.cut = round(share * 256)

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; draws from PyTorch's own generator of the device."""
        if not self.training or not self.cut:
            return x
        draws = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device).random_(-(2**63), None)
        keep = (draws.view(torch.uint8)[: x.numel()] >= self.cut).view(x.shape)
        return x * keep.to(x.dtype).mul_(256 / (256 - self.cut))
