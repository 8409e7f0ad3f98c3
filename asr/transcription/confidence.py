"""How probable it is that a recognized word is right: how sure the network was of its pieces, and the search of it.

Logistic regression on a handful of features of the alignment, on the word's share among the hypotheses of the search,
and on the products of each two, fitted on speech with known texts and on sounds without words (`asr calibrate`). A
share of 0.6 means little where the network was deaf and much where it was sure: the products say so. Each way to search
has a calibration of its own, since none means what another says; a search that has none, and a model without a fit, say
the probability of the word's least certain piece. Beyond the range of what it was fitted on, where products go to
either extreme, a calibration says no more than at the edge of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from asr.config import validate
from asr.errors import ModelError, UsageError
from asr.io import write_text
from asr.model.folder import ModelFolder
from asr.model.forced_alignment import TokenAlignment

Floats = npt.NDArray[np.float64]
Search = Literal["beam", "fast", "greedy", "align"]
"""The ways to search that are calibrated: the model's own, two quicker ones, and forced alignment."""
Confidence = Callable[[Floats], Floats]
"""From the `word_features` of words to the confidence (W,) of each, in [0, 1]."""

FEATURES = (
    *("least", "sum", "exp_least", "exp_sum", "pieces", "letters", "steps", "pace", "path"),
    *("posterior", "log_posterior", "rival"),
)
TINY = 1e-6
SMALLEST = 1e-4  # a posterior or what remains of it counts as no less, so that its logarithm stays in bounds
RIDGE = 100.0
"""Against learning the calibration speech by heart: a precision of that much on each weight but the bias."""


@dataclass(frozen=True)
class Calibration:
    """The fitted logistic regression of one way to search.

    Features are bounded by `low` and `high`, what they were in calibration, and count as their distance from `center`
    in units of `spread`; `weights` has one for each, then one for each product of two, themselves with themselves among
    them.
    """

    bias: float
    center: list[float]
    spread: list[float]
    weights: list[float]
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    """Empty in calibrations of before: no bounds."""

    def __post_init__(self) -> None:
        count = len(self.center)
        if len(self.spread) != count or len(self.weights) != count + count * (count + 1) // 2:
            raise ValueError("center, spread and weights do not belong together")
        if len(self.low) != len(self.high) or len(self.low) not in (0, count):
            raise ValueError("low and high do not belong to the features")

    def __call__(self, features: Floats) -> Floats:
        """σ(bias + w · expanded features): (W, F) → (W,)."""
        features = np.clip(features, self.low, self.high) if self.low else features
        distances = (features - np.array(self.center)) / np.array(self.spread)
        return sigmoid(self.bias + with_products(distances) @ np.array(self.weights))


def save_calibrations(folder: Path, calibrations: Mapping[Search, Calibration]) -> None:
    """Write `confidence.json` into a model folder: a calibration for each way to search."""
    content = {search: asdict(calibration) for search, calibration in calibrations.items()}
    write_text(ModelFolder(folder).calibration, json.dumps(content) + "\n")


def load_confidence(folder: Path, search: Search | None = "beam") -> Confidence:
    """The model's calibration for a way to search, where it has one. Raises `ModelError` naming a damaged file."""
    path = ModelFolder(folder).calibration
    if search is None or not path.is_file():
        return least_certain
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and "bias" in content:  # as models had it before: of the beam alone
            content = {"beam": content}
        calibrations = validate(dict[str, Calibration], content, str(path))
    except (OSError, ValueError, UsageError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    for calibration in calibrations.values():
        if len(calibration.center) != len(FEATURES):
            count = len(calibration.center)
            raise ModelError(f"{path} is for {count} features, not {len(FEATURES)}", "Calibrate again.")
    return calibrations.get(search, least_certain)


def least_certain(features: Floats) -> Floats:
    """The probability of each word's least certain piece."""
    return features[:, FEATURES.index("exp_least")]


def word_features(
    texts: Sequence[str],
    spans: Sequence[tuple[int, int]],
    alignment: TokenAlignment,
    posteriors: Sequence[float] = (),
) -> Floats:
    """The features (W, F) of words, in the order of `FEATURES`, from the span of tokens of each and their alignment.

    Posteriors (`word_posteriors`) are empty where the search knew one hypothesis only.
    """
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
        rows.append((*sure, *shape, path, *rivals))
    return np.array(rows, dtype=np.float64).reshape(-1, len(FEATURES))


def with_products(features: Floats) -> Floats:
    """Features (W, F) and the products of each two of them → (W, F + F (F + 1) / 2)."""
    first, second = np.tril_indices(features.shape[1])
    return np.concatenate([features, features[:, first] * features[:, second]], axis=1)


def fit(features: Floats, correct: npt.NDArray[np.bool_], ridge: float = RIDGE) -> Calibration:
    """The logistic regression of `correct` (W,) on `features` (W, F) and their products, by Newton's method.

    A step that would make the fit worse is halved until it does not: where a few words lie far from all others, whole
    steps lead ever further away.
    """
    center, spread = features.mean(axis=0), features.std(axis=0)
    spread[spread < TINY] = 1.0  # a feature that is always the same tells nothing
    expanded = with_products((features - center) / spread)
    expanded = np.column_stack([np.ones(len(expanded)), expanded])
    weights = np.zeros(expanded.shape[1])
    precision = np.full(len(weights), ridge)
    precision[0] = TINY

    def cost(weights: Floats) -> float:
        margins = np.where(correct, 1.0, -1.0) * (expanded @ weights)
        return float(np.logaddexp(0.0, -margins).sum() + precision @ weights**2 / 2)

    now = cost(weights)
    for _ in range(50):
        predicted = sigmoid(expanded @ weights)
        gradient = expanded.T @ (correct - predicted) - precision * weights
        curvature = (expanded * (predicted * (1 - predicted))[:, None]).T @ expanded + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        while (then := cost(weights + step)) > now and np.abs(step).max() > 1e-9:
            step /= 2
        weights, now = weights + step, then
        if np.abs(step).max() < 1e-9:
            break
    bounds = features.min(axis=0), features.max(axis=0)
    return Calibration(_rounded(weights[:1])[0], *map(_rounded, (center, spread, weights[1:], *bounds)))


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 6) for value in values]


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(−x)), without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))
