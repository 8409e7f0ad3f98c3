"""Fit word confidences to a model and its search, and measure them on other speech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.corpus.manifest import Utterance
from asr.errors import DataError
from asr.evaluation.decode import job_of
from asr.model.forced_alignment import TokenAlignment
from asr.scoring.alignment import find_edits, iterate_pairs
from asr.transcription.confidence import Calibration, Floats, Spans, fit, word_features
from asr.transcription.recognizer import Recognizer
from asr.transcription.result import Failure, Word

Booleans = npt.NDArray[np.bool_]
_BINS = 10


@dataclass(frozen=True)
class Quality:
    """How far confidences can be trusted.

    `expected_calibration_error`: mean distance of confidence from share correct over ten equal bins (Guo et al. 2017).
    `normalized_cross_entropy`: the part of the uncertainty that they take away (NIST); at most 1, below 0 worse than
    saying the mean everywhere. `auroc`: the probability that a right word has a higher confidence than a wrong one.
    """

    words: int
    correct: float
    expected_calibration_error: float
    normalized_cross_entropy: float
    auroc: float


def calibrate(recognizer: Recognizer, utterances: Sequence[Utterance]) -> Calibration:
    """Fit the confidences of `recognizer` on utterances with known texts, and give them to it.

    Raises `DataError` where all words are right or all wrong: nothing can be learnt from them; and `AsrError` naming a
    recording that cannot be read.
    """
    notebook = _Notebook()
    before, recognizer.confidence = recognizer.confidence, notebook
    try:
        words, correct = recognized_words(recognizer, utterances)
    finally:
        recognizer.confidence = before
    if not len(words) or correct.all() or not correct.any():
        raise DataError("confidence cannot be calibrated: the words are all right or all wrong")
    features = np.concatenate(notebook.features)[[round(word.confidence) for word in words]]
    calibration = fit(features, correct)
    recognizer.confidence = calibration
    return calibration


def measure_quality(recognizer: Recognizer, utterances: Sequence[Utterance]) -> Quality:
    """The quality of the recognizer's confidences on utterances with known texts."""
    words, correct = recognized_words(recognizer, utterances)
    return quality(np.array([word.confidence for word in words]), correct)


def quality(confidence: Floats, correct: Booleans) -> Quality:
    """The measures of `Quality` for confidences (W,) of words that were right or wrong (W,)."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = [abs(confidence[bins == each].sum() - correct[bins == each].sum()) for each in range(_BINS)]
    base = _cross_entropy(np.full(len(correct), correct.mean()), correct)
    return Quality(
        words=len(correct),
        correct=float(correct.mean()),
        expected_calibration_error=float(sum(gaps) / len(correct)),
        normalized_cross_entropy=float(1 - _cross_entropy(confidence, correct) / base),
        auroc=_auroc(confidence, correct),
    )


def recognized_words(recognizer: Recognizer, utterances: Sequence[Utterance]) -> tuple[list[Word], Booleans]:
    """All words that `recognizer` finds in the utterances, and whether each is right (Levenshtein alignment).

    Raises `AsrError` naming a recording that cannot be read.
    """
    words: list[Word] = []
    correct: list[bool] = []
    requests = (job_of(utterance, recognizer.model.sample_rate) for utterance in utterances)
    for utterance, outcome in zip(utterances, recognizer.transcribe_many(requests), strict=True):
        if isinstance(outcome, Failure):
            raise outcome.error
        words += outcome.words
        correct += _hits(utterance.text.split(), [word.text for word in outcome.words])
    return words, np.array(correct, dtype=np.bool_)


def _hits(reference: list[str], hypothesis: list[str]) -> Iterator[bool]:
    for pair in iterate_pairs(reference, hypothesis, find_edits(reference, hypothesis)):
        if pair.hypothesis is not None:
            yield pair.kind == "equal"


class _Notebook:
    """Stands in for a confidence: notes the features of each word and gives back the number of its note."""

    def __init__(self) -> None:
        self.features: list[Floats] = []
        self._count = 0

    def __call__(
        self, texts: Sequence[str], spans: Spans, alignment: TokenAlignment, posteriors: Sequence[float]
    ) -> Floats:
        self.features.append(word_features(texts, spans, alignment, posteriors))
        first, self._count = self._count, self._count + len(texts)
        return np.arange(first, self._count, dtype=np.float64)


def _cross_entropy(confidence: Floats, correct: Booleans) -> float:
    chance = np.clip(np.where(correct, confidence, 1 - confidence), 1e-6, 1.0)
    return float(-np.log(chance).mean())


def _auroc(confidence: Floats, correct: Booleans) -> float:
    """The rank-sum form; ties count half."""
    right, wrong = np.sort(confidence[correct]), np.sort(confidence[~correct])
    if not len(right) or not len(wrong):
        return float("nan")
    below = np.searchsorted(wrong, right, side="left") + np.searchsorted(wrong, right, side="right")
    return float(below.sum() / 2 / (len(right) * len(wrong)))
