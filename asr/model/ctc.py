"""Connectionist temporal classification (Graves et al. 2006): the loss, and what can be aligned at all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import ctc_loss, kl_div

from asr.features.extractor import length_mask
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


def disagreements(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """How far two views of the same utterances differ: log_probs (2B, T, V), the second views after the first → (B,).

    Half the symmetric Kullback-Leibler divergence summed over an utterance's steps, each view being pulled towards
    the other taken as fixed (CR-CTC, Yao et al. 2025).
    """
    first, second = log_probs.chunk(2)
    inside = length_mask(lengths[: len(first)], first.shape[1])
    to_first = kl_div(second, first.detach(), reduction="none", log_target=True).sum(dim=2)
    to_second = kl_div(first, second.detach(), reduction="none", log_target=True).sum(dim=2)
    return 0.5 * ((to_first + to_second) * inside).sum(dim=1)


def needed_steps(tokens: Sequence[int] | str) -> int:
    """The fewest output steps that can spell `tokens`: one each, and a blank between two of the same."""
    return len(tokens) + sum(a == b for a, b in itertools.pairwise(tokens))


def pad_targets(targets: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token sequences → (B, U) padded with blanks, and their lengths (B,)."""
    lengths = np.array([len(target) for target in targets], np.int64)
    padded = np.full((len(targets), max(1, lengths.max())), BLANK, np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = list(itertools.chain.from_iterable(targets))
    return torch.from_numpy(padded), torch.from_numpy(lengths)
