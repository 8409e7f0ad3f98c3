"""Choose how much the language model weighs, on a development set whose log-probabilities are computed only once.

The word error rate over language model weight and word bonus has one broad valley that runs aslant: a heavier model
shortens the text, a larger bonus lengthens it again. A full grid shows it whole; how much of the prior is taken away
and the unknown-word scores matter less and follow one by one (coordinate descent) from the best point of the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.decoding import DecodingConfig, greedy, spell
from asr.decoding.beam_search import BeamDecoder, measure_prior
from asr.decoding.rescoring import SentenceModel, in_doubt
from asr.errors import DataError
from asr.evaluation.decode import Example, Floats
from asr.io import write_whole
from asr.scoring.alignment import align_texts, total

WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2)
BONUSES = (-2.0, -1.0, 0.0, 1.0, 1.5, 2.0, 3.0, 4.0)
PRIOR_WEIGHT = 0.5
"""Of the grid, where the decoder has a prior: the valley is flat around it."""
OTHERS: dict[str, tuple[float, ...]] = {
    "prior_weight": (0.0, 0.2, 0.3, 0.4, 0.6, 0.7, 0.9),
    "unk_score": (-10.0, -7.0, -4.0, -2.0, 0.0),
    "unk_char_score": (-2.0, -1.0, -0.5, 0.0),
}


@dataclass(frozen=True)
class Tuning:
    """The word error rates of the grid, and the best settings found."""

    weights: tuple[float, ...]
    bonuses: tuple[float, ...]
    wer: npt.NDArray[np.float64]  # (weights, bonuses), fractions
    best_wer: float
    best: DecodingConfig
    greedy_wer: float | None = None  # None where tokens are phones, which spell no words by themselves


def tune(
    examples: Sequence[Example],
    decoder: BeamDecoder,
    weights: Sequence[float] = WEIGHTS,
    bonuses: Sequence[float] = BONUSES,
    threads: int | None = None,
    on_progress: Callable[[int], None] = lambda count: None,
) -> Tuning:
    """Search weight × bonus, then the prior's weight and the unknown-word scores; all else stays as in `decoder`.

    Of settings with the same word error rate the first counts. `on_progress` is told of every setting measured.
    Raises `DataError` when nothing was said.
    """
    _refuse_silence(examples)
    start = replace(decoder.config, prior_weight=PRIOR_WEIGHT if decoder.config.prior else 0.0)

    def measure(config: DecodingConfig) -> float:
        rate = word_error_rate(examples, decoder.with_config(config), threads)
        on_progress(1)
        return rate

    grid = _measure_grid(start, ("lm_weight", "word_score"), weights, bonuses, measure)
    best, best_wer = grid.best, grid.best_wer
    for name, values in OTHERS.items():
        if name == "prior_weight" and not start.prior:
            continue
        for value in values:
            changed: dict[str, Any] = {name: value}
            candidate = replace(best, **changed)
            if candidate != best and (rate := measure(candidate)) < best_wer:
                best, best_wer = candidate, rate
    greedy_wer = None if decoder.reads_phones else word_error_rate(examples, None, threads, decoder.vocabulary)
    return replace(grid, best_wer=best_wer, best=best, greedy_wer=greedy_wer)


def prior_of(examples: Sequence[Example]) -> tuple[float, ...]:
    """How probable the network finds each token, on average over speech: natural log, rounded for a settings file."""
    chunks = [chunk for each in examples for chunk in each.chunks]
    if not any(map(len, chunks)):
        return ()
    return tuple(measure_prior(chunks).round(3).tolist())


def settings_count(weights: Sequence[float], bonuses: Sequence[float]) -> int:
    """How many settings `tune` measures at most."""
    return len(weights) * len(bonuses) + sum(map(len, OTHERS.values()))


def word_error_rate(
    examples: Sequence[Example], decoder: BeamDecoder | None, threads: int | None = None, vocabulary: Sequence[str] = ()
) -> float:
    """Word errors over words, a fraction; without a decoder by greedy search with the tokens of `vocabulary`."""
    chunks = [chunk for each in examples for chunk in each.chunks]
    if decoder is not None:
        texts = [best.text for best, *_ in decoder.decode_many(chunks, threads=threads)]
    else:
        texts = [spell(vocabulary, greedy(chunk[None], [len(chunk)])[0].tokens) for chunk in chunks]
    return error_rate(examples, texts)


def error_rate(examples: Sequence[Example], texts: Sequence[str]) -> float:
    """Word errors over words, a fraction; `texts` are those of all chunks, one utterance after the other."""
    remaining = iter(texts)
    joined = [" ".join(next(remaining) for _ in each.chunks) for each in examples]
    alignments = align_texts([each.reference for each in examples], joined, "levenshtein")
    return total(each.counts for each in alignments).error_rate


def describe_tuning(tuning: Tuning) -> dict[str, object]:
    """The word error rates as plain data, for a JSON file."""
    return {
        "weights": list(tuning.weights),
        "bonuses": list(tuning.bonuses),
        "wer": tuning.wer.round(6).tolist(),
        "best_wer": tuning.best_wer,
    }


RESCORE_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
RESCORE_BONUSES = (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0)
NGRAM_SHARES = (1.0, 0.9, 0.8)
"""Of the n-gram's own weight, what it may keep beside a recurrent model."""
TOGETHER = 64
"""Chunks searched and rescored at a time: sentences of like length then find each other."""


@dataclass(frozen=True)
class ScoredNbest:
    """An n-best list of N hypotheses, best first, and what is known of each."""

    texts: list[str]
    scores: npt.NDArray[np.float64]  # (N,) of the search
    log_probs: npt.NDArray[np.float64]  # (N,) of the recurrent model
    words: npt.NDArray[np.int64]  # (N,)

    def best(self, weight: float, bonus: float) -> str:
        """The first text of what `rescore_nbest` makes of the list."""
        return self.texts[int((self.scores + (weight * self.log_probs + bonus * self.words)).argmax())]


def tune_rescoring(
    examples: Sequence[Example],
    decoder: BeamDecoder,
    model: SentenceModel,
    weights: Sequence[float] = RESCORE_WEIGHTS,
    bonuses: Sequence[float] = RESCORE_BONUSES,
    shares: Sequence[float] = NGRAM_SHARES,
    threads: int | None = None,
    on_progress: Callable[[int], None] = lambda count: None,
) -> Tuning:
    """Search the n-best lists of `decoder`, let `model` score them, and try every weight and bonus.

    Once for each of the `shares` of its weight that the n-gram may keep; the grid is that of the best. Of settings with
    the same word error rate the first counts. `on_progress` is told of chunks as they are done.
    Raises `DataError` when nothing was said, or for texts that `model` cannot read.
    """
    _refuse_silence(examples)
    chunks = [chunk for each in examples for chunk in each.chunks]
    own = decoder.config.lm_weight

    def tune_beside(lighter: DecodingConfig) -> Tuning:
        lists: list[ScoredNbest] = []
        for some in scored_nbests(chunks, decoder.with_config(lighter), model, threads):
            lists += some
            on_progress(len(some))

        def measure(config: DecodingConfig) -> float:
            texts = [each.best(config.rescore_weight, config.rescore_word_score) for each in lists]
            return error_rate(examples, texts)

        tuning = _measure_grid(lighter, ("rescore_weight", "rescore_word_score"), weights, bonuses, measure)
        return replace(tuning, best=replace(tuning.best, lm_weight=own, rescored_lm_weight=lighter.lm_weight))

    tunings = [tune_beside(replace(decoder.config, lm_weight=share * own)) for share in shares]
    return min(tunings, key=lambda tuning: tuning.best_wer)


def scored_nbests(
    chunks: Sequence[Floats], decoder: BeamDecoder, model: SentenceModel, threads: int | None = None
) -> Iterator[list[ScoredNbest]]:
    """The n-best lists of `chunks` (T, V), some at a time."""
    for start in range(0, len(chunks), TOGETHER):
        nbests = decoder.decode_many(chunks[start : start + TOGETHER], decoder.config.nbest, threads)
        nbests = [in_doubt(nbest, decoder.config.nbest_threshold) for nbest in nbests]
        texts = [[hypothesis.text for hypothesis in nbest] for nbest in nbests]
        yield [
            ScoredNbest(
                texts=own,
                scores=np.array([hypothesis.score for hypothesis in nbest]),
                log_probs=np.array(scores),
                words=np.array([len(text.split()) for text in own]),
            )
            for nbest, own, scores in zip(nbests, texts, model.rescore_nbests(texts), strict=True)
        ]


def draw_heat_map(tuning: Tuning, path: Path) -> None:
    """Write the grid as a colored table, SVG or PNG by the name of `path`; the best point is framed.

    Rates more than half as large again as the best share one color: the valley is what matters.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    percent = 100 * tuning.wer
    rows, columns = percent.shape
    figure, axes = pyplot.subplots(figsize=(1.5 + 0.8 * columns, 1.5 + 0.5 * rows), layout="constrained")
    image = axes.imshow(percent, cmap="viridis_r", vmax=1.5 * percent.min(), origin="lower", aspect="auto")
    for row in range(rows):
        for column in range(columns):
            dark = percent[row, column] > 1.25 * percent.min()
            label = f"{percent[row, column]:.1f}"
            axes.text(column, row, label, ha="center", va="center", color="white" if dark else "black")
    best_row, best_column = divmod(int(tuning.wer.argmin()), columns)
    axes.add_patch(Rectangle((best_column - 0.5, best_row - 0.5), 1, 1, fill=False, edgecolor="red", linewidth=2))
    axes.set_xticks(range(columns), [f"{bonus:g}" for bonus in tuning.bonuses])
    axes.set_yticks(range(rows), [f"{weight:g}" for weight in tuning.weights])
    axes.set_xlabel("word bonus")
    axes.set_ylabel("language model weight")
    greedy = f"greedy {100 * tuning.greedy_wer:.1f}, " if tuning.greedy_wer is not None else ""
    axes.set_title(f"WER %: {greedy}best {100 * tuning.best_wer:.1f}")
    figure.colorbar(image, ax=axes, extend="max")
    with write_whole(path, "wb") as file:
        figure.savefig(file, format=path.suffix.lstrip(".") or "png")
    pyplot.close(figure)


def _refuse_silence(examples: Sequence[Example]) -> None:
    if not any(each.reference.split() for each in examples):
        raise DataError("there is nothing to tune on: no utterance has a text")


def _measure_grid(
    start: DecodingConfig,
    names: tuple[str, str],
    weights: Sequence[float],
    bonuses: Sequence[float],
    measure: Callable[[DecodingConfig], float],
) -> Tuning:
    """Try every weight and every bonus in `start`, where they have these names."""

    def settings(*values: float) -> DecodingConfig:
        changes: dict[str, Any] = dict(zip(names, values, strict=True))
        return replace(start, **changes)

    wer = np.array([[measure(settings(weight, bonus)) for bonus in bonuses] for weight in weights])
    row, column = divmod(int(wer.argmin()), len(bonuses))
    best = settings(weights[row], bonuses[column])
    return Tuning(tuple(weights), tuple(bonuses), wer, float(wer[row, column]), best)
