"""The network in 8-bit arithmetic, for speed on a CPU: weights quantized once, activations as they come.

Only for recognition. The scale of the activations is taken over a whole batch, so that, other than in float32, an
utterance's neighbors can touch its last digits.
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import Tensor, nn

from asr.errors import UsageError
from asr.model.acoustic import AcousticModel
from asr.model.encoder import RecurrentBlock
from asr.nn.rnn import Bidirectional, Unidirectional, reorder, reversal


def quantize(network: AcousticModel) -> AcousticModel:
    """A copy of `network` whose recurrent and linear layers compute in int8. Raises `UsageError` where torch cannot."""
    quantized = copy.deepcopy(network).cpu().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces that this interface moves to a package of its own
        try:
            for block in [part for part in quantized.modules() if isinstance(part, RecurrentBlock)]:
                if isinstance(block.recurrent, Bidirectional):
                    block.recurrent = _Bidirectional(block.recurrent)
                elif isinstance(block.recurrent, Unidirectional):
                    block.recurrent = _Unidirectional(block.recurrent)
            result: AcousticModel = torch.ao.quantization.quantize_dynamic(
                quantized, {nn.GRU, nn.Linear}, dtype=torch.qint8
            )
        except (AttributeError, RuntimeError) as error:
            raise UsageError(f"this torch has no int8 arithmetic: {error}", "Use float32 or bfloat16.") from error
    return result


class _Bidirectional(nn.Module):
    """As `Bidirectional`, with torch's own GRU, which is the one that it can quantize."""

    def __init__(self, layer: Bidirectional) -> None:
        super().__init__()
        self.forwards = layer.forwards
        self.backwards = layer.backwards

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D) → (B, T, 2H)."""
        order = reversal(lengths, x.shape[1])
        past, _ = self.forwards(x)
        future, _ = self.backwards(reorder(x, order))
        return torch.cat([past, reorder(future, order)], dim=2)


class _Unidirectional(nn.Module):
    """As `Unidirectional`, with torch's own GRU."""

    def __init__(self, layer: Unidirectional) -> None:
        super().__init__()
        self.forwards = layer.forwards

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D) → (B, T, H)."""
        del lengths
        output: Tensor = self.forwards(x)[0]
        return output
