"""A language model small enough to check by hand, and log-probabilities to decode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr.lm.load import load_language_model
from asr.lm.ngram import NgramModel

# Words over the letters A and B: A, AB, B, BA and BAB; BB and others are unknown.
ARPA = """\\data\\
ngram 1=8
ngram 2=5
ngram 3=2

\\1-grams:
-1.3\t<unk>
-99\t<s>\t-0.4
-0.8\t</s>
-0.5\tA\t-0.3
-0.9\tAB\t-0.2
-0.7\tB\t-0.35
-1.1\tBA\t-0.1
-1.6\tBAB

\\2-grams:
-0.2\t<s> A\t-0.15
-0.9\t<s> B
-0.3\tA B\t-0.25
-0.6\tB A
-0.4\tB </s>

\\3-grams:
-0.1\t<s> A B
-0.25\tA B A

\\end\\
"""


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> NgramModel:
    path: Path = tmp_path_factory.mktemp("lm") / "tiny.arpa"
    path.write_text(ARPA, encoding="utf-8")
    return load_language_model(path)


def random_log_probs(seed: int, frames: int, size: int, sharpness: float = 1.0) -> np.ndarray:
    """Log-probabilities `(T, V)` float32; the larger `sharpness`, the surer each frame."""
    values = np.random.default_rng(seed).normal(size=(frames, size)) * sharpness
    return (values - np.log(np.exp(values).sum(axis=1, keepdims=True))).astype(np.float32)
