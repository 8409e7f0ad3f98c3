"""Beam decoders side by side on the same log-probabilities: milliseconds per utterance on one core, and WER.

python -m tests.benchmarks.decoders                                       invented sentences, synthetic posteriors
python -m tests.benchmarks.decoders --model DIR --manifest dev.jsonl --lm LM                           real speech
python -m tests.benchmarks.decoders … --tune tune.jsonl       each decoder with its own best weights of one grid
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.decoding import DecodingConfig, greedy, spell
from asr.decoding.beam_search import measure_prior
from asr.lm.ngram import NgramModel
from asr.scoring import score
from tests.benchmarks.peers import MAKERS, Decode, Task
from tests.benchmarks.synthetic import CHARACTERS, spell_out, synthesize

BUNDLED = Path(__file__).resolve().parents[2] / "asr" / "pretrained"
WEIGHTS, BONUSES = (0.3, 0.5, 0.7, 0.9), (0.0, 1.0, 2.0, 3.0, 4.0)


@dataclass(frozen=True)
class Speech:
    """Log-probabilities `(T, V)` and the texts that belong to them."""

    vocabulary: list[str]
    references: list[str]
    log_probs: list[NDArray[np.float32]]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="model folder, for real speech")
    parser.add_argument("--manifest", type=Path, help="speech to decode (default: synthetic)")
    parser.add_argument("--tune", type=Path, help="speech on which each decoder's weights are chosen")
    parser.add_argument("--lm", type=Path, help="language model of words (default: the bundled one)")
    parser.add_argument("--cache", type=Path, default=Path("reports/bench"), help="folder for what the network heard")
    parser.add_argument("-n", "--utterances", type=int, default=60)
    parser.add_argument("--beams", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--only", nargs="+", choices=MAKERS, default=list(MAKERS))
    options = parser.parse_args(arguments)

    from asr.lm.load import load_language_model

    path = options.lm or next(iter(sorted(BUNDLED.glob("lm.*"))), None)
    model = load_language_model(path) if path else None
    encode = None
    if options.manifest:
        speech, encode = real_speech(options.model, options.manifest, options.cache, options.utterances)
        tuning = (
            real_speech(options.model, options.tune, options.cache, options.utterances)[0] if options.tune else None
        )
    else:
        speech, tuning, encode = synthetic_speech(model, options.utterances), None, lambda word: list(word)
    frames = np.mean([len(each) for each in speech.log_probs])
    simple = [spell(speech.vocabulary, greedy(each[None], [len(each)])[0].tokens) for each in speech.log_probs]
    print(
        f"{len(speech.log_probs)} utterances of {frames:.0f} frames × {len(speech.vocabulary)} tokens on average;",
        end=" ",
    )
    print(f"greedy WER {100 * word_error_rate(speech, simple):.2f} %; milliseconds of processor time per utterance")
    prior = tuple(measure_prior(tuning.log_probs).tolist()) if tuning else ()
    with tempfile.TemporaryDirectory() as folder:
        arpa = Path(folder) / "lm.arpa"
        for beam in options.beams:
            compare(Task(speech.vocabulary, DecodingConfig(beam_size=beam, word_score=0.0)), speech, None, options.only)
            if model is not None:
                task = Task(speech.vocabulary, DecodingConfig(beam_size=beam), model, arpa, encode, prior)
                compare(task, speech, tuning, options.only)


def compare(task: Task, speech: Speech, tuning: Speech | None, names: Sequence[str]) -> None:
    """Print a row for every decoder that can do the task, fastest first."""
    rows, skipped = [], []
    for name in names:
        try:
            with quiet():
                chosen = choose(name, task, tuning) if tuning else task
                decode = MAKERS[name](chosen)
        except (ImportError, NotImplementedError) as error:
            skipped.append(f"{name} ({error})")
            continue
        milliseconds, texts = timed(decode, speech)
        rows.append((milliseconds, name, 100 * word_error_rate(speech, texts), chosen.config))
    rows.sort(key=lambda row: row[0])
    own = next((row[0] for row in rows if row[1] == "asr"), rows[0][0])
    print(f"\nbeam {task.config.beam_size}, {'with' if task.model else 'without'} language model")
    for milliseconds, name, rate, config in rows:
        weights = f"  weight {config.lm_weight:g} bonus {config.word_score:g}" if tuning else ""
        print(f"  {name:<18} {milliseconds:8.2f} ms  × {milliseconds / own:6.2f}  WER {rate:6.2f} %{weights}")
    if skipped:
        print(f"  skipped: {'; '.join(skipped)}")


def choose(name: str, task: Task, tuning: Speech) -> Task:
    """The task with the weights of the grid that make the fewest word errors for this decoder."""
    grid = [replace(task.config, lm_weight=weight, word_score=bonus) for weight in WEIGHTS for bonus in BONUSES]
    tasks = [replace(task, config=config) for config in grid]

    def errors(candidate: Task) -> float:
        decode = MAKERS[name](candidate)
        return word_error_rate(tuning, [decode(each) for each in tuning.log_probs])

    return min(tasks, key=errors)


def timed(decode: Decode, speech: Speech, rounds: int = 3) -> tuple[float, list[str]]:
    """Milliseconds per utterance, the best of some rounds, and the texts."""
    decode(speech.log_probs[0])  # compiles, and fills caches
    best = float("inf")
    for _ in range(rounds):
        began = time.process_time()
        texts = [decode(each) for each in speech.log_probs]
        best = min(best, time.process_time() - began)
    return 1000 * best / len(texts), texts


def word_error_rate(speech: Speech, texts: Sequence[str]) -> float:
    return score(speech.references, texts).wer


def synthetic_speech(model: NgramModel | None, count: int) -> Speech:
    """Sentences that the language model writes, or random words, heard by an imagined reader."""
    generator = np.random.default_rng(1)
    if model is not None:
        from asr.lm.ngram import sample_sentence

        texts = [" ".join(sample_sentence(model, generator, 0.8) for _ in range(3))[:180] for _ in range(count)]
    else:
        letters = list("ETAOINSHRDLU")
        texts = [" ".join("".join(generator.choice(letters, 4)) for _ in range(36)) for _ in range(count)]
    heard = [synthesize(spell_out(text, CHARACTERS), len(CHARACTERS), generator, clarity=6.5) for text in texts]
    return Speech(CHARACTERS, texts, heard)


def real_speech(model: str, manifest: Path, cache: Path, count: int) -> tuple[Speech, object]:
    """The first `count` utterances of a manifest as the network hears them, and its way to spell a word."""
    from asr.evaluation.decode import manifest_emissions
    from asr.transcription.decoder import DecodeOptions
    from asr.transcription.recognizer import load_model

    recognizer = load_model(model, search=DecodeOptions(greedy=True))
    tokenizer = recognizer.model.tokenizer
    spoken = manifest_emissions(recognizer, manifest, cache / f"{manifest.stem}.npz")
    whole = [each for each in spoken if len(each.pieces) == 1]
    chosen = whole[:: max(1, len(whole) // count)][:count]
    vocabulary = tokenizer.vocabulary
    speech = Speech(vocabulary, [each.reference for each in chosen], [each.pieces[0] for each in chosen])
    return speech, lambda word: [vocabulary[token] for token in tokenizer.encode(word)]


@contextlib.contextmanager
def quiet():
    """Silence what libraries write to stderr while they load."""
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


if __name__ == "__main__":
    main()
