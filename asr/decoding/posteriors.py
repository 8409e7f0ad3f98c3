"""How probable each word of the best reading is, judged by the other readings of the search.

Where readings that score almost as well have another word in its place, a word is doubtful, however clearly the
network heard the pieces that it was spelled from. The sum over readings is the N-best estimate of word posteriors
(Weintraub 1995; Rueber 1997).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.decoding.hypothesis import Hypothesis


def word_posteriors(nbest: Sequence[Hypothesis], scale: float = 1.0) -> list[float]:
    """The share of the readings' probability that has each word of the first reading, in (0, 1].

    A reading's probability is proportional to exp(scale · score). Readings are aligned with the first one by the
    fewest word edits.
    """
    if not nbest:
        return []
    words = nbest[0].text.split()
    scores = scale * np.array([reading.score for reading in nbest])
    shares = np.exp(scores - np.logaddexp.reduce(scores))
    posteriors = np.zeros(len(words))
    for reading, share in zip(nbest, shares.tolist(), strict=True):
        for block in Levenshtein.opcodes(words, reading.text.split()).as_matching_blocks():
            posteriors[block.a : block.a + block.size] += share
    result: list[float] = np.minimum(posteriors, 1.0).tolist()
    return result
