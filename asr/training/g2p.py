"""The task of the G2P model: to write the phones of CMUdict's words while it reads their letters, by CTC."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from asr.errors import DataError, UsageError
from asr.lexicon.g2p import BLANK, G2P, LONGEST, STEPS, G2PConfig, load_g2p, pad_words
from asr.lexicon.lexicon import G2P_FILE, Entries, read_cmudict
from asr.lexicon.phones import SYMBOLS, letters_of
from asr.model.ctc import needed_steps, pad_targets
from asr.trainer.optimizer import OptimizerConfig, ScheduleConfig
from asr.trainer.trainer import LoopConfig, Loss
from asr.weights import write_weights

WordBatch = list[tuple[str, str]]
"""The letters of words and their pronunciations."""

CHUNK = 32  # batches; so many are sorted by length together, so that neighbors differ from epoch to epoch


@dataclass(frozen=True)
class G2PExperiment:
    """Everything that decides the training of a G2P model.

    CMUdict takes a quarter of an hour on one CPU core and comes to 70 % of unseen words right.
    """

    task: Literal["g2p"] = "g2p"
    output: Path = Path("exp/g2p")
    init_from: Path | None = None
    """The file of a G2P model that goes on learning, with its sizes."""
    network: G2PConfig = field(default_factory=G2PConfig)
    batch_words: int = 256
    held_out: int = 2000
    """Words, at most a tenth of all, that are never learned; their predictions decide which epoch is best."""
    threads: int = 0
    """Threads; 0 leaves the choice to PyTorch."""
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=8,
            optimizer=OptimizerConfig(weight_decay=0.01),
            schedule=ScheduleConfig(peak=3e-3, warmup_updates=100, decay="linear", final_share=0.02),
            keep_epochs=0,
        )
    )

    def check(self) -> None:
        """Raise `UsageError` for settings that contradict one another."""
        if self.batch_words < 1 or self.held_out < 0:
            raise UsageError("batch_words must be at least 1, and held_out not negative")
        if self.loop.patience and not self.held_out:
            raise UsageError("loop.patience needs held_out words")


class G2PTask:
    """The first pronunciation of each word; validated by the share of held-out words that are predicted wrong."""

    def __init__(
        self, config: G2PExperiment, device: torch.device, quiet: bool = False, words: Entries | None = None
    ) -> None:
        """`words` stand in for CMUdict. Raises `DataError` where no word can be learned from."""
        self.device = device
        learned, self.held_out = divide(read_cmudict() if words is None else words, config.held_out, config.loop.seed)
        self.examples = learnable(learned)
        if not self.examples:
            raise DataError("there are no words to learn the pronunciation from", "Give a dictionary such as CMUdict.")
        torch.manual_seed(config.loop.seed)
        self.module = load_g2p(config.init_from) if config.init_from else G2P(config.network)
        self.module.dropout.p = config.network.dropout
        self.config = replace(config, network=replace(self.module.config, dropout=config.network.dropout))

    def describe_data(self) -> list[str]:
        """How many words there are."""
        return [f"{len(self.examples):,} words to learn, {len(self.held_out):,} to validate on"]

    def batches(self, epoch: int) -> int:
        """How many batches an epoch has."""
        return -(-len(self.examples) // self.config.batch_words)

    def load(self, epoch: int, first: int, stride: int) -> Iterator[WordBatch]:
        """An epoch in random batches of words of like length."""
        size, chance = self.config.batch_words, random.Random(f"{self.config.loop.seed} {epoch}")
        shuffled = chance.sample(self.examples, len(self.examples))
        chunks = [shuffled[first : first + CHUNK * size] for first in range(0, len(shuffled), CHUNK * size)]
        ordered = [example for chunk in chunks for example in sorted(chunk, key=lambda example: len(example[0]))]
        # A chunk holds whole batches, so none reaches over its end.
        batches = [ordered[first : first + size] for first in range(0, len(ordered), size)]
        chance.shuffle(batches)
        yield from batches[first::stride]

    def loss(self, batch: WordBatch, generator: torch.Generator) -> Loss:
        """CTC per phone."""
        letters, lengths = pad_words([letters for letters, _ in batch])
        targets, target_lengths = pad_targets([[1 + SYMBOLS.index(phone) for phone in phones] for _, phones in batch])
        log_probs, steps = self.module(letters.to(self.device), lengths.to(self.device))
        value = F.ctc_loss(log_probs.float().transpose(0, 1), targets.to(self.device), steps, target_lengths, BLANK)
        sums: dict[str, Tensor | float] = {"loss": value.detach() * len(batch), "words": float(len(batch))}
        return Loss(value, [letters for letters, _ in batch], sums, amount=0.0)  # no seconds of sound

    def summary(self, sums: dict[str, float]) -> dict[str, float]:
        """Loss per phone in nats, of the mean word."""
        return {"loss": sums["loss"] / max(1.0, sums["words"])}

    def validate(self) -> dict[str, float]:
        """The share of held-out words whose prediction is none of their pronunciations."""
        return {"words_wrong": 1 - word_accuracy(self.module, self.held_out)} if self.held_out else {}

    def save(self, folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Write `g2p.safetensors`, which `asr lexicon build --g2p` reads."""
        write_weights(folder / G2P_FILE, weights)


def divide(entries: Entries, held_out: int, seed: int) -> tuple[Entries, Entries]:
    """Words to learn from, and `held_out` of more than one letter (at most a tenth of all) to validate on."""
    candidates = sorted(word for word in entries if len(word) > 1)
    held_out_words = set(random.Random(seed).sample(candidates, min(held_out, len(candidates) // 10)))
    return (
        {word: phones for word, phones in entries.items() if word not in held_out_words},
        {word: entries[word] for word in sorted(held_out_words)},
    )


def learnable(words: Mapping[str, Sequence[str]]) -> WordBatch:
    """Words with their first pronunciations, without those whose letters are too few for CTC to write it."""
    pairs = [(letters_of(word.upper()), pronunciations[0]) for word, pronunciations in words.items() if pronunciations]
    return [
        (letters, phones)
        for letters, phones in pairs
        if 0 < needed_steps(phones) <= STEPS * len(letters) <= STEPS * LONGEST
    ]


def word_accuracy(g2p: G2P, words: Mapping[str, Sequence[str]]) -> float:
    """The share of `words` whose prediction is one of their pronunciations."""
    predictions = g2p.predict(list(words))
    right = sum(
        prediction in pronunciations for prediction, pronunciations in zip(predictions, words.values(), strict=True)
    )
    return right / max(1, len(words))
