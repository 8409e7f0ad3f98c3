"""Choose the bias of each mark by its F1 on the validation books, and write it into the model's folder.

    python recipes/punctuation/tune_bias.py MODEL TEXT_DIR [--words 100000] [--pauses CONF.yaml]

The most probable mark makes the fewest errors, which leaves out rare marks; readers miss those. With --pauses the words
are read twice, alone and with pauses drawn by that configuration, and both readings count.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from evaluate import Numbers, draw_pauses
from numpy.typing import NDArray

from asr.cli.main import plain_errors
from asr.config import read_yaml
from asr.punctuation import (
    COMMA,
    MARKS,
    PunctuationModel,
    load_punctuation,
    pause_classes,
    save_punctuation,
    word_pieces,
)
from asr.training.punctuation_data import Words, read_vocabulary

STEPS = np.arange(-0.6, 1.61, 0.2)
ROUNDS = 3


def main() -> None:
    """Tune and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--words", type=int, default=100_000)
    parser.add_argument("--pauses", type=Path, help="a configuration by which pauses are drawn for the words")
    options = parser.parse_args()
    text = Words.load(options.text / "validation")
    names = read_vocabulary(options.text)
    model = load_punctuation(options.model)
    words = [names[number] for number in text.words[: options.words].tolist()]
    pieces = np.array([word_pieces(model.tokenizer, word) for word in words])
    true = (text.labels[: options.words] & 3).astype(np.int64)
    silences = [[None] * len(words)]
    if options.pauses:
        silences.append(draw_pauses(read_yaml(options.pauses)["pauses"], true).tolist())
    readings = [model.log_probs(pieces, pause_classes(each))[0].numpy() for each in silences]
    bias = best_bias(readings, true)
    before, after = mean_f1(readings, true, np.zeros(len(MARKS))), mean_f1(readings, true, bias)
    print(f"mean F1 {before:.3f} → {after:.3f}, bias {bias.round(2).tolist()}")
    tuned = PunctuationModel(model.network, model.tokenizer, model.mixed, bias.tolist())
    save_punctuation(options.model, tuned, facts=model.facts)


def best_bias(readings: Sequence[NDArray[np.float32]], true: Numbers) -> NDArray[np.float64]:
    """The bias (4,) of the greatest mean F1, one mark after the other; nothing has none."""
    bias = np.zeros(len(MARKS))
    for _ in range(ROUNDS):
        for mark in range(COMMA, len(MARKS)):
            tried = [np.where(np.arange(len(MARKS)) == mark, step, bias) for step in STEPS]
            bias = max(tried, key=lambda each: mean_f1(readings, true, each))
    return bias


def mean_f1(readings: Sequence[NDArray[np.float32]], true: Numbers, bias: NDArray[np.float64]) -> float:
    """The mean F1 of the marks, over all readings of the same words: log-probabilities (N, 4)."""
    values = []
    for log_probs in readings:
        chosen = (log_probs + bias).argmax(axis=1)
        for mark in range(COMMA, len(MARKS)):
            both = int(((chosen == mark) & (true == mark)).sum())
            values.append(2 * both / max(1, int((chosen == mark).sum()) + int((true == mark).sum())))
    return float(np.mean(values))


if __name__ == "__main__":
    with plain_errors():
        main()
