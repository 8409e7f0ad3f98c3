"""Where in the sound each token of a known text lies: Viterbi over the CTC lattice, a whole batch at once.

Graves et al. 2006, section 4.1 with max in place of sum; the lattice is blank, token, blank, token, …, blank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.model.ctc import needed_steps
from asr.text.tokenizer import BLANK

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_IMPOSSIBLE = np.float32(-1e30)


@dataclass(frozen=True)
class TokenAlignment:
    """The best path of one utterance: (U,) first step, step behind the last, and mean log-probability of each token."""

    begins: Integers
    ends: Integers
    log_probs: Floats
    score: float
    """Natural logarithm of the probability of the whole path."""


def align_tokens(
    log_probs: Floats, lengths: Sequence[int], targets: Sequence[Sequence[int]]
) -> list[TokenAlignment | None]:
    """Align each target with its utterance: log_probs (B, T, V), natural log, of which `lengths[b]` steps are valid.

    None where a target does not fit into its steps.
    """
    batch = log_probs.shape[0]
    fits = [needed_steps(target) <= length for target, length in zip(targets, lengths, strict=True)]
    states = 2 * max((len(target) for target in targets), default=0) + 1
    labels = np.full((batch, states), BLANK, dtype=np.int64)
    for row, target in enumerate(targets):
        labels[row, 1 : 2 * len(target) : 2] = target
    path = _best_paths(log_probs, np.asarray(lengths), labels, np.array([len(target) for target in targets]))
    return [
        _read_path(log_probs[row, : lengths[row]], path[row, : lengths[row]], labels[row], len(targets[row]))
        if fits[row]
        else None
        for row in range(batch)
    ]


def _best_paths(log_probs: Floats, lengths: Integers, labels: Integers, sizes: Integers) -> Integers:
    """The state (B, T) of each step on the best path of each utterance."""
    batch, steps, _ = log_probs.shape
    if not steps:
        return np.zeros((batch, 0), dtype=np.int64)
    states = labels.shape[1]
    rows = np.arange(batch)
    # A token may follow another directly, over the blank between them, unless the two are the same.
    skips = np.zeros((batch, states), dtype=np.bool_)
    skips[:, 2:] = (labels[:, 2:] != BLANK) & (labels[:, 2:] != labels[:, :-2])
    score = np.full((batch, states), _IMPOSSIBLE, dtype=np.float32)
    score[:, :2] = np.take_along_axis(log_probs[:, 0], labels[:, :2], axis=1)
    moves = np.zeros((steps, batch, states), dtype=np.int8)
    choices = np.full((3, batch, states), _IMPOSSIBLE, dtype=np.float32)
    for step in range(1, steps):
        choices[0] = score
        choices[1, :, 1:] = score[:, :-1]
        choices[2, :, 2:] = np.where(skips[:, 2:], score[:, :-2], _IMPOSSIBLE)
        moves[step] = choices.argmax(axis=0)
        alive = step < lengths
        reached = choices.max(axis=0) + np.take_along_axis(log_probs[:, step], labels, axis=1)
        score[alive] = reached[alive]
    last = 2 * sizes
    before = np.maximum(last - 1, 0)
    state = np.where(score[rows, last] >= score[rows, before], last, before)
    path = np.zeros((batch, steps), dtype=np.int64)
    for step in range(steps - 1, -1, -1):
        path[:, step] = state
        state = state - np.where(step < lengths, moves[step, rows, state], 0)
    return path


def _read_path(log_probs: Floats, path: Integers, labels: Integers, size: int) -> TokenAlignment:
    values = log_probs[np.arange(len(path)), labels[path]]
    begins, ends, means = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.float32)
    for token in range(size):
        steps = np.flatnonzero(path == 2 * token + 1)
        begins[token], ends[token] = steps[0], steps[-1] + 1
        means[token] = values[steps].mean()
    return TokenAlignment(begins, ends, means, float(values.sum(dtype=np.float64)))
