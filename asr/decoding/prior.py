"""What the network expects before it hears anything, and how a part of it is taken away.

CTC learns p(piece | sound), and in it p(piece): where the sound says little, the blank and the frequent pieces win. The
language model knows how frequent words are, and knows it better; what both say counts twice. So the search divides by a
power of the prior,

    log p(piece | sound) − weight · log p(piece),

as hybrid recognizers do to get from posteriors to likelihoods (Bourlard and Morgan 1994) and Miao et al. 2015 do for
CTC, whose prior includes the blank. It needs a language model: without one, frequent pieces are right to win.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

RAREST = 1e-6
"""No piece is taken for rarer: one that was never heard would otherwise win everywhere."""


def measure_prior(log_probs: Iterable[NDArray[np.float32]]) -> NDArray[np.float64]:
    """The log-probability (V,) of each piece on average over the steps of utterances (T, V), natural log.

    Raises `ValueError` when there is no step.
    """
    total, steps = np.zeros(1), 0
    for each in log_probs:
        total = total + np.exp(each.astype(np.float64)).sum(axis=0)
        steps += len(each)
    if steps == 0:
        raise ValueError("no prior without speech")
    return np.log(np.maximum(total / steps, RAREST))


def without_prior(log_probs: NDArray[np.float32], prior: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Scores (T, V) with `weight` times the prior (V,) taken away.

    In each step they are moved so that the best is as high as the best was: what pruning compares with stays what it
    is, and to move all scores of a step changes no choice.
    """
    scores: NDArray[np.float32] = log_probs - np.float32(weight) * prior
    scores += log_probs.max(axis=1, keepdims=True) - scores.max(axis=1, keepdims=True)
    return scores
