"""Fit word confidences to a model and its search, and measure them on other speech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.audio.source import Samples
from asr.corpus.manifest import Utterance
from asr.errors import DataError
from asr.evaluation.decode import request_of
from asr.model.folder import ModelFolder
from asr.scoring.result import score
from asr.transcription.align import align_text
from asr.transcription.confidence import Calibration, Floats, Search, fit
from asr.transcription.decoder import DecodeOptions
from asr.transcription.recognizer import Recognizer, load_acoustic_model, load_model
from asr.transcription.result import Failure, Word

Booleans = npt.NDArray[np.bool_]
_BINS = 10


@dataclass(frozen=True)
class Quality:
    """How far confidences can be trusted.

    `expected_calibration_error`: mean distance of confidence from share correct over ten equal bins (Guo et al. 2017).
    `normalized_cross_entropy`: the part of the uncertainty that they take away (NIST); at most 1, below 0 worse than
    saying the mean everywhere. `auroc`: the probability that a right word has a higher confidence than a wrong one.
    These two are NaN where all words are right, or all wrong.
    """

    words: int
    correct: float
    expected_calibration_error: float
    normalized_cross_entropy: float
    auroc: float


def calibrate(recognizer: Recognizer, utterances: Sequence[Utterance]) -> Calibration:
    """Fit the confidences of `recognizer` and its search on utterances with known texts, and give them to it.

    In `sounds_without_words` every word is wrong. Raises `DataError` where all words are right or all wrong: nothing
    can be learnt from them; and `AsrError` naming a recording that is unreadable.
    """
    with _features_kept(recognizer):
        words, correct = recognized_words(recognizer, utterances)
        sounds = sounds_without_words(recognizer.model.sample_rate)
        wrong = [word for sound in sounds for word in recognizer.transcribe(sound, punctuation=False).words]
    recognizer.confidence = _fit([*words, *wrong], np.append(correct, np.zeros(len(wrong), np.bool_)))
    return recognizer.confidence


def calibrate_all(
    model: Path, utterances: Sequence[Utterance], others: Sequence[Utterance], threads: int | None = None
) -> Iterator[tuple[Search, Calibration, Quality | None]]:
    """A calibration for each way to search that the model offers, and its quality on `others` where there are any."""
    ways: dict[Search, DecodeOptions] = {"greedy": DecodeOptions(greedy=True)}
    if ModelFolder(model).language_model is not None:
        ways |= {"fast": DecodeOptions(fast=True), "beam": DecodeOptions()}
    for search, options in ways.items():
        recognizer = load_model(model, threads=threads, search=options)
        calibration = calibrate(recognizer, utterances)
        yield search, calibration, measure_quality(recognizer, others) if others else None
    recognizer = load_acoustic_model(model, threads=threads)
    calibration = calibrate_alignment(recognizer, utterances)
    yield "align", calibration, _quality_of(*aligned_words(recognizer, others)) if others else None


def calibrate_alignment(recognizer: Recognizer, utterances: Sequence[Utterance]) -> Calibration:
    """The same for forced alignment: words that were said, and those of another utterance, which were not.

    `recognizer` gives emissions (`load_acoustic_model`). What cannot be aligned counts neither way.
    """
    with _features_kept(recognizer):
        words, correct = aligned_words(recognizer, utterances)
    recognizer.confidence = _fit(words, correct)
    return recognizer.confidence


def aligned_words(recognizer: Recognizer, utterances: Sequence[Utterance]) -> tuple[list[Word], Booleans]:
    """The words of each utterance's own text, aligned, and of another's with it, and whether they were said."""
    words: list[Word] = []
    said: list[bool] = []
    sounds = sounds_without_words(recognizer.model.sample_rate)
    texts = [utterance.text for utterance in utterances]
    pairs: list[tuple[Any, str, bool]] = []
    for number, utterance in enumerate(utterances):
        audio = request_of(utterance, recognizer.model.sample_rate).audio
        pairs.append((audio, texts[number], True))
        other = texts[(number + len(texts) // 2) % len(texts)]
        if number % 2 and other.split() != utterance.text.split():  # a sentence may have been read more than once
            pairs.append((audio, other, False))
    pairs += [(sound, texts[number % len(texts)], False) for number, sound in enumerate(sounds)]
    for audio, text, was_said in pairs:
        try:
            aligned = align_text(recognizer, audio, text).words
        except DataError:  # too many words for the time, or none
            continue
        words += aligned
        said += [was_said] * len(aligned)
    return words, np.array(said, dtype=np.bool_)


def sounds_without_words(rate: int, seconds: float = 6.0, seed: int = 0) -> list[Samples]:
    """Noises, tones, chords, hum and clicks at several levels, (N,) each: what nobody said anything in."""
    generator = np.random.default_rng(seed)
    count = round(seconds * rate)
    time = np.arange(count) / rate
    frequencies = np.fft.rfftfreq(count, 1 / rate)

    def noise(slope: float) -> Floats:
        """Noise whose power falls by 3 · slope dB an octave: white, pink, brown."""
        spectrum = np.fft.rfft(generator.standard_normal(count)) / np.maximum(frequencies, 20.0) ** (slope / 2)
        return np.asarray(np.fft.irfft(spectrum, count))

    def tones(*pitches: float) -> Floats:
        return np.asarray(np.sum([np.sin(2 * np.pi * pitch * time) for pitch in pitches], axis=0), np.float64)

    envelope = np.clip(np.sin(2 * np.pi * 2 * time), 0, 1)
    chords = [(350, 440), (1000,), (262, 330, 392), (220, 277, 330, 440), tuple(50 * k for k in range(1, 12))]
    kinds: list[npt.NDArray[Any]] = [*map(noise, (0.0, 1.0, 2.0)), *(tones(*chord) for chord in chords)]
    kinds += [envelope * noise(0.0), envelope * tones(480, 620)]
    kinds += [np.sin(2 * np.pi * (200 + 150 * time) * time), (generator.random(count) < 3 / rate) * 1.0]
    levels = [0.02, 0.1, 0.3]
    return [(level * kind / np.abs(kind).max()).astype(np.float32) for kind in kinds for level in levels]


def _fit(words: Sequence[Word], correct: Booleans) -> Calibration:
    if not len(words) or correct.all() or not correct.any():
        raise DataError("confidence cannot be calibrated: the words are all right or all wrong")
    return fit(np.array([word.features for word in words]), correct)


@contextmanager
def _features_kept(recognizer: Recognizer) -> Iterator[None]:
    recognizer.keeps_features = True
    try:
        yield
    finally:
        recognizer.keeps_features = False


def measure_quality(recognizer: Recognizer, utterances: Sequence[Utterance]) -> Quality:
    """The quality of the recognizer's confidences on utterances with known texts."""
    return _quality_of(*recognized_words(recognizer, utterances))


def _quality_of(words: Sequence[Word], correct: Booleans) -> Quality:
    return quality(np.array([word.confidence for word in words]), correct)


def quality(confidence: Floats, correct: Booleans) -> Quality:
    """The measures of `Quality` for confidences (W,) of words that were right or wrong (W,)."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = [abs(confidence[bins == each].sum() - correct[bins == each].sum()) for each in range(_BINS)]
    base = _cross_entropy(np.full(len(correct), correct.mean()), correct)
    return Quality(
        words=len(correct),
        correct=float(correct.mean()),
        expected_calibration_error=float(sum(gaps) / len(correct)),
        normalized_cross_entropy=1 - _cross_entropy(confidence, correct) / base if base else float("nan"),
        auroc=_auroc(confidence, correct),
    )


def recognized_words(recognizer: Recognizer, utterances: Sequence[Utterance]) -> tuple[list[Word], Booleans]:
    """All words that `recognizer` finds in the utterances, and whether each is right (Levenshtein alignment).

    Raises `AsrError` naming a recording that cannot be read.
    """
    words: list[Word] = []
    texts: list[str] = []
    requests = (request_of(utterance, recognizer.model.sample_rate) for utterance in utterances)
    for outcome in recognizer.transcribe_many(requests):
        if isinstance(outcome, Failure):
            raise outcome.error
        words += outcome.words
        texts.append(" ".join(word.text for word in outcome.words))
    aligned = score([utterance.text for utterance in utterances], texts).utterances
    correct = [pair.kind == "equal" for each in aligned for pair in each.pairs if pair.hypothesis is not None]
    return words, np.array(correct, dtype=np.bool_)


def _cross_entropy(confidence: Floats, correct: Booleans) -> float:
    chance = np.clip(np.where(correct, confidence, 1 - confidence), 1e-6, 1.0)
    return float(-np.log(chance).mean())


def _auroc(confidence: Floats, correct: Booleans) -> float:
    """The rank-sum form; ties count half."""
    right, wrong = np.sort(confidence[correct]), np.sort(confidence[~correct])
    if not len(right) or not len(wrong):
        return float("nan")
    below = np.searchsorted(wrong, right, side="left") + np.searchsorted(wrong, right, side="right")
    return float(below.sum() / 2 / (len(right) * len(wrong)))
