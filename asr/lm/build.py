"""From texts to language model files: what `asr lm train` does, stage by stage."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from asr.errors import DataError, UsageError
from asr.lm.arpa import write_arpa
from asr.lm.binary import pack, write_binary
from asr.lm.interpolate import fit_weights, interpolate, word_scores
from asr.lm.kneser_ney import Estimate, check_cutoffs, train_ngram
from asr.lm.ngram import SPECIAL_WORDS, Doubles, NgramModel
from asr.lm.prune import divergences, prune, prune_to_size
from asr.lm.text import Tokens, most_frequent, number_words, read_sentences, renumber
from asr.text.normalize import Normalizer, get_normalizer

SIZE = re.compile(r"([\d.]+)\s*([kMG]?)B?", re.IGNORECASE)
UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
HIGHEST_ORDER = 6
ROUNDS = 6
SNUG = 0.985
"""The share of the size asked for that is near enough."""

Note = Callable[[str], None]


@dataclass(frozen=True)
class NgramConfig:
    """What kind of model to estimate."""

    order: int = 3
    vocabulary: int | None = None  # at most so many words, the most frequent ones; the rest is `<unk>`
    # Of each source for orders 2, 3, …, or one list for all; empty: nothing is cut off.
    cutoffs: list[list[int]] = field(default_factory=list)
    threshold: float | None = None  # entropy pruning: the relative rise of the perplexity that one n-gram is worth
    size: int | None = None  # or prune until the binary form has no more than so many bytes
    words: list[str] | None = None  # the vocabulary, special words first, in place of a number
    weights: list[float] = field(default_factory=list)  # of several sources; empty: as `weights_for` likes best
    weights_for: list[Path] = field(default_factory=list)  # texts that decide them

    def __post_init__(self) -> None:
        if not 1 <= self.order <= HIGHEST_ORDER:
            raise UsageError(f"an n-gram model of order {self.order}: choose 1 to {HIGHEST_ORDER}")
        if (self.vocabulary is not None and self.vocabulary < 1) or self.words == SPECIAL_WORDS:
            raise UsageError("the vocabulary needs at least one word")
        for cutoffs in self.cutoffs:
            check_cutoffs(cutoffs, self.order)
        check_pruning(self.threshold, self.size)


def check_pruning(threshold: float | None, size: int | None) -> None:
    """Raises `UsageError` for a threshold beside a size, and for one below 0."""
    if threshold is not None and size is not None:
        raise UsageError("choose one of a pruning threshold and a size")
    if threshold is not None and not threshold >= 0:
        raise UsageError(f"a pruning threshold must not be negative, as {threshold} is")


def build_ngram(
    sources: Sequence[Sequence[Path]],
    config: NgramConfig,
    normalizer: str = "librispeech",
    note: Note = print,
) -> NgramModel:
    """Estimate and prune a model; `note` is told what is being done and what came out.

    Each source is one kind of text, in any number of files. Several give a model each, which are interpolated.
    """
    check_sources(config, len(sources))
    normalize = get_normalizer(normalizer)
    for path in chain(*sources, config.weights_for):  # before the first of them is read, which may take long
        if not path.exists():
            raise DataError(f"the text {path} does not exist")
    with TemporaryDirectory(prefix="asr-lm-") as name:
        numbered = []
        for index, texts in enumerate(sources):
            note(f"reading {', '.join(path.name for path in texts)}")
            folder = Path(name) / str(index)
            folder.mkdir()
            sentences = chain.from_iterable(read_sentences(path, normalize) for path in texts)
            numbered.append(number_words(sentences, folder))
        equal = [1 / len(sources)] * len(sources)
        words = config.words or most_frequent(numbered, config.weights or equal, config.vocabulary)
        cutoffs: list[list[int] | None] = [*config.cutoffs] or [None]
        cutoffs *= len(sources) if len(cutoffs) == 1 else 1
        estimates = [
            _estimate(renumber(text, words), config, own, note) for text, own in zip(numbered, cutoffs, strict=True)
        ]
    if len(estimates) == 1:
        model, context_log_prob = estimates[0].model, estimates[0].context_log_prob
    else:
        model, context_log_prob = _interpolated(estimates, config, normalize, note)
    return shrink(model, config.threshold, config.size, context_log_prob, note)


def _estimate(tokens: Tokens, config: NgramConfig, cutoffs: list[int] | None, note: Note) -> Estimate:
    words = len(tokens.ids) - 2 * tokens.sentences
    note(
        f"{tokens.sentences:,} sentences, {words:,} words, vocabulary {len(tokens.words):,}, "
        f"unknown {tokens.unknown / max(1, words):.2%}"
    )
    note(f"estimating a {config.order}-gram model")
    estimate = train_ngram(tokens, config.order, cutoffs)
    note(describe_ngrams(estimate.model))
    for order, discounts in enumerate(estimate.discounts, start=1):
        note(f"  discounts of {order}-grams: {' '.join(f'{discount:.3f}' for discount in discounts)}")
    return estimate


def _interpolated(
    estimates: Sequence[Estimate], config: NgramConfig, normalize: Normalizer, note: Note
) -> tuple[NgramModel, Doubles]:
    models = [estimate.model for estimate in estimates]
    weights = config.weights
    if not weights:
        sentences = [sentence for path in config.weights_for for sentence in read_sentences(path, normalize)]
        scores = [word_scores(model, sentences) for model in models]
        weights = fit_weights(np.stack(scores))
        each = " ".join(f"{np.exp(-np.mean(score)):.1f}" for score in scores)
        note(f"perplexity of each on {', '.join(path.name for path in config.weights_for)}: {each}")
    note(f"interpolating by {' '.join(f'{weight:.3f}' for weight in weights)}")
    merged, context_log_prob = interpolate(models, weights, [estimate.context_log_prob for estimate in estimates])
    note(describe_ngrams(merged))
    return merged, context_log_prob


def shrink(
    model: NgramModel,
    threshold: float | None,
    size: int | None,
    context_log_prob: Doubles | None = None,
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
        model, threshold = _prune_to_bytes(model, size, context_log_prob)
        note(f"pruned at {threshold:.3g}: {describe_ngrams(model)}")
    return model


def _prune_to_bytes(model: NgramModel, size: int, context_log_prob: Doubles | None) -> tuple[NgramModel, float]:
    """The largest model, give or take a per cent, whose binary form has no more than `size` bytes; and its threshold.

    Raises `UsageError` when not even the unigrams fit.
    """
    best, scale = None, 1.0
    loss = divergences(model, context_log_prob)
    for _ in range(ROUNDS):
        pruned, threshold = prune_to_size(model, _fits(size / scale), loss)
        actual = len(pack(pruned))
        if actual <= size and (best is None or pruned.counts > best[0].counts):
            best = pruned, threshold
        if actual <= size and (threshold == 0 or actual > SNUG * size):
            break
        # What an n-gram takes depends on the model, and a little on how many of them stay.
        scale *= actual / size * (1.002 if actual > size else 0.999)
    if best is None:
        raise UsageError("the vocabulary alone is larger than that size", "Ask for a larger size or fewer words.")
    return best


def _fits(size: float) -> Callable[[list[int]], bool]:
    return lambda counts: estimated_size(counts) <= size


def estimated_size(counts: list[int]) -> int:
    """Very roughly how many bytes the quantized form of `counts` n-grams of orders 1, 2, … takes."""
    each = [5.0] + [1.55] * (len(counts) - 1)
    if len(counts) > 1:
        each[-1] = 1.2
    return int(np.dot(each, counts))


def write_model(model: NgramModel, path: Path) -> None:
    """Write an ARPA file where the name ends in `.arpa` or `.arpa.gz`, else the binary form."""
    if path.name.endswith((".arpa", ".arpa.gz")):
        write_arpa(model, path)
    else:
        write_binary(model, path)


def check_sources(config: NgramConfig, sources: int) -> None:
    """Raises `UsageError` unless weights and cut-offs fit the number of sources; several need weights, one has none."""
    told = bool(config.weights) + bool(config.weights_for)
    if sources == 1 and told:
        raise UsageError("weights are for texts of several kinds", "Write a + between them.")
    if sources > 1 and told != 1:
        raise UsageError("texts of several kinds need weights", "Give --weights, or --weights-for a text.")
    if config.weights and len(config.weights) != sources:
        raise UsageError(f"{len(config.weights)} weights for {sources} kinds of text")
    if len(config.cutoffs) not in (0, 1, sources):
        raise UsageError(
            f"{len(config.cutoffs)} lists of cut-offs for {sources} kinds of text", "Give one, or one each."
        )


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


def parse_cutoffs(text: str) -> list[list[int]]:
    """`0,1,1`: the cut-offs of orders 2, 3, 4; `0,1,1+1,1,2` of two kinds of text. Raises `UsageError` for others."""
    try:
        return [[int(part) for part in own.replace(",", " ").split()] for own in text.split("+")] if text else []
    except ValueError:
        raise UsageError(f"{text!r} is not a list of cut-offs", "One number for each order from 2: 0,1,1.") from None


def parse_weights(text: str) -> list[float]:
    """`0.7,0.3`: what each source counts. Raises `UsageError` for anything else."""
    try:
        weights = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise UsageError(f"{text!r} is not a list of weights", "One for each kind of text: 0.7,0.3.") from None
    if weights and (min(weights) < 0 or not np.isclose(sum(weights), 1)):
        raise UsageError(f"the weights {text} do not sum to one")
    return weights


def parse_vocabulary(text: str | None, normalizer: str = "none") -> tuple[int | None, list[str] | None]:
    """A number of words, or those of a file, written as `normalizer` writes them.

    Raises `UsageError` for a file that is not there.
    """
    if text is None or text.strip().isdecimal():
        return (int(text) if text else None), None
    if not Path(text).exists():
        raise UsageError(f"--vocabulary {text} is neither a number nor a file")
    words = {word for sentence in read_sentences(text, get_normalizer(normalizer)) for word in sentence.split()}
    return None, SPECIAL_WORDS + sorted(words)
