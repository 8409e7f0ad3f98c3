"""The network of a recurrent language model: of whole sentences, to learn, and token by token, to rescore fast."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.nn.gru_int8 import quantized
from asr.nn.rnn import run_stack

BOUNDARY = 0
PADDING = -1


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes of the network."""

    embedding: int = 192
    units: int = 512
    layers: int = 1
    dropout: float = 0.1


class RecurrentNetwork(nn.Module):
    """Embedding, GRU and a softmax that shares the embedding's matrix (Press and Wolf 2017)."""

    def __init__(self, config: RecurrentConfig, tokens: int) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(tokens, config.embedding)
        self.gru = nn.GRU(config.embedding, config.units, config.layers, batch_first=True)
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(config.units, config.embedding)
        self.bias = nn.Parameter(torch.zeros(tokens))
        nn.init.normal_(self.embedding.weight, std=config.embedding**-0.5)

    def forward(self, ids: Tensor) -> Tensor:
        """Scores (B, U, V) of what follows each of the tokens `ids` (B, U), which begin their sentences."""
        return self.score(self.encode(ids))

    def encode(self, ids: Tensor) -> Tensor:
        """What the output layer compares with the tokens' embeddings (B, U, E), after each of the tokens (B, U)."""
        encoded: Tensor = self.dropout(self.project(run_stack(self.dropout(self.embedding(ids)), self.gru)))
        return encoded

    def losses(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """Negative natural-log probability (B,) of sentences, their ends included; see `pad_sentences`."""
        scores = self(inputs).float().flatten(0, 1)
        each = F.cross_entropy(scores, targets.flatten(), ignore_index=PADDING, reduction="none")
        return each.view_as(targets).sum(1)

    def score(self, encoded: Tensor) -> Tensor:
        """Scores (…, V) of all tokens, from what `encode` gives (…, E)."""
        return F.linear(encoded, self.embedding.weight, self.bias)


class Steps:
    """The network as it is now, for N sentences at a time; what it learns later is not seen here.

    What a token brings to the gates of the first layer depends on the token alone, so it is looked up in a table that
    is made once, and a step multiplies nothing but the states. The weights lie ready in the arithmetic of the products.
    """

    def __init__(self, network: RecurrentNetwork, dtype: torch.dtype = torch.float32, int8: bool = False) -> None:
        """`dtype` is that of the products, float32 or bfloat16; states (L, N, H) and gates are in float32.

        With `int8` the products with the states are of whole numbers (`asr.nn.gru_int8`).
        """
        weights = {name: weight.detach() for name, weight in network.gru.named_parameters()}
        embedding = network.embedding.weight.detach()
        levels = range(network.config.layers)
        of_states = [(weights[f"weight_hh_l{level}"], weights[f"bias_hh_l{level}"]) for level in levels]
        of_inputs = [(weights[f"weight_ih_l{level}"], weights[f"bias_ih_l{level}"]) for level in levels]
        self._from_state = [_Int8Product(*each) if int8 else _Product(*each, dtype) for each in of_states]
        self._from_below = [_Product(*each, dtype) for each in of_inputs]
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
        for from_state, from_below, state in zip(self._from_state, self._from_below, states, strict=True):
            x = from_below(after[-1]) if after else self._read[tokens].float()
            after.append(_update(state, x, from_state(state)))
        output = F.linear(after[-1].to(self._embedding.dtype), *self._project)
        scores = F.linear(output, self._embedding).float() + self._bias
        return torch.log_softmax(scores, 1), torch.stack(after)


class _Product:
    """x W^T + b in `dtype`: rows (N, D) of float32 → (N, M), float32 again."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        self._weight, self._bias = weight.to(dtype), bias.to(dtype)

    def __call__(self, rows: Tensor) -> Tensor:
        return F.linear(rows.to(self._weight.dtype), self._weight, self._bias).float()


class _Int8Product:
    """The same for rows within ± 1, in whole numbers of eight bits."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        low, scales = quantized(weight)
        self._weight, self._scales, self._bias = low.t(), scales / 127, bias

    def __call__(self, rows: Tensor) -> Tensor:
        sums = torch._int_mm((rows * 127).round().to(torch.int8), self._weight)
        return torch.addcmul(self._bias, sums, self._scales)


def _update(state: Tensor, x: Tensor, h: Tensor) -> Tensor:
    """The state (N, H) after a step, from the gates' sums (N, 3H) of input and state: r, z, n as `gru` has them."""
    units = state.shape[1]
    reset, update = torch.sigmoid(x[:, : 2 * units] + h[:, : 2 * units]).chunk(2, 1)
    candidate = torch.tanh(x[:, 2 * units :] + reset * h[:, 2 * units :])
    return torch.lerp(candidate, state, update)
