"""A softmax over a sample of the tokens, for training with many word pieces.

The loss of a position needs Σ e^score over all V tokens. Here it is over a sample: the target, and others that are
there with probability π_k. With log π_k taken from each score, what is learned is the same as from all tokens (Jean et
al., "On using very large target vocabulary for neural machine translation", 2015); the loss itself is another number.
All positions of a batch share one sample, so that it is one product: the tokens that the batch itself has to foretell,
and draws from a flattened distribution of the tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from asr.lm.rnn import RecurrentNetwork

FLATTENED = 0.6
"""The power of a token's share by which it is drawn: rare ones more often than they come."""


class SampledSoftmax:
    """Draws the tokens of each batch, and knows how likely each was to be among them."""

    def __init__(self, counts: Tensor, draws: int) -> None:
        """`counts` (V,): how often each token is foretold in the texts. Up to `draws` tokens join those of a batch."""
        self.draws = draws
        self._share = (counts.double() + 1) / (counts.double() + 1).sum()
        flattened = self._share**FLATTENED
        self._drawn = flattened / flattened.sum()
        self._cumulative = self._drawn.cumsum(0)

    def loss(self, network: RecurrentNetwork, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Summed over all tokens of a batch, as `pad_sentences` makes it, the loss by a sample."""
        known = targets >= 0
        wanted = targets[known]
        encoded = network.encode(inputs)[known]
        ids, log_included = self.sample(wanted, generator)
        embedding, bias = network.embedding.weight.index_select(0, ids), network.bias.index_select(0, ids)
        scores = F.linear(encoded, embedding).float() + (bias - log_included)
        return F.cross_entropy(scores, torch.searchsorted(ids, wanted), reduction="sum")

    def sample(self, wanted: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sorted token ids (S,), `wanted` (N,) among them, and the log-probability that each came to be there."""
        chance = torch.rand(self.draws, generator=generator, device=generator.device, dtype=torch.float64)
        drawn = torch.searchsorted(self._cumulative, chance.cpu()).clamp(max=len(self._share) - 1)
        ids = torch.cat([drawn.to(wanted.device), wanted]).unique()
        # So often a token is expected, as a target or drawn; Poisson's formula says how likely it is there at all.
        expected = len(wanted) * self._share + self.draws * self._drawn
        log_included = torch.log(-torch.expm1(-expected)).float()
        return ids, log_included.to(ids.device).index_select(0, ids)
