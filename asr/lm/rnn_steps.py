"""A recurrent language model token by token, for many sentences at once: the speed of rescoring.

What a token brings to the gates of the first layer depends on the token alone, so it is looked up in a table that is
made once, and a step multiplies nothing but the states. The weights lie ready in the arithmetic of the products.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from asr.lm.rnn import RecurrentNetwork


class Steps:
    """The network as it is now, for N sentences at a time; what it learns later is not seen here."""

    def __init__(self, network: RecurrentNetwork, dtype: torch.dtype = torch.float32) -> None:
        """`dtype` is that of the products, float32 or bfloat16; states (L, N, H) and gates are in float32."""
        weights = {name: weight.detach() for name, weight in network.gru.named_parameters()}
        embedding = network.embedding.weight.detach()
        names = ("weight_hh", "bias_hh", "weight_ih", "bias_ih")
        self._layers = [
            [weights[f"{name}_l{level}"].to(dtype) for name in names] for level in range(network.config.layers)
        ]
        self._read = F.linear(embedding, weights["weight_ih_l0"], weights["bias_ih_l0"]).to(dtype)  # (V, 3H)
        self._project = network.project.weight.detach().to(dtype), network.project.bias.detach().to(dtype)
        self._embedding, self._bias = embedding.to(dtype), network.bias.detach()
        self._beginning = torch.zeros(network.config.layers, 1, network.config.units, device=embedding.device)

    def begin(self, sentences: int) -> Tensor:
        """The states (L, N, H) before anything is read."""
        return self._beginning.repeat(1, sentences, 1)

    def read(self, tokens: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
        """Read a token (N,) in each of the states (L, N, H) → log-probabilities (N, V) of the next, and the states."""
        after: list[Tensor] = []
        for (u, c, w, b), state in zip(self._layers, states, strict=True):
            x = F.linear(after[-1].to(w.dtype), w, b) if after else self._read[tokens]
            after.append(_update(state, x.float(), F.linear(state.to(u.dtype), u, c).float()))
        output = F.linear(after[-1].to(self._embedding.dtype), *self._project)
        scores = F.linear(output, self._embedding).float() + self._bias
        return torch.log_softmax(scores, 1), torch.stack(after)


def _update(state: Tensor, x: Tensor, h: Tensor) -> Tensor:
    """The state (N, H) after a step, from the gates' sums (N, 3H) of input and state: r, z, n as `gru` has them."""
    units = state.shape[1]
    reset, update = torch.sigmoid(x[:, : 2 * units] + h[:, : 2 * units]).chunk(2, 1)
    candidate = torch.tanh(x[:, 2 * units :] + reset * h[:, 2 * units :])
    return torch.lerp(candidate, state, update)
