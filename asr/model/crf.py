"""CTC-CRF: how probable what was said is among everything that could have been said.

CTC makes the labels of each frame compete, without asking which strings of labels a language has. CTC-CRF (Xiang and Ou
2019; lattice-free MMI, Povey et al. 2016 and Hadian et al. 2018, with the topology of CTC) lets whole strings compete:

    loss = −log  p(l) Σ_{π: B(π) = l} Π_t y_t(π_t)  /  Σ_{l'} p(l') Σ_{π: B(π) = l'} Π_t y_t(π_t)

with a phone n-gram p made from texts. The numerator is the sum of CTC. The denominator is a forward-backward recursion
over all strings at once: a state is the last two labels i, j and whether the frame says j (A) or the blank (K),

    A_t(j, q) = y_t(q) · [Σ_i S_{t−1}(i, j) · p(q | i, j) + A_{t−1}(j, q)]       S = A + K, for q = j only K
    K_t(i, j) = y_t(blank) · S_{t−1}(i, j)

and at the end Σ_{i,j} S_T(i, j) · p(end | i, j). Scaled to a sum of 1 in each frame it stays within float32. The
gradient of its logarithm by log y_t(k) is the posterior probability of k in frame t.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asr.errors import ModelError
from asr.features.extractor import length_mask
from asr.model import crf_cpu
from asr.model.ctc import sequence_losses
from asr.weights import read_weights, write_weights

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PhoneNgram:
    """The phone language model of the denominator: `table[i, j, q]` (V, V, V) is p(q | i, j), float32, above zero.

    `recipes/phone_ngram.py` makes it from texts. Index 0 is the start of a sentence in a history, and its end as what
    follows: the place that the blank has among the network's outputs.
    """

    table: Floats

    def __post_init__(self) -> None:
        size = len(self.table)
        if self.table.shape != (size, size, size) or not np.allclose(self.table.sum(axis=2), 1.0, atol=1e-3):
            raise ValueError("a phone n-gram is a cube whose rows are probabilities")
        if not (self.table > 0).all():
            raise ValueError("a phone n-gram must give every phone a probability above zero")

    def log_probabilities(self, targets: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> Doubles:
        """log p of each of the padded label strings (B, U), its end included → (B,), natural log."""
        batch, longest = targets.shape
        places = np.arange(longest + 1)
        ids = np.zeros((batch, longest + 3), np.int64)
        ids[:, 2:-1] = np.where(places[:-1] < lengths[:, None], targets, 0)
        each = np.log(self.table[ids[:, :-2], ids[:, 1:-1], ids[:, 2:]].astype(np.float64))
        total: Doubles = np.where(places <= lengths[:, None], each, 0.0).sum(axis=1)
        return total

    @cached_property
    def kernel_tables(self) -> tuple[Floats, Floats, Floats]:
        """What the compiled kernels read: the table as the forward and the backward pass want it, and the ends."""
        return crf_cpu.tables(self.table)

    def save(self, path: Path | str) -> None:
        """Write what `load_phone_ngram` reads."""
        write_weights(Path(path), {"phone_ngram": torch.from_numpy(self.table)}, half=False)


def load_phone_ngram(path: Path | str) -> PhoneNgram:
    """Read a file of `PhoneNgram.save`. Raises `ModelError` naming the file when it is damaged or another kind."""
    weights = read_weights(Path(path))
    try:
        return PhoneNgram(weights["phone_ngram"].float().numpy())
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} is not a phone n-gram: {error}", "Build it with recipes/phone_ngram.py.") from error


def crf_losses(
    ngram: PhoneNgram, log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """−log p(target | utterance) of each utterance, and the loss of CTC beside it, which is needed on the way.

    log_probs (B, T, V) are the outputs of a log-softmax, the blank at index 0, targets (B, U) padded → two (B,),
    float32. The first is never below zero; both are infinite where a target does not fit (see `ctc.needed_steps`).
    """
    ctc = sequence_losses(log_probs, lengths, targets, target_lengths)
    denominators: Tensor = _LogDenominator.apply(log_probs, lengths, ngram)
    priors = ngram.log_probabilities(targets.cpu().numpy(), target_lengths.cpu().numpy())
    return ctc - torch.from_numpy(priors).to(ctc) + denominators, ctc


class _LogDenominator(torch.autograd.Function):
    """log of the sum over all strings, (B,), with the posteriors as its gradient by log_probs."""

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, lengths: Tensor, ngram: PhoneNgram) -> Tensor:
        run = batched if log_probs.is_cuda else compiled
        logarithms, posteriors = run(log_probs.detach().float(), lengths.to(log_probs.device), ngram)
        ctx.save_for_backward(posteriors)
        return logarithms

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (posteriors,) = ctx.saved_tensors
        return posteriors * gradients[0][:, None, None], None, None


def compiled(log_probs: Tensor, lengths: Tensor, ngram: PhoneNgram) -> tuple[Tensor, Tensor]:
    """log denominators (B,) and posteriors (B, T, V) on a CPU, one utterance after the other."""
    crf_cpu.COMPILER.announce()
    batch, steps, size = log_probs.shape
    width = crf_cpu.padded(size)
    probs = torch.zeros(batch, steps, width)
    torch.exp(log_probs, out=probs[:, :, :size])
    posteriors, logarithms = torch.zeros(batch, steps, size), torch.empty(batch)
    # One utterance's states serve all: they stay in the cache.
    alphas = np.empty((steps, 2, size, width), np.float32)
    betas, scratch = np.empty((3, size, width), np.float32), np.empty((2, width), np.float32)
    onwards, back, ends = ngram.kernel_tables
    for b, length in enumerate(lengths.tolist()):
        if length == 0:  # the empty string is the only one
            logarithms[b] = float(np.log(ngram.table[0, 0, 0]))
            continue
        said = probs[b, :length].numpy()
        logarithms[b] = crf_cpu.forward(said, onwards, ends, alphas, scratch)
        crf_cpu.backward(said, back, ends, alphas, betas, scratch, posteriors[b].numpy())
    return logarithms, posteriors


def batched(log_probs: Tensor, lengths: Tensor, ngram: PhoneNgram) -> tuple[Tensor, Tensor]:
    """The same in PyTorch's own operations, for a GPU: all utterances of a frame together."""
    batch, steps, size = log_probs.shape
    table = torch.from_numpy(ngram.table).to(log_probs.device)
    ends = table[:, :, 0].clone()
    # As matrices for a product by the label in the middle: [j, i, q]. What is no label, q = 0, comes after nothing.
    onwards = table.permute(1, 0, 2).contiguous()
    onwards[:, :, 0] = 0.0
    again = onwards.diagonal(dim1=0, dim2=2).t().contiguous()  # [j, i]: the same label once more
    again[0] = 0.0
    inside = length_mask(lengths, steps)
    probs = torch.where(inside.unsqueeze(2), log_probs, 0.0).exp()
    labels = probs.clone()
    labels[:, :, 0] = 0.0
    said = log_probs.new_zeros(steps, batch, size, size)  # A as [b, i, j], and K
    pause = torch.zeros_like(said)
    scales = log_probs.new_empty(steps, batch)
    start = log_probs.new_zeros(batch, size, size)
    start[:, 0, 0] = 1.0
    before_said, before_pause = torch.zeros_like(start), start
    for t in range(steps):
        both = before_said + before_pause
        sums = torch.bmm(both.permute(2, 0, 1), onwards).permute(1, 0, 2)  # [b, j, q]
        sums = sums - torch.diag_embed((before_said * again.t()).sum(dim=1))
        new_said = labels[:, t].unsqueeze(1) * (sums + before_said)
        new_pause = probs[:, t, :1].unsqueeze(2) * both
        scales[t] = (new_said + new_pause).sum(dim=(1, 2))
        before_said = said[t] = new_said / scales[t, :, None, None]
        before_pause = pause[t] = new_pause / scales[t, :, None, None]
    last = (lengths - 1).clamp_min(0)
    rows = torch.arange(batch, device=log_probs.device)
    total = ((said[last, rows] + pause[last, rows]) * ends).sum(dim=(1, 2)).log()
    logarithms = total + (scales.log() * inside.t()).sum(dim=0)
    logarithms = torch.where(lengths > 0, logarithms, ends[0, 0].log())
    posteriors = torch.zeros_like(log_probs)
    beta_said = beta_pause = ends.expand(batch, size, size)
    for t in range(steps - 1, -1, -1):
        if t < steps - 1:
            ahead = labels[:, t + 1].unsqueeze(1) * beta_said  # [b, q, r], and what stays
            sums = torch.bmm(ahead.permute(1, 0, 2), onwards.transpose(1, 2)).permute(1, 2, 0)  # [b, j, q]
            beta_pause = probs[:, t + 1, :1].unsqueeze(2) * beta_pause + sums
            beta_said = beta_pause + ahead - again.t() * ahead.diagonal(dim1=1, dim2=2).unsqueeze(1)
            final = (last == t)[:, None, None]
            beta_said, beta_pause = torch.where(final, ends, beta_said), torch.where(final, ends, beta_pause)
        posteriors[:, t] = (said[t] * beta_said).sum(dim=1)
        posteriors[:, t, 0] = (pause[t] * beta_pause).sum(dim=(1, 2))
        scale = posteriors[:, t].sum(dim=1, keepdim=True)
        posteriors[:, t] /= scale
        beta_said, beta_pause = beta_said / scale.unsqueeze(2), beta_pause / scale.unsqueeze(2)
    return logarithms, posteriors * inside.unsqueeze(2)
