"""From texts to language model files: what `asr lm train` does, stage by stage."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np

from asr.errors import UsageError
from asr.lm.arpa import write_arpa
from asr.lm.binary import estimated_size, write_binary
from asr.lm.kneser_ney import train_ngram
from asr.lm.ngram import NgramModel
from asr.lm.prune import prune, prune_to_size
from asr.lm.text import read_sentences, tokenize
from asr.text.normalize import get_normalizer

SIZE = re.compile(r"([\d.]+)\s*([kMG]?)B?", re.IGNORECASE)
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
HIGHEST_ORDER = 6

Note = Callable[[str], None]


@dataclass(frozen=True)
class NgramConfig:
    """What kind of model to estimate."""

    order: int = 3
    vocabulary: int | None = None  # at most so many words, the most frequent ones; the rest is `<unk>`
    cutoffs: list[int] = field(default_factory=list)  # for orders 2, 3, …; empty: nothing is cut off
    threshold: float | None = None  # entropy pruning: the relative rise of the perplexity that one n-gram is worth
    size: int | None = None  # or prune until the binary form has no more than so many bytes

    def __post_init__(self) -> None:
        if not 1 <= self.order <= HIGHEST_ORDER:
            raise UsageError(f"an n-gram model of order {self.order}: choose 1 to {HIGHEST_ORDER}")
        if self.vocabulary is not None and self.vocabulary < 1:
            raise UsageError("the vocabulary needs at least one word")
        check_pruning(self.threshold, self.size)


def check_pruning(threshold: float | None, size: int | None) -> None:
    """Raises `UsageError` for a threshold beside a size, and for one below 0."""
    if threshold is not None and size is not None:
        raise UsageError("choose one of a pruning threshold and a size")
    if threshold is not None and not threshold >= 0:
        raise UsageError(f"a pruning threshold must not be negative, as {threshold} is")


def build_ngram(
    texts: Sequence[Path], config: NgramConfig, normalizer: str = "librispeech", note: Note = print
) -> NgramModel:
    """Estimate and prune a model from texts; `note` is told what is being done and what came out."""
    normalize = get_normalizer(normalizer)
    note(f"reading {', '.join(path.name for path in texts)}")
    tokens = tokenize(chain.from_iterable(read_sentences(path, normalize) for path in texts), config.vocabulary)
    words = len(tokens.ids) - 2 * tokens.sentences
    note(
        f"{tokens.sentences:,} sentences, {words:,} words, vocabulary {len(tokens.words):,}, "
        f"unknown {tokens.unknown / max(1, words):.2%}"
    )
    note(f"estimating a {config.order}-gram model")
    estimate = train_ngram(tokens, config.order, config.cutoffs or None)
    model = estimate.model
    note(describe_ngrams(model))
    for order, discounts in enumerate(estimate.discounts, start=1):
        note(f"  discounts of {order}-grams: {' '.join(f'{discount:.3f}' for discount in discounts)}")
    return shrink(model, config.threshold, config.size, estimate.context_log_prob, note)


def shrink(
    model: NgramModel,
    threshold: float | None,
    size: int | None,
    context_log_prob: np.ndarray | None = None,
    note: Note = print,
) -> NgramModel:
    """Prune `model` by a threshold, or to a size of the binary form in bytes, or not at all.

    Raises `UsageError` as `check_pruning` does.
    """
    check_pruning(threshold, size)
    if threshold is not None:
        model = prune(model, threshold, context_log_prob)
        note(f"pruned: {describe_ngrams(model)}")
    elif size is not None:
        model, threshold = prune_to_size(model, lambda counts: estimated_size(counts) <= size, context_log_prob)
        note(f"pruned at {threshold:.3g}: {describe_ngrams(model)}")
    return model


def write_model(model: NgramModel, path: Path) -> None:
    """Write an ARPA file where the name ends in `.arpa` or `.arpa.gz`, else the binary form."""
    if path.name.endswith((".arpa", ".arpa.gz")):
        write_arpa(model, path)
    else:
        write_binary(model, path)


def describe_ngrams(model: NgramModel) -> str:
    """The numbers of n-grams, for people."""
    return ", ".join(f"{count:,} {order}-grams" for order, count in enumerate(model.counts, start=1))


def parse_size(text: str) -> int:
    """`25MB`, `800k` or a number of bytes. Raises `UsageError` for anything else."""
    match = SIZE.fullmatch(text.strip())
    try:
        if match:
            return int(float(match[1]) * UNITS[match[2].upper()])
    except ValueError:
        pass
    raise UsageError(f"{text!r} is not a size", "Write it as 25MB or 800kB.")


def parse_cutoffs(text: str) -> list[int]:
    """`0,1,1`: the cut-offs of orders 2, 3, 4. Raises `UsageError` for anything else."""
    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise UsageError(f"{text!r} is not a list of cut-offs", "One number for each order from 2: 0,1,1.") from None
