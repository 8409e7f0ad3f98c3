"""What every decoder returns, and the simplest: the best token of every frame, repeats and blanks removed.

Best-path decoding: Graves et al., "Connectionist Temporal Classification", 2006, section 3.2. A whole batch at once, on
whatever device the log-probabilities live. It is beam search's special case of one path in place of a sum over all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.text.tokenizer import BLANK, pieces_to_text


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis of an utterance. `score = acoustic + language`, natural logarithms; the larger, the better."""

    tokens: tuple[int, ...]
    frames: tuple[int, ...]  # output frame (not seconds) in which each token begins, one per token
    score: float
    acoustic: float  # log-probability of the frames' alignments that this hypothesis gathers
    language: float = 0.0  # weighted language model, word bonus and hotwords; 0 without them
    text: str = ""  # filled in by decoders that know the vocabulary
    posteriors: tuple[float, ...] = ()  # of each word of the text, where the search was asked (`word_posteriors`)


def spell(vocabulary: Sequence[str], tokens: Iterable[int]) -> str:
    """The text of `tokens`: pieces joined, `▁` read as a blank, runs of blanks folded, ends stripped."""
    return pieces_to_text(vocabulary[token] for token in tokens)


def greedy(log_probs: Any, lengths: Any) -> list[Hypothesis]:
    """Decode `log_probs` `(B, T, V)`, natural log, of which row `b` has `lengths[b]` valid frames.

    Both arguments are torch tensors (any device) or numpy arrays; `lengths` may be a list. A frame belongs to the
    token that begins there; `score` is the log-probability of the best path. Zero frames decode to no tokens.
    Raises `ValueError` when the shapes disagree or a length exceeds `T`.
    """
    import torch

    log_probs = torch.as_tensor(log_probs).detach()
    if log_probs.ndim != 3:
        raise ValueError(f"log-probabilities must be (B, T, V), not {tuple(log_probs.shape)}")
    # Only these leave the device.
    value, best, counts = (each.cpu().numpy() for each in (*log_probs.float().max(dim=-1), torch.as_tensor(lengths)))
    batch, frames = best.shape
    if len(counts) != batch:
        raise ValueError(f"{len(counts)} lengths for a batch of {batch}")
    if batch and (counts.min() < 0 or counts.max() > frames):
        raise ValueError(f"lengths must lie in 0..{frames}, not {counts.min()}..{counts.max()}")
    return [_collapse(best[row, :count], value[row, :count]) for row, count in enumerate(counts)]


def _collapse(path: NDArray[np.int64], value: NDArray[np.float32]) -> Hypothesis:
    """One hypothesis from the best token `(T,)` of each frame and its log-probability `(T,)`."""
    begins = path != BLANK
    begins[1:] &= path[1:] != path[:-1]
    frames = np.flatnonzero(begins)
    score = float(value.sum(dtype=np.float64))
    return Hypothesis(tuple(path[frames].tolist()), tuple(frames.tolist()), score, score)
