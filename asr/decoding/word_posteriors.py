"""How probable each word of the best hypothesis is, rescored by the other hypotheses of the search.

Where hypotheses that score almost as well have another word in its place, a word is doubtful, however clearly the
network heard the pieces that it was spelled from. The sum over hypotheses is the N-best estimate of word posteriors
(Weintraub 1995; Rueber 1997).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein

from asr.decoding.hypothesis import Hypothesis


def word_posteriors(nbest: Sequence[Hypothesis]) -> list[float]:
    """The share of the hypotheses' probability that has each word of the first hypothesis, in (0, 1].

    A hypothesis's probability is proportional to exp(score). Readings are aligned with the first one by the
    fewest word edits.
    """
    if not nbest:
        return []
    words = nbest[0].text.split()
    scores = np.array([hypothesis.score for hypothesis in nbest])
    shares = np.exp(scores - np.logaddexp.reduce(scores))
    posteriors = np.zeros(len(words))
    for hypothesis, share in zip(nbest, shares.tolist(), strict=True):
        for block in Levenshtein.opcodes(words, hypothesis.text.split()).as_matching_blocks():
            posteriors[block.a : block.a + block.size] += share
    result: list[float] = np.minimum(posteriors, 1.0).tolist()
    return result
