"""Choose how much the language model weighs, on a development set whose log-probabilities are computed only once.

The word error rate over language model weight and word bonus has one broad valley that runs aslant: a heavier model
shortens the text, a larger bonus lengthens it again. A full grid shows it whole; how much of the prior is taken away
and the unknown-word scores matter less and follow one by one (coordinate descent) from the best point of the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.decoding import DecodingConfig, greedy, spell
from asr.decoding.beam import BeamDecoder
from asr.decoding.prior import measure_prior
from asr.errors import DataError
from asr.evaluation.hearing import Spoken
from asr.scoring.result import count_words

WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0, 1.2)
BONUSES = (-2.0, -1.0, 0.0, 1.0, 1.5, 2.0, 3.0, 4.0)
PRIOR_WEIGHT = 0.5
"""Of the grid, where the decoder has a prior: the valley is flat around it."""
OTHERS: dict[str, tuple[float, ...]] = {
    "prior_weight": (0.0, 0.2, 0.3, 0.4, 0.6, 0.7, 0.9),
    "unknown_score": (-10.0, -7.0, -4.0, -2.0, 0.0),
    "unknown_letter": (-2.0, -1.0, -0.5, 0.0),
}


@dataclass(frozen=True)
class Tuning:
    """The word error rates of the grid, and the best settings found."""

    weights: tuple[float, ...]
    bonuses: tuple[float, ...]
    wer: npt.NDArray[np.float64]  # (weights, bonuses), fractions
    greedy_wer: float | None  # None where pieces are phones, which spell no words by themselves
    best_wer: float
    best: DecodingConfig


def tune(
    spoken: Sequence[Spoken],
    decoder: BeamDecoder,
    weights: Sequence[float] = WEIGHTS,
    bonuses: Sequence[float] = BONUSES,
    threads: int | None = None,
    tried: Callable[[int], None] = lambda count: None,
) -> Tuning:
    """Search weight × bonus, then the prior's weight and the unknown-word scores; all else stays as in `decoder`.

    Of settings with the same word error rate the first counts. `tried` is told of every setting that was measured.
    Raises `DataError` when nothing was said.
    """
    if not any(each.reference.split() for each in spoken):
        raise DataError("there is nothing to tune on: no utterance has a text")

    def measure(config: DecodingConfig) -> float:
        rate = word_error_rate(spoken, decoder.with_config(config), threads)
        tried(1)
        return rate

    start = replace(decoder.config, prior_weight=PRIOR_WEIGHT if decoder.config.prior else 0.0)
    wer = np.array(
        [[measure(replace(start, lm_weight=weight, word_bonus=bonus)) for bonus in bonuses] for weight in weights]
    )
    row, column = divmod(int(wer.argmin()), len(bonuses))
    best, best_wer = replace(start, lm_weight=weights[row], word_bonus=bonuses[column]), float(wer[row, column])
    for name, values in OTHERS.items():
        if name == "prior_weight" and not start.prior:
            continue
        for value in values:
            changed: dict[str, Any] = {name: value}
            candidate = replace(best, **changed)
            if candidate != best and (rate := measure(candidate)) < best_wer:
                best, best_wer = candidate, rate
    greedy_wer = None if decoder.spells_sounds else word_error_rate(spoken, None, threads, decoder.vocabulary)
    return Tuning(tuple(weights), tuple(bonuses), wer, greedy_wer, best_wer, best)


def prior_of(spoken: Sequence[Spoken]) -> tuple[float, ...]:
    """How probable the network finds each piece, on average over speech: natural log, rounded for a settings file."""
    pieces = [piece for each in spoken for piece in each.pieces]
    if not any(map(len, pieces)):
        return ()
    return tuple(measure_prior(pieces).round(3).tolist())


def settings_count(weights: Sequence[float], bonuses: Sequence[float]) -> int:
    """How many settings `tune` measures at most."""
    return len(weights) * len(bonuses) + sum(map(len, OTHERS.values()))


def word_error_rate(
    spoken: Sequence[Spoken], decoder: BeamDecoder | None, threads: int | None = None, vocabulary: Sequence[str] = ()
) -> float:
    """Word errors over words, a fraction; without a decoder by greedy search with the pieces of `vocabulary`."""
    pieces = [piece for each in spoken for piece in each.pieces]
    if decoder is not None:
        texts = [best.text for best, *_ in decoder.decode_many(pieces, threads=threads)]
    else:
        texts = [spell(vocabulary, greedy(piece[None], [len(piece)])[0].tokens) for piece in pieces]
    return error_rate(spoken, texts)


def error_rate(spoken: Sequence[Spoken], texts: Sequence[str]) -> float:
    """Word errors over words, a fraction; `texts` are those of all pieces, one utterance after the other."""
    remaining = iter(texts)
    errors = words = 0
    for each in spoken:
        text = " ".join(next(remaining) for _ in each.pieces)
        counts = count_words(each.reference, text)
        errors += counts.errors
        words += counts.reference
    return errors / words


def describe(tuning: Tuning) -> dict[str, object]:
    """The tuning as plain data, for a JSON file."""
    return {
        "weights": list(tuning.weights),
        "bonuses": list(tuning.bonuses),
        "wer": tuning.wer.round(6).tolist(),
        "greedy_wer": tuning.greedy_wer,
        "best_wer": tuning.best_wer,
        "best": asdict(tuning.best),
    }
