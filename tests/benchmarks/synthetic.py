"""CTC log-probabilities for given texts without a model: peaky, with confusions where letters are heard."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CHARACTERS = ["<blank>", "▁", "'", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


def spell_out(text: str, vocabulary: Sequence[str]) -> list[int]:
    """Tokens of `text`, longest piece first."""
    index = {piece: number for number, piece in enumerate(vocabulary)}
    longest = max(map(len, vocabulary))
    rest, tokens = "▁".join(text.split()), []
    while rest:
        piece = next(rest[:size] for size in range(longest, 0, -1) if rest[:size] in index)
        tokens.append(index[piece])
        rest = rest[len(piece) :]
    return tokens


def synthesize(
    tokens: Sequence[int],
    size: int,
    generator: np.random.Generator,
    frames_per_token: float = 2.2,
    clarity: float = 4.5,
) -> NDArray[np.float32]:
    """Log-probabilities `(T, V)` of a reader who hears `tokens`, unsurely: the smaller `clarity`, the less so.

    Each token has one frame of its own, in which a few random others compete with it, and on average
    `frames_per_token - 1` frames of blank follow, in which it echoes faintly.
    """
    rows = []
    for token in tokens:
        heard = generator.normal(-3.0, 1.5, size)
        heard[generator.integers(1, size, 3)] = generator.normal(1.0, 2.0, 3)
        heard[0] = generator.normal(0.0, 1.5)
        heard[token] = generator.normal(clarity, 2.0)
        rows.append(heard)
        for _ in range(max(generator.poisson(frames_per_token - 1.0), 1 if rows else 0)):
            silent = generator.normal(-4.0, 1.5, size)
            silent[0] = generator.normal(6.0, 2.0)
            silent[token] += 3.0
            rows.append(silent)
    values = np.array(rows).reshape(-1, size)
    return (values - np.logaddexp.reduce(values, axis=1, keepdims=True)).astype(np.float32)
