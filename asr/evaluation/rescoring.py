"""Choose how much a recurrent model's judgement of whole sentences weighs: search once, judge once, weigh often.

The n-best lists are those of the beam as it is configured, whose own settings stay. The grid holds weight 0 with
bonus 0, which leaves the order of the search: what is chosen is never worse on the set that it is chosen on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from asr.decoding import DecodingConfig
from asr.decoding.beam import BeamDecoder
from asr.decoding.rescoring import SentenceModel, judge_texts
from asr.errors import DataError
from asr.evaluation.hearing import Floats, Spoken
from asr.evaluation.tuning import error_rate

WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
BONUSES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
TOGETHER = 64
"""Pieces searched and judged at a time: sentences of like length then find each other."""


@dataclass(frozen=True)
class Rescoring:
    """The word error rates of the grid, and the best settings found."""

    weights: tuple[float, ...]
    bonuses: tuple[float, ...]
    wer: npt.NDArray[np.float64]  # (weights, bonuses), fractions
    best_wer: float
    best: DecodingConfig


@dataclass(frozen=True)
class Judged:
    """An n-best list of N readings, best first, and what is known of each."""

    texts: list[str]
    scores: npt.NDArray[np.float64]  # (N,) of the search
    log_probs: npt.NDArray[np.float64]  # (N,) of the recurrent model
    words: npt.NDArray[np.int64]  # (N,)

    def best(self, weight: float, bonus: float) -> str:
        """The first text of what `rescore_nbest` makes of the list."""
        return self.texts[int((self.scores + (weight * self.log_probs + bonus * self.words)).argmax())]


def tune_rescoring(
    spoken: Sequence[Spoken],
    decoder: BeamDecoder,
    model: SentenceModel,
    weights: Sequence[float] = WEIGHTS,
    bonuses: Sequence[float] = BONUSES,
    threads: int | None = None,
    judged: Callable[[int], None] = lambda count: None,
) -> Rescoring:
    """Search the n-best lists of `decoder`, let `model` judge them, and try every weight and bonus.

    Of settings with the same word error rate the first counts. `judged` is told of pieces of speech as they are done.
    Raises `DataError` when nothing was said, or for texts that `model` cannot read.
    """
    if not any(each.reference.split() for each in spoken):
        raise DataError("there is nothing to tune on: no utterance has a text")
    lists: list[Judged] = []
    for some in judge([piece for each in spoken for piece in each.pieces], decoder, model, threads):
        lists += some
        judged(len(some))
    wer = np.array(
        [[error_rate(spoken, [each.best(weight, bonus) for each in lists]) for bonus in bonuses] for weight in weights]
    )
    row, column = divmod(int(wer.argmin()), len(bonuses))
    best = replace(decoder.config, rescore_weight=weights[row], rescore_bonus=bonuses[column])
    return Rescoring(tuple(weights), tuple(bonuses), wer, float(wer[row, column]), best)


def judge(
    pieces: Sequence[Floats], decoder: BeamDecoder, model: SentenceModel, threads: int | None = None
) -> Iterator[list[Judged]]:
    """The judged n-best lists of `pieces` (T, V), some at a time."""
    for start in range(0, len(pieces), TOGETHER):
        nbests = decoder.decode_many(pieces[start : start + TOGETHER], decoder.config.nbest, threads)
        opinions = judge_texts(nbests, model)
        yield [
            Judged(
                texts=[reading.text for reading in nbest],
                scores=np.array([reading.score for reading in nbest]),
                log_probs=np.array([opinions[reading.text] for reading in nbest]),
                words=np.array([len(reading.text.split()) for reading in nbest]),
            )
            for nbest in nbests
        ]


def describe(rescoring: Rescoring) -> dict[str, object]:
    """The tuning as plain data, for a JSON file."""
    return {
        "weights": list(rescoring.weights),
        "bonuses": list(rescoring.bonuses),
        "wer": rescoring.wer.round(6).tolist(),
        "best_wer": rescoring.best_wer,
    }
