"""Batches of like durations, measured in seconds of audio, in an order that depends on seed and epoch alone.

Being pure functions of (seed, epoch), epochs need no saved state: a resumed run skips the batches already done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

TOGETHER = 4
"""Batches of like length that follow one another, so that processes which wait for each other's gradients finish
together; a multiple of the processes keeps them in step."""


@dataclass(frozen=True)
class BatchConfig:
    """How utterances are gathered into batches."""

    seconds: float = 320.0
    """Seconds of audio in a batch, padding included: what fixes the cost of a step."""
    utterances: int = 96
    """At most this many utterances, whatever their length."""
    spread: float = 0.05
    """Durations are shuffled by ± this share before sorting, so that the batches differ from epoch to epoch."""

    def __post_init__(self) -> None:
        if not self.seconds > 0 or self.utterances < 1 or not 0 <= self.spread < 1:
            raise ValueError("seconds and utterances must be positive, and spread at least 0 and below 1")


def draw_epoch(counts: Sequence[int], weights: Sequence[float], seed: int, epoch: int) -> np.ndarray:
    """Indices of the utterances heard in an epoch, corpora of `counts` utterances laid end to end.

    A weight of 2 hears a corpus twice an epoch; 0.3 hears a fresh random 30 % of it each time.
    """
    generator = np.random.default_rng([seed, epoch, 1])
    chosen: list[np.ndarray] = []
    start = 0
    for count, weight in zip(counts, weights, strict=True):
        whole, part = divmod(weight, 1.0)
        everything = np.arange(start, start + count)
        chosen += [everything] * int(whole)
        chosen.append(generator.permutation(everything)[: round(part * count)])
        start += count
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)


def make_batches(
    durations: np.ndarray, indices: np.ndarray, config: BatchConfig, seed: int, epoch: int, ascending: bool = False
) -> list[np.ndarray]:
    """Group `indices` into batches; `durations` (in seconds) belongs to the whole corpus.

    Utterances longer than `config.seconds` form batches of their own. `ascending` keeps the shortest first, a
    curriculum for a first epoch.
    """
    generator = np.random.default_rng([seed, epoch, 2])
    shuffled = generator.permutation(indices)
    blurred = durations[shuffled] * generator.uniform(1 - config.spread, 1 + config.spread, len(shuffled))
    order = shuffled[np.argsort(blurred, kind="stable")]
    batches: list[np.ndarray] = []
    first, longest = 0, 0.0
    for position, index in enumerate(order):
        longest = max(longest, float(durations[index]))
        size = position - first + 1
        if size > 1 and (size * longest > config.seconds or size > config.utterances):
            batches.append(order[first:position])
            first, longest = position, float(durations[index])
    if len(order):
        batches.append(order[first:])
    if ascending:
        return batches
    groups = [batches[start : start + TOGETHER] for start in range(0, len(batches), TOGETHER)]
    # The one group that may be short goes last, where it puts no other out of step.
    whole = len(batches) // TOGETHER
    order_of_groups = [*generator.permutation(whole), *range(whole, len(groups))]
    return [batch for number in order_of_groups for batch in groups[number]]
