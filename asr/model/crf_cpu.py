"""CTC-CRF's denominator on a CPU: forward and backward over one utterance, compiled.

A frame costs V products of a vector with a V × V matrix, and the cube of 41 labels stays in a core's cache:
16 µs a frame both ways, a twentieth of a training step. Rows are padded with zeros to whole vectors of the processor.
Shapes: T frames, V outputs with the blank first, W ≥ V padded; states are A ("said") and K ("pause") of `crf`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.nn.numba_cache import Compiler

LANES = 16

COMPILER = Compiler("the CTC-CRF loss", [Path(__file__)], fastmath=("contract", "nsz", "reassoc"))
inner, kernel = COMPILER.inner, COMPILER.kernel

Floats = npt.NDArray[np.float32]


def padded(size: int) -> int:
    """`size` rounded up to whole vectors."""
    return -(-size // LANES) * LANES


def tables(ngram: Floats) -> tuple[Floats, Floats, Floats]:
    """p(q | i, j) as [i, j, q] → as [j, i, q] for the forward pass, as [j, q, i] for the backward one, and its ends.

    All are padded to whole vectors. What is no label, q = 0, comes after nothing; `ends` (V, W) is p(end | i, j).
    """
    size, width = len(ngram), padded(len(ngram))
    onwards, back = np.zeros((2, size, width, width), np.float32)
    onwards[:, :size, 1:size] = ngram.transpose(1, 0, 2)[:, :, 1:]
    back[:, 1:size, :size] = ngram.transpose(1, 2, 0)[:, 1:, :]
    ends = np.zeros((size, width), np.float32)
    ends[:, :size] = ngram[:, :, 0]
    return onwards, back, ends


@inner
def product(vector: Any, matrix: Any, result: Any) -> None:
    """`vector` (W,) times `matrix` (W, W) into `result` (W,), four rows in one pass over the sum."""
    width = len(result)
    for q in range(width):
        result[q] = np.float32(0)
    for i in range(0, width, 4):
        a, b, c, d = vector[i], vector[i + 1], vector[i + 2], vector[i + 3]
        if a != 0 or b != 0 or c != 0 or d != 0:
            for q in range(width):
                result[q] += a * matrix[i, q] + b * matrix[i + 1, q] + c * matrix[i + 2, q] + d * matrix[i + 3, q]


@inner
def first_frame(probs: Any, table: Any, said: Any, pause: Any) -> None:
    """The states (V, W) after the first frame, whose outputs are `probs` (W,)."""
    fill(said, pause, np.float32(0))
    for q in range(1, len(said)):
        said[0, q] = probs[q] * table[0, 0, q]
    pause[0, 0] = probs[0]


@inner
def next_frame(
    probs: Any, table: Any, said_before: Any, pause_before: Any, said: Any, pause: Any, scratch: Any
) -> None:
    """The states after a frame from those before it, all (V, W) as [label before, last label]; scratch (2, W)."""
    size, width = said.shape
    vector, result = scratch[0], scratch[1]
    for j in range(size):
        for i in range(size):
            vector[i] = said_before[i, j] + pause_before[i, j]
        for i in range(size, width):
            vector[i] = np.float32(0)
        product(vector, table[j], result)
        if j > 0:  # the same label is another one only after a blank
            again = np.float32(0)
            for i in range(size):
                again += pause_before[i, j] * table[j, i, j]
            result[j] = again
        held, resting, to_said, to_pause = said_before[j], pause_before[j], said[j], pause[j]
        for q in range(width):
            to_said[q] = probs[q] * (result[q] + held[q])
        to_said[0] = np.float32(0)
        for q in range(width):
            to_pause[q] = probs[0] * (held[q] + resting[q])


@inner
def fill(said: Any, pause: Any, value: Any) -> None:
    """Set both (V, W) to `value`."""
    for j in range(len(said)):
        one, other = said[j], pause[j]
        for q in range(len(one)):
            one[q] = value
            other[q] = value


@inner
def scale(said: Any, pause: Any, factor: Any) -> None:
    """Multiply both (V, W) in place."""
    for j in range(len(said)):
        one, other = said[j], pause[j]
        for q in range(len(one)):
            one[q] *= factor
            other[q] *= factor


@kernel
def forward(probs: Any, table: Any, ends: Any, alphas: Any, scratch: Any) -> Any:
    """log Σ over all label strings of p(string) · Σ over its alignments of Π probs, natural log, float64.

    probs (T, W), T ≥ 1; alphas (≥ T, 2, V, W) becomes the states after each frame, scaled to a sum of 1.
    """
    steps = len(probs)
    logarithm = 0.0
    for t in range(steps):
        said, pause = alphas[t, 0], alphas[t, 1]
        if t == 0:
            first_frame(probs[t], table, said, pause)
        else:
            next_frame(probs[t], table, alphas[t - 1, 0], alphas[t - 1, 1], said, pause, scratch)
        total = np.float32(0)
        for j in range(len(said)):
            one, other = said[j], pause[j]
            for q in range(len(one)):
                total += one[q] + other[q]
        scale(said, pause, np.float32(1) / total)
        logarithm += np.log(np.float64(total))
    last = alphas[steps - 1]
    ending = np.float32(0)
    for j in range(len(ends)):
        for q in range(ends.shape[1]):
            ending += (last[0, j, q] + last[1, j, q]) * ends[j, q]
    return logarithm + np.log(np.float64(ending))


@inner
def frame_before(probs: Any, table: Any, said: Any, pause: Any, ahead: Any, result: Any) -> None:
    """Move the backward states, (V, W) as [last label, label before], from after a frame to before it.

    `ahead` (V, W) and `result` (W,) are scratch.
    """
    size, width = said.shape
    # Every row reads all labels that may follow, so that their shares come before any row is written.
    for j in range(size):
        for q in range(size):
            ahead[j, q] = probs[q] * said[q, j]
        for q in range(size, width):
            ahead[j, q] = np.float32(0)
        ahead[j, 0] = np.float32(0)
    for j in range(size):
        product(ahead[j], table[j], result)
        to_said, to_pause, same = said[j], pause[j], table[j, j]
        again = ahead[j, j]
        held = probs[j] if j > 0 else np.float32(0)
        for i in range(width):
            through = probs[0] * to_pause[i] + result[i]
            to_said[i] = through + held * to_said[i] - again * same[i]
            to_pause[i] = through


@kernel
def backward(probs: Any, table: Any, ends: Any, alphas: Any, betas: Any, scratch: Any, posteriors: Any) -> None:
    """Fill posteriors (T, V), the probability of each output in each frame, from what `forward` left in `alphas`.

    `table` is the backward one; betas (3, V, W) and scratch (2, W) are working memory.
    """
    steps, size = len(probs), len(table)
    said, pause = betas[0], betas[1]
    for j in range(size):
        for i in range(said.shape[1]):
            end = ends[i, j] if i < size else np.float32(0)
            said[j, i] = end
            pause[j, i] = end
    for t in range(steps - 1, -1, -1):
        if t < steps - 1:
            frame_before(probs[t + 1], table, said, pause, betas[2], scratch[1])
        here, seen = posteriors[t], alphas[t]
        for q in range(size):
            here[q] = np.float32(0)
        for j in range(size):
            for q in range(size):
                here[q] += seen[0, j, q] * said[q, j]
                here[0] += seen[1, j, q] * pause[q, j]
        total = np.float32(0)
        for q in range(size):
            total += here[q]
        for q in range(size):
            here[q] /= total
        scale(said, pause, np.float32(1) / total)
