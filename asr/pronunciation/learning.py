"""Teach the speller a dictionary: CTC over words of like length, the learning rate falling to nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.errors import DataError
from asr.precision import products
from asr.pronunciation.letters import letters_of
from asr.pronunciation.spelling import BLANK, LONGEST, STEPS, Speller, pad_phones, pad_words

Example = tuple[str, str]
"""The letters of a word and its pronunciation."""
Note = Callable[[int, float], None]

CHUNK = 32  # batches; so many are sorted by length together, so that neighbours differ from epoch to epoch


@dataclass(frozen=True)
class LearningConfig:
    """How to train. CMUdict takes a quarter of an hour on one CPU core and comes to 70 % of unseen words right."""

    epochs: int = 8
    batch: int = 256
    """Words."""
    peak: float = 3e-3
    """Learning rate after the warm-up."""
    warmup: int = 100
    """Updates."""
    weight_decay: float = 0.01
    seed: int = 1


def train_speller(
    words: Mapping[str, Sequence[str]],
    config: LearningConfig | None = None,
    speller: Speller | None = None,
    note: Note = lambda epoch, loss: None,
) -> Speller:
    """A speller that has learned the first pronunciation of each of `words`.

    `speller` is trained on instead of a new one; `note` is told the number and mean loss of each epoch. The same seed
    and number of threads give the same weights, and PyTorch's own generator is left as it was. Raises `DataError`
    where no word can be learned from.
    """
    config = config or LearningConfig()
    examples = learnable(words)
    if not examples:
        raise DataError("there are no words to learn the pronunciation from", "Give a dictionary such as CMUdict.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        speller = speller or Speller()
        _train(speller.train(), examples, config, note)
    return speller.eval()


def learnable(words: Mapping[str, Sequence[str]]) -> list[Example]:
    """Words with their first pronunciations, without those whose letters are too few for CTC to write it."""
    pairs = [(letters_of(word.upper()), spoken[0]) for word, spoken in words.items() if spoken]
    return [(letters, phones) for letters, phones in pairs if _fits(letters, phones)]


def word_accuracy(speller: Speller, words: Mapping[str, Sequence[str]]) -> float:
    """The share of `words` whose guess is one of their pronunciations."""
    guesses = speller.guess(list(words))
    right = sum(guess in spoken for guess, spoken in zip(guesses, words.values(), strict=True))
    return right / max(1, len(words))


def _fits(letters: str, phones: str) -> bool:
    # CTC parts a phone that comes twice in a row by a blank, which takes a step as well.
    doubled = sum(phone == after for phone, after in pairwise(phones))
    return 0 < len(phones) + doubled <= STEPS * len(letters) <= STEPS * LONGEST


def _train(speller: Speller, examples: Sequence[Example], config: LearningConfig, note: Note) -> None:
    chance = random.Random(config.seed)
    optimiser = torch.optim.AdamW(speller.parameters(), lr=config.peak, weight_decay=config.weight_decay)
    updates = config.epochs * -(-len(examples) // config.batch)
    update = 0
    for epoch in range(1, config.epochs + 1):
        losses = []
        for batch in _batches(examples, config.batch, chance):
            for group in optimiser.param_groups:
                group["lr"] = config.peak * min(1, (update + 1) / config.warmup) * max(0.02, 1 - update / updates)
            loss = _loss(speller, batch)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(speller.parameters(), 1.0)
            optimiser.step()
            update += 1
            losses.append(loss.item())
        note(epoch, sum(losses) / len(losses))


def _batches(examples: Sequence[Example], size: int, chance: random.Random) -> list[list[Example]]:
    """An epoch in random batches of words of like length."""
    shuffled = chance.sample(examples, len(examples))
    chunks = [shuffled[first : first + CHUNK * size] for first in range(0, len(shuffled), CHUNK * size)]
    ordered = [example for chunk in chunks for example in sorted(chunk, key=lambda example: len(example[0]))]
    # A chunk holds whole batches, so none reaches over its end.
    batches = [ordered[first : first + size] for first in range(0, len(ordered), size)]
    chance.shuffle(batches)
    return batches


def _loss(speller: Speller, batch: Sequence[Example]) -> Tensor:
    letters, lengths = pad_words([letters for letters, _ in batch])
    targets, target_lengths = pad_phones([phones for _, phones in batch])
    with products("auto", torch.device("cpu")):
        log_probs, steps = speller(letters, lengths)
    return F.ctc_loss(log_probs.float().transpose(0, 1), targets, steps, target_lengths, BLANK)
