"""What beam search promises, written the slow and obvious way: sums over every alignment, and a textbook search."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from asr.decoding import DecodingConfig, Hotword, spell
from asr.lm.ngram import NgramModel

EXACT = {"beam_size": 100_000, "token_min_logp": -math.inf, "beam_threshold": math.inf}


def language_score(
    text: str, config: DecodingConfig, model: NgramModel | None = None, hotwords: Sequence[Hotword] = ()
) -> float:
    """The language side's score of a whole text; -inf where a closed vocabulary forbids it."""
    words = text.split()
    expected = {word for hotword in hotwords for word in hotword.phrase.split()}
    total = config.word_score * len(words)
    if model is not None:
        total += config.lm_weight * model.score_sentence(words, end=config.end_of_sentence)
        unknown = [word for word in words if word not in model.vocabulary and word not in expected]
        if unknown and config.closed_vocabulary:
            return -math.inf
        total += sum(config.unk_score + config.unk_char_score * len(word) for word in unknown)
    padded = f" {text} "
    for hotword in hotwords:
        phrase = f" {hotword.phrase} "
        total += hotword.boost * sum(padded.startswith(phrase, start) for start in range(len(padded)))
    return total


def sum_over_alignments(log_probs: np.ndarray, vocabulary: Sequence[str], blank: int = 0) -> dict[str, float]:
    """Text → log-probability, summed over all `V ** T` alignments of `log_probs` `(T, V)`."""
    mass: dict[str, float] = defaultdict(float)
    frames, size = log_probs.shape
    for path in itertools.product(range(size), repeat=frames):
        tokens = [token for token, _ in itertools.groupby(path) if token != blank]
        probability = math.exp(sum(float(log_probs[frame, token]) for frame, token in enumerate(path)))
        mass[spell(vocabulary, tokens)] += probability
    return {text: math.log(value) for text, value in mass.items() if value > 0}


def brute_force(
    log_probs: np.ndarray,
    vocabulary: Sequence[str],
    config: DecodingConfig,
    model: NgramModel | None = None,
    hotwords: Sequence[Hotword] = (),
) -> dict[str, float]:
    """Text → score, of all texts that any alignment spells and the vocabulary allows."""
    scores = {
        text: value + language_score(text, config, model, hotwords)
        for text, value in sum_over_alignments(log_probs, vocabulary).items()
    }
    return {text: score for text, score in scores.items() if score > -math.inf}


def prefix_search(log_probs: np.ndarray, vocabulary: Sequence[str], beam: int) -> list[tuple[str, float]]:
    """Prefix beam search without a language model, pruned by beam alone, in plain Python: (text, score), best first.

    A state is the text so far (with a trailing blank where a word has just ended) and the last token.
    """
    states: dict[tuple[str, int], tuple[float, float]] = {("", -1): (1.0, 0.0)}
    for frame in np.exp(log_probs.astype(np.float64)):
        grown: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for (text, last), (in_blank, in_token) in states.items():
            grown[text, last][0] += (in_blank + in_token) * frame[0]
            if last >= 0:
                grown[text, last][1] += in_token * frame[last]
            for token in range(1, len(frame)):
                longer = append(text, vocabulary[token])
                grown[longer, token][1] += (in_blank + (in_token if token != last else 0.0)) * frame[token]
        ranked = sorted(grown.items(), key=lambda item: -sum(item[1]))[:beam]
        states = {state: (values[0], values[1]) for state, values in ranked}
    mass: dict[str, float] = defaultdict(float)
    for (text, _), values in states.items():
        mass[text.strip()] += sum(values)
    return sorted(((text, math.log(value)) for text, value in mass.items() if value > 0), key=lambda item: -item[1])


def append(text: str, piece: str) -> str:
    """`text` and `piece`, where a blank that follows a blank or begins the text is dropped."""
    for letter in piece.replace("▁", " "):
        if letter != " " or (text and not text.endswith(" ")):
            text += letter
    return text
