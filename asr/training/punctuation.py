"""Train the tagger that gives text its punctuation and capitals, with the loop that trains all models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from asr.errors import DataError, UsageError
from asr.lexicon import load_lexicon
from asr.punctuation import (
    CAPITALIZED,
    COMMA,
    LONGEST_PAUSE,
    MARKS,
    QUESTION,
    STOP,
    PunctuationModel,
    Tagger,
    TaggerConfig,
    save_punctuation,
    word_pieces,
)
from asr.text.tokenizer import TokenizerConfig
from asr.trainer.trainer import LoopConfig, Loss
from asr.training.data import run_tokenizer
from asr.training.punctuation_data import (
    IGNORED,
    Batch,
    Noise,
    NoiseConfig,
    Words,
    make_batch,
    read_mixed,
    read_vocabulary,
    sound_alikes,
)

TOKENIZER_WORDS = 1_500_000
SAMPLE = 20
"""Words that are taken together."""
SPOKEN_WORDS = 30_000
"""The most usual words, which are taken for one another where they sound alike."""
VALIDATION_WINDOW = 256
VALIDATION_BATCH = 64


@dataclass(frozen=True)
class PunctuationExperiment:
    """Everything that decides a run."""

    text: Path
    """The folder that recipes/punctuation/build_text.py wrote."""
    task: Literal["punctuation"] = "punctuation"
    output: Path = Path("exp/punctuation")
    lexicon: Path | None = None
    """A model folder whose lexicon says which words sound alike."""
    tokenizer: TokenizerConfig = field(default_factory=lambda: TokenizerConfig("unigram", 6000))
    network: TaggerConfig = field(default_factory=TaggerConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)
    pauses: dict[str, list[float]] | None = None
    """By mark (none , . ?) the shares of the classes of pauses, as measured on speech."""
    window: int = 96
    """Words of a window."""
    batch: int = 128
    """Windows of a batch."""
    epoch_batches: int = 400
    """Batches of an epoch, drawn at random."""
    validation_words: int = 200_000
    threads: int = 0
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=40))

    def check(self) -> None:
        """Raise `UsageError` for settings that contradict one another."""
        marks = {mark or "none" for mark in MARKS}
        if self.pauses is not None and self.pauses.keys() != marks:
            raise UsageError(f"pauses must have the keys {', '.join(sorted(marks))}")
        if self.pauses and any(len(row) != LONGEST_PAUSE or sum(row) <= 0 for row in self.pauses.values()):
            raise UsageError(f"pauses must have {LONGEST_PAUSE} shares behind each mark")
        if self.window < 2 or self.batch < 1 or self.epoch_batches < 1:
            raise UsageError("window must be at least 2, batch and epoch_batches at least 1")
        if self.validation_words <= VALIDATION_WINDOW:
            raise UsageError(f"validation_words must be more than {VALIDATION_WINDOW}")


class PunctuationTask:
    """Tell the mark behind each word and its case; validated by the errors of both."""

    def __init__(self, config: PunctuationExperiment, device: torch.device, quiet: bool = False) -> None:
        self.config, self.device = config, device
        names = read_vocabulary(config.text)
        self.mixed = read_mixed(config.text)
        self.train = _long_enough(config.text / "train", config.window)
        self.held_out = _long_enough(config.text / "validation", VALIDATION_WINDOW)
        self.tokenizer = run_tokenizer(config.output, config.tokenizer, self._some_text(names))
        self.pieces = torch.tensor([word_pieces(self.tokenizer, name) for name in names])  # (W + 1, PIECES)
        self.noise = Noise(config.noise, self._sound_alikes(names[1:]), config.pauses)
        torch.manual_seed(config.loop.seed)
        self.module = Tagger(config.network, len(self.tokenizer.vocabulary))

    def describe_data(self) -> list[str]:
        """How much text there is, and in how many pieces."""
        words, held_out = len(self.train.words), len(self.held_out.words)
        return [f"{words:,} words, {held_out:,} held out, {len(self.tokenizer.vocabulary)} pieces"]

    def batches(self, epoch: int) -> int:
        """How many batches an epoch has."""
        return self.config.epoch_batches

    def load(self, epoch: int, first: int, stride: int) -> Iterator[Batch]:
        """Batches of windows from anywhere in the text."""
        last = len(self.train.words) - self.config.window
        for number in range(first, self.config.epoch_batches, stride):
            random = np.random.default_rng([self.config.loop.seed, epoch, number])
            starts = random.integers(last, size=self.config.batch)
            yield make_batch(self.train, starts, self.config.window, self.noise, random)

    def loss(self, batch: Batch, generator: torch.Generator) -> Loss:
        """Cross-entropy a word of the mark and of the case, added."""
        marks, cases = self._logits(batch)
        mark_loss = F.cross_entropy(marks.flatten(0, 1), batch.marks.to(self.device).flatten(), ignore_index=IGNORED)
        case_loss = F.cross_entropy(cases.flatten(0, 1), batch.cases.to(self.device).flatten(), ignore_index=IGNORED)
        words = float(batch.lengths.sum())
        sums: dict[str, Tensor | float] = {
            "mark": mark_loss.detach() * words,
            "case": case_loss.detach() * words,
            "words": words,
        }
        return Loss(mark_loss + case_loss, ["a batch of windows"], sums, amount=0.0)

    def summary(self, sums: dict[str, float]) -> dict[str, float]:
        """Losses a word, in nats: both, that of the mark, and that of the case."""
        mark, case = (sums[name] / max(1.0, sums["words"]) for name in ("mark", "case"))
        return {"loss": mark + case, "mark": mark, "case": case}

    def validate(self) -> dict[str, float]:
        """The loss, and F1 of marks and capitals, on clean words without pauses."""
        counts = np.zeros((len(MARKS) + 1, 3))
        losses = words = 0.0
        for batch in self._validation():
            marks, cases = (logits.cpu() for logits in self._logits(batch))
            for logits, truth in ((marks, batch.marks), (cases, batch.cases)):
                losses += float(
                    F.cross_entropy(logits.flatten(0, 1), truth.flatten(), ignore_index=IGNORED, reduction="sum")
                )
            words += float(batch.lengths.sum())
            for mark in (COMMA, STOP, QUESTION):
                counts[mark] += _count(marks.argmax(2) == mark, batch.marks == mark, batch.marks != IGNORED)
            counts[-1] += _count(cases.argmax(2) == CAPITALIZED, batch.cases == CAPITALIZED, batch.cases != IGNORED)
        f1 = 2 * counts[:, 0] / np.maximum(1, counts[:, 1] + counts[:, 2])
        return {"loss": losses / words, "comma": f1[COMMA], "stop": f1[STOP], "question": f1[QUESTION], "names": f1[-1]}

    def save(self, folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Write the model with these weights."""
        save_punctuation(folder, PunctuationModel(self.module, self.tokenizer, self.mixed, [0.0] * 4), weights, facts)

    def _logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        pieces = self.pieces[batch.words].to(self.device)
        result: tuple[Tensor, Tensor] = self.module(pieces, batch.pauses.to(self.device), batch.lengths.to(self.device))
        return result

    def _validation(self) -> Iterator[Batch]:
        last = min(self.config.validation_words, len(self.held_out.words)) - VALIDATION_WINDOW
        starts = np.arange(0, last, VALIDATION_WINDOW)
        for first in range(0, len(starts), VALIDATION_BATCH):
            own = starts[first : first + VALIDATION_BATCH]
            yield make_batch(self.held_out, own, VALIDATION_WINDOW, None, np.random.default_rng(0))

    def _some_text(self, names: list[str]) -> Iterator[str]:
        """Words from all over the text, enough to train a tokenizer on, and every letter."""
        yield " ".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ'")
        random = np.random.default_rng(self.config.loop.seed)
        starts = np.sort(random.integers(len(self.train.words) - SAMPLE, size=TOKENIZER_WORDS // SAMPLE))
        for at in starts.tolist():
            yield " ".join(names[number] for number in self.train.words[at : at + SAMPLE].tolist())

    def _sound_alikes(self, vocabulary: list[str]) -> NDArray[np.int32]:
        if self.config.lexicon is None:
            return np.zeros((len(vocabulary) + 1, 1), np.int32)
        lexicon = load_lexicon(self.config.lexicon)
        if lexicon is None:
            raise DataError(f"{self.config.lexicon} has no lexicon")
        counts = np.bincount(self.train.words[:20_000_000], minlength=len(vocabulary) + 1)[1:]
        usual = np.argsort(-counts, kind="stable")[:SPOKEN_WORDS].tolist()
        found = lexicon.lookup(word for word in (vocabulary[number] for number in usual) if word in lexicon)
        return sound_alikes(vocabulary, counts, {word: ways[0] for word, ways in found.items()})


def _long_enough(folder: Path, window: int) -> Words:
    text = Words.load(folder)
    if len(text.words) <= window:
        raise DataError(f"{folder} has only {len(text.words)} words, and a window has {window}")
    return text


def _count(predicted: Tensor, true: Tensor, valid: Tensor) -> NDArray[np.float64]:
    """Both, predicted, true."""
    predicted, true = predicted & valid, true & valid
    return np.array([float((predicted & true).sum()), float(predicted.sum()), float(true.sum())])
