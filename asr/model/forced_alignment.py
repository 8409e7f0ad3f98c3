"""Where in the sound each token of a known text lies: Viterbi over the CTC lattice, compiled.

Graves et al. 2006, section 4.1 with max in place of sum; the lattice is blank, token, blank, token, …, blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.model.ctc import needed_steps
from asr.nn.numba_cache import Compiler
from asr.text.tokenizer import BLANK

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

COMPILER = Compiler("the alignment", [Path(__file__)])
_IMPOSSIBLE = np.float32(-1e30)


@dataclass(frozen=True)
class TokenAlignment:
    """The best path of one utterance: (U,) first step, step behind the last, and mean log-probability of each token."""

    begins: Integers
    ends: Integers
    log_probs: Floats
    score: float
    """Natural logarithm of the probability of the whole path."""


def align_tokens(log_probs: Floats, target: Sequence[int]) -> TokenAlignment | None:
    """Align the tokens `target` with the log_probs (T, V), natural log, of an utterance; None where they do not fit."""
    COMPILER.announce()
    steps, tokens = len(log_probs), len(target)
    if needed_steps(target) > steps:
        return None
    log_probs = np.ascontiguousarray(log_probs, np.float32)
    labels = np.full(2 * tokens + 1, BLANK)
    labels[1::2] = target
    path = np.zeros(steps, np.int64)
    if steps:
        _best_path(log_probs, labels, np.empty(len(labels), np.float32), np.empty((steps, len(labels)), np.int8), path)
    values = log_probs[np.arange(steps), labels[path]]
    # Every token has a step of its own, and its steps are neighbors.
    begins = np.searchsorted(path, 2 * np.arange(tokens) + 1)
    ends = np.searchsorted(path, 2 * np.arange(tokens) + 1, side="right")
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    means = ((sums[ends] - sums[begins]) / (ends - begins)).astype(np.float32)
    return TokenAlignment(begins, ends, means, float(sums[-1]))


@COMPILER.kernel
def _best_path(log_probs: Any, labels: Any, score: Any, moves: Any, path: Any) -> None:
    """The state of each step on the best path, into `path` (T,): one of `labels` (S,), blank, token, …, blank.

    `score` (S,) and `moves` (T, S) are scratch: of each state the best path's score, and how many states it advanced.
    """
    steps, states = moves.shape
    score[:] = _IMPOSSIBLE
    for s in range(min(2, states)):
        score[s] = log_probs[0, labels[s]]
    for t in range(1, steps):
        for s in range(states - 1, -1, -1):  # from behind: what comes before is still of the last step
            best, move = score[s], 0
            if s > 0 and score[s - 1] > best:
                best, move = score[s - 1], 1
            # A token may follow another directly, over the blank between them, unless the two are the same.
            if s > 1 and labels[s] != BLANK and labels[s] != labels[s - 2] and score[s - 2] > best:
                best, move = score[s - 2], 2
            score[s] = best + log_probs[t, labels[s]]
            moves[t, s] = move
    state = states - 1
    if states > 1 and score[states - 2] > score[states - 1]:
        state = states - 2
    for t in range(steps - 1, -1, -1):
        path[t] = state
        if t > 0:
            state -= moves[t, state]
