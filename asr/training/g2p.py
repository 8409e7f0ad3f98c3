"""Teach a G2P model a lexicon: CTC over words of like length, the learning rate falling to nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from asr.errors import DataError
from asr.lexicon.g2p import BLANK, G2P, LONGEST, STEPS, pad_phones, pad_words
from asr.lexicon.phones import letters_of
from asr.nn.precision import products

Example = tuple[str, str]
"""The letters of a word and its pronunciation."""
Note = Callable[[int, float], None]

CHUNK = 32  # batches; so many are sorted by length together, so that neighbors differ from epoch to epoch


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


def train_g2p(
    words: Mapping[str, Sequence[str]],
    config: LearningConfig | None = None,
    g2p: G2P | None = None,
    note: Note = lambda epoch, loss: None,
) -> G2P:
    """A G2P model that has learned the first pronunciation of each of `words`.

    `g2p` is trained on instead of a new one; `note` is told the number and mean loss of each epoch. The same seed
    and number of threads give the same weights, and PyTorch's own generator is left as it was. Raises `DataError`
    where no word can be learned from.
    """
    config = config or LearningConfig()
    examples = learnable(words)
    if not examples:
        raise DataError("there are no words to learn the pronunciation from", "Give a dictionary such as CMUdict.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        g2p = g2p or G2P()
        _train(g2p.train(), examples, config, note)
    return g2p.eval()


def learnable(words: Mapping[str, Sequence[str]]) -> list[Example]:
    """Words with their first pronunciations, without those whose letters are too few for CTC to write it."""
    pairs = [(letters_of(word.upper()), pronunciations[0]) for word, pronunciations in words.items() if pronunciations]
    return [(letters, phones) for letters, phones in pairs if _fits(letters, phones)]


def word_accuracy(g2p: G2P, words: Mapping[str, Sequence[str]]) -> float:
    """The share of `words` whose prediction is one of their pronunciations."""
    predictions = g2p.predict(list(words))
    right = sum(
        prediction in pronunciations for prediction, pronunciations in zip(predictions, words.values(), strict=True)
    )
    return right / max(1, len(words))


def _fits(letters: str, phones: str) -> bool:
    # CTC parts a phone that comes twice in a row by a blank, which takes a step as well.
    doubled = sum(phone == after for phone, after in pairwise(phones))
    return 0 < len(phones) + doubled <= STEPS * len(letters) <= STEPS * LONGEST


def _train(g2p: G2P, examples: Sequence[Example], config: LearningConfig, note: Note) -> None:
    chance = random.Random(config.seed)
    optimizer = torch.optim.AdamW(g2p.parameters(), lr=config.peak, weight_decay=config.weight_decay)
    updates = config.epochs * -(-len(examples) // config.batch)
    update = 0
    for epoch in range(1, config.epochs + 1):
        losses = []
        for batch in _batches(examples, config.batch, chance):
            for group in optimizer.param_groups:
                group["lr"] = config.peak * min(1, (update + 1) / config.warmup) * max(0.02, 1 - update / updates)
            loss = _loss(g2p, batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(g2p.parameters(), 1.0)
            optimizer.step()
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


def _loss(g2p: G2P, batch: Sequence[Example]) -> Tensor:
    letters, lengths = pad_words([letters for letters, _ in batch])
    targets, target_lengths = pad_phones([phones for _, phones in batch])
    with products("auto", torch.device("cpu")):
        log_probs, steps = g2p(letters, lengths)
    return F.ctc_loss(log_probs.float().transpose(0, 1), targets, steps, target_lengths, BLANK)
