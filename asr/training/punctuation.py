"""Train the tagger that gives text its punctuation and capitals, with the loop that trains all models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from asr.errors import DataError, UsageError
from asr.lexicon import load_lexicon
from asr.punctuation.model import (
    CAPITALIZED,
    COMMA,
    LONGEST_PAUSE,
    MARKS,
    PIECES,
    QUESTION,
    STOP,
    PunctuationModel,
    Tagger,
    TaggerConfig,
    save_punctuation,
    word_pieces,
)
from asr.text.tokenizer import WORD_START, Tokenizer, TokenizerConfig
from asr.trainer.trainer import LoopConfig, Loss
from asr.training.data import run_tokenizer
from asr.training.punctuation_data import IGNORED, Batch, Noise, NoiseConfig, Words, make_batch, sound_alikes

TOKENIZER_WORDS = 1_500_000
SAMPLE = 20
"""Words that are taken together."""
SPOKEN_WORDS = 30_000
"""The most usual words, which are taken for one another where they sound alike."""
MIXED_SHARE = 0.6
MIXED_COUNT = 20


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


class PunctuationTask:
    """Tell the mark behind each word and its case; validated by the errors of both."""

    def __init__(self, config: PunctuationExperiment, device: torch.device, quiet: bool = False) -> None:
        self.config, self.device = config, device
        try:
            vocabulary = (config.text / "vocabulary.txt").read_text(encoding="utf-8").split("\n")[:-1]
        except OSError as error:
            raise DataError(
                f"{config.text} is not a text to learn punctuation from", "recipes/punctuation makes one."
            ) from error
        self.train = Words.load(config.text / "train")
        self.held_out = Words.load(config.text / "validation")
        if len(self.train.words) <= config.window:
            raise DataError(f"{config.text}/train has only {len(self.train.words)} words")
        self.tokenizer = run_tokenizer(config.output, config.tokenizer, self._some_text(vocabulary), None)
        self.pieces = torch.from_numpy(piece_table(self.tokenizer, vocabulary))
        self.noise = Noise(config.noise, self._sound_alikes(vocabulary), config.pauses)
        torch.manual_seed(config.loop.seed)
        self.network = Tagger(config.network, len(self.tokenizer.vocabulary))
        self.module: nn.Module = self.network
        self.mixed = read_mixed(config.text / "mixed.tsv")

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
            marks, cases = self._logits(batch)
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
        save_punctuation(folder, PunctuationModel(self.network, self.tokenizer, self.mixed, [0.0] * 4), weights, facts)

    def _logits(self, batch: Batch) -> tuple[Tensor, Tensor]:
        pieces = self.pieces[batch.words].to(self.device)
        result: tuple[Tensor, Tensor] = self.network(
            pieces, batch.pauses.to(self.device), batch.lengths.to(self.device)
        )
        return result

    def _validation(self) -> Iterator[Batch]:
        last = min(self.config.validation_words, len(self.held_out.words)) - 256
        for first in range(0, last, 256 * 64):
            starts = np.arange(first, min(last, first + 256 * 64), 256)
            yield make_batch(self.held_out, starts, 256, None, np.random.default_rng(0))

    def _some_text(self, vocabulary: list[str]) -> Iterator[str]:
        """Words from all over the text, enough to train a tokenizer on, and every letter."""
        yield " ".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ'")
        random = np.random.default_rng(self.config.loop.seed)
        starts = np.sort(random.integers(len(self.train.words) - SAMPLE, size=TOKENIZER_WORDS // SAMPLE))
        names = ["", *vocabulary]
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
        spoken = lexicon.lookup(word for word in (vocabulary[number] for number in usual) if word in lexicon)
        return sound_alikes(vocabulary, counts, {word: phones[0] for word, phones in spoken.items()})


def piece_table(tokenizer: Tokenizer, vocabulary: list[str]) -> NDArray[np.int64]:
    """Pieces (W + 1, PIECES) of words numbered from 1, as `word_pieces` gives them, a thousand words at a time."""
    table = np.zeros((len(vocabulary) + 1, PIECES), np.int64)
    begins = np.array([piece.startswith(WORD_START) for piece in tokenizer.vocabulary])
    if not begins[tokenizer.encode("A")[0]]:  # a word's first piece is like any other
        for number, word in enumerate(vocabulary, 1):
            table[number] = word_pieces(tokenizer, word)
        return table
    for first in range(0, len(vocabulary), 1000):
        ids = np.array(tokenizer.encode(" ".join(vocabulary[first : first + 1000])))
        number_of = np.cumsum(begins[ids])
        place = np.arange(len(ids)) - np.flatnonzero(begins[ids])[number_of - 1]
        kept = place < PIECES
        table[first + number_of[kept], place[kept]] = ids[kept]
    return table


def read_mixed(path: Path) -> dict[str, str]:
    """Words mostly written in mixed case: spelling, times written so, times at all."""
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    kept = [form for form, mixed, total in rows if int(mixed) >= max(MIXED_COUNT, MIXED_SHARE * int(total))]
    return {form.upper(): form for form in kept}


def _count(predicted: Tensor, true: Tensor, valid: Tensor) -> NDArray[np.float64]:
    """Both, predicted, true."""
    predicted, true = predicted & valid, true & valid
    return np.array([float((predicted & true).sum()), float(predicted.sum()), float(true.sum())])
