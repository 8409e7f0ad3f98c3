"""How probable it is that a recognised word is right: how sure the network was of its pieces, and the search of it.

Logistic regression on a handful of features of the alignment and on the word's share among the readings of the search,
fitted to a model and its search on speech with known texts (`asr calibrate`). Without a fit, the confidence is the
probability of the word's least certain piece.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.config import validate
from asr.errors import ModelError, UsageError
from asr.files import write_text
from asr.model.alignment import TokenAlignment

Floats = npt.NDArray[np.float64]
Spans = Sequence[tuple[int, int]]
Confidence = Callable[[Sequence[str], Spans, TokenAlignment, Sequence[float]], Floats]
"""From words, the span of tokens of each, their alignment and their posteriors to a confidence (W,) in [0, 1].

Posteriors (`asr.decoding.posteriors`) are empty where the search knew one reading only.
"""

FILE = "confidence.json"
FEATURES = (
    *("bias", "least", "sum", "exp_least", "exp_sum", "pieces", "letters", "steps", "pace", "path"),
    *("posterior", "log_posterior", "rival"),
)
SMALLEST = 1e-4  # a posterior or what remains of it counts as no less, so that its logarithm stays in bounds


@dataclass(frozen=True)
class Calibration:
    """The fitted weights, one for each of `FEATURES`; stored as `confidence.json` in the model folder."""

    weights: list[float]

    def __call__(
        self, texts: Sequence[str], spans: Spans, alignment: TokenAlignment, posteriors: Sequence[float] = ()
    ) -> Floats:
        """σ(w · features)."""
        return sigmoid(word_features(texts, spans, alignment, posteriors) @ np.array(self.weights))

    def save(self, folder: Path) -> None:
        """Write `confidence.json` into a model folder."""
        write_text(folder / FILE, json.dumps(asdict(self)) + "\n")


def load_confidence(folder: Path) -> Confidence:
    """The model's calibration where it has one. Raises `ModelError` naming a damaged file."""
    path = folder / FILE
    if not path.is_file():
        return least_certain
    try:
        calibration = validate(Calibration, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, UsageError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    if len(calibration.weights) != len(FEATURES):
        raise ModelError(f"{path} has {len(calibration.weights)} weights, not {len(FEATURES)}", "Calibrate again.")
    return calibration


def least_certain(
    texts: Sequence[str], spans: Spans, alignment: TokenAlignment, posteriors: Sequence[float] = ()
) -> Floats:
    """The probability of each word's least certain piece."""
    del texts, posteriors
    return np.exp([float(alignment.log_probs[first:last].min()) for first, last in spans])


def word_features(
    texts: Sequence[str], spans: Spans, alignment: TokenAlignment, posteriors: Sequence[float] = ()
) -> Floats:
    """The features (W, F) of each word, in the order of `FEATURES`."""
    rows = []
    path = alignment.score / max(1, len(texts))  # how well the whole text fits the sound
    shares = posteriors if len(posteriors) == len(texts) else [1.0] * len(texts)
    for text, (first, last), share in zip(texts, spans, shares, strict=True):
        values = alignment.log_probs[first:last]
        least, total = float(values.min()), float(values.sum())
        steps = int(alignment.ends[last - 1] - alignment.begins[first])
        sure = (least, total, np.exp(least), np.exp(total))
        shape = (last - first, len(text), steps, steps / max(1, len(text)))
        rivals = (share, np.log(max(share, SMALLEST)), np.log(max(1 - share, SMALLEST)))
        rows.append((1.0, *sure, *shape, path, *rivals))
    return np.array(rows, dtype=np.float64).reshape(-1, len(FEATURES))


def fit(features: Floats, correct: npt.NDArray[np.bool_], ridge: float = 1e-2) -> Calibration:
    """Weights of the logistic regression of `correct` (W,) on `features` (W, F), by Newton's method."""
    weights = np.zeros(features.shape[1])
    for _ in range(50):
        predicted = sigmoid(features @ weights)
        gradient = features.T @ (correct - predicted) - ridge * weights
        curvature = (features * (predicted * (1 - predicted))[:, None]).T @ features + ridge * np.eye(len(weights))
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return Calibration([round(float(weight), 6) for weight in weights])


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(−x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))
