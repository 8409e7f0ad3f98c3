"""Connectionist temporal classification (Graves et al. 2006): the loss, and what can be aligned at all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss

from asr.text.tokenizer import BLANK


def sequence_losses(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """−log p(target | utterance) for each utterance: log_probs (B, T, V), targets (B, U) padded → (B,), float32.

    Infinite where the target does not fit (see `needed_steps`); nothing is hidden.
    """
    # PyTorch's own kernels want targets beside the log-probabilities, lengths on any device.
    return ctc_loss(
        log_probs.float().transpose(0, 1),
        targets.to(log_probs.device),
        lengths,
        target_lengths,
        blank=BLANK,
        reduction="none",
    )


def needed_steps(tokens: Sequence[int]) -> int:
    """The fewest output steps that can spell `tokens`: one each, and a blank between two of the same."""
    return len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))


def pad_targets(targets: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token sequences → (B, U) padded with blanks, and their lengths (B,)."""
    lengths = torch.tensor([len(target) for target in targets], dtype=torch.long)
    padded = torch.full((len(targets), max(1, int(lengths.max()))), BLANK, dtype=torch.long)
    for row, target in enumerate(targets):
        padded[row, : len(target)] = torch.tensor(target, dtype=torch.long)
    return padded, lengths
