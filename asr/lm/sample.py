"""Let an n-gram model write: sentences drawn from its distribution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asr.lm.ngram import BEGIN_ID, END_ID, ROOT, UNKNOWN_ID, NgramModel

LONGEST = 200


def sample_sentence(model: NgramModel, generator: np.random.Generator, temperature: float = 1.0) -> str:
    """One sentence, without the unknown word; cut after 200 words. Low temperatures write what is likely."""
    state = model.begin_state()
    words: list[str] = []
    while len(words) < LONGEST:
        scores = distribution(model, state) / temperature
        scores[[UNKNOWN_ID, BEGIN_ID]] = -np.inf
        probabilities = np.exp(scores - scores.max())
        word = int(generator.choice(len(scores), p=probabilities / probabilities.sum()))
        if word == END_ID:
            break
        words.append(model.words[word])
        _, state = model.score(state, word)
    return " ".join(words)


def distribution(model: NgramModel, state: int) -> NDArray[np.float64]:
    """Natural-log probability (V,) of every word in `state`: the shortest context first, overwritten by longer ones."""
    contexts = []
    while state != ROOT:
        contexts.append(state)
        state = int(model.suffix[state])
    scores = model.log_prob[model.blocks[1]].astype(np.float64)
    for context in reversed(contexts):
        listed = slice(model.first_child[context], model.first_child[context + 1])
        scores += model.backoff[context]
        scores[model.word[listed]] = model.log_prob[listed]
    return scores
