"""What hotwords are worth: names that the language model hardly knows, found where spoken and invented where not.

    python -m tests.benchmarks.hotwords --model DIR --manifest dev.jsonl --lm LM

The list is made from the references: their words of five letters or more that the language model gives the least
probability. All of it is given for every utterance, so that each word is a decoy wherever it is not spoken.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr.config import validate
from asr.decoding import BeamDecoder, DecodingConfig, Hotword, Hypothesis
from asr.lm.ngram import UNKNOWN_ID, NgramModel
from tests.benchmarks.decoders import BUNDLED, Speech, real_speech, word_error_rate


@dataclass(frozen=True)
class Outcome:
    """Occurrences of the listed words: spoken, of these found, and written where they were not spoken."""

    spoken: int
    found: int
    invented: int


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--lm", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("reports/bench"))
    parser.add_argument("-n", "--utterances", type=int, default=10_000)
    parser.add_argument("--words", type=int, default=50)
    parser.add_argument("--boosts", type=float, nargs="+", default=[0.0, 4.0, 8.0, 12.0])
    options = parser.parse_args(arguments)

    from asr.lm.load import load_language_model

    model = load_language_model(options.lm)
    speech, _ = real_speech(options.model, options.manifest, options.cache, options.utterances)
    words = rare_words(speech, model, options.words)
    config = settings_of(options.model)
    print(f"{len(words)} words, {sum(word not in model.vocabulary for word in words)} unknown to the language model")
    for boost in options.boosts:
        hotwords = [Hotword(word, boost) for word in words] if boost else []
        decoder = BeamDecoder(speech.vocabulary, config, model, hotwords)
        readings = [best for best, *_ in decoder.decode_many(speech.log_probs)]
        result = outcome(speech, readings, set(words))
        rate = 100 * word_error_rate(speech, [reading.text for reading in readings])
        print(
            f"boost {boost:4g}: {result.found} of {result.spoken} found, {result.invented} invented, WER {rate:.2f} %"
        )


def settings_of(model: str) -> DecodingConfig:
    """The settings in a model folder, or the defaults."""
    path = (BUNDLED if model == "default" else Path(model)) / "decoding.json"
    return validate(DecodingConfig, json.loads(path.read_text()), str(path)) if path.exists() else DecodingConfig()


def rare_words(speech: Speech, model: NgramModel, count: int) -> list[str]:
    """The `count` words of the references, of five letters or more, with the least unigram probability."""
    words = {word for reference in speech.references for word in reference.split() if len(word) >= 5}

    def log_prob(word: str) -> float:
        index = model.vocabulary.get(word, UNKNOWN_ID)
        return -1000.0 if index == UNKNOWN_ID else float(model.log_prob[1 + index])

    return sorted(words, key=lambda word: (log_prob(word), word))[:count]


def outcome(speech: Speech, readings: Sequence[Hypothesis], words: set[str]) -> Outcome:
    spoken = found = invented = 0
    for reference, reading in zip(speech.references, readings, strict=True):
        said = Counter(word for word in reference.split() if word in words)
        written = Counter(word for word in reading.text.split() if word in words)
        spoken += said.total()
        found += (said & written).total()
        invented += (written - said).total()
    return Outcome(spoken, found, invented)


if __name__ == "__main__":
    main()
