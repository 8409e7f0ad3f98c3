"""The task of the recurrent language model: to foretell the next token of sentences."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from asr.errors import UsageError
from asr.lm.ngram import Ints
from asr.lm.rnn import (
    RecurrentModel,
    load_recurrent,
    pad_sentences,
    save_recurrent,
    widened,
    with_other_pieces,
    word_perplexity,
)
from asr.lm.rnn_network import BOUNDARY, RecurrentConfig, RecurrentNetwork
from asr.lm.text import read_sentences
from asr.nn.rnn import batches_by_length
from asr.text.normalize import get_normalizer
from asr.text.tokenizer import Tokenizer, TokenizerConfig
from asr.trainer.optimizer import OptimizerConfig, ScheduleConfig
from asr.trainer.trainer import LoopConfig, Loss
from asr.training.data import run_tokenizer

TOKENIZER_SENTENCES = 100_000
SentenceBatch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class RecurrentExperiment:
    """Everything that decides the training of a recurrent language model."""

    train: list[Path]
    """Texts, a sentence a line, plain, gzip or bzip2, or manifests."""
    task: Literal["rnn_lm"] = "rnn_lm"
    validation: list[Path] = field(default_factory=list)
    """Texts whose perplexity decides which epoch is best."""
    output: Path = Path("exp/rnn_lm")
    normalizer: str = "librispeech"
    init_from: Path | None = None
    """The folder of a recurrent model that goes on reading, with its tokenizer, normalizer and sizes; of what this run
    says of them only the dropout counts."""
    other_pieces: bool = False
    """With `init_from`: it goes on with pieces of this run's `tokenizer`."""
    widen_to: int = 0
    """With `init_from`: units of the wider network that goes on with what was learned; 0 leaves it as wide as it is."""
    tokenizer: TokenizerConfig = field(default_factory=lambda: TokenizerConfig("unigram", 512))
    network: RecurrentConfig = field(default_factory=RecurrentConfig)
    sampled: int = 0
    """Tokens drawn for the softmax of a batch, beside its own; 0 takes all. Halves the time of thousands of pieces."""
    batch_tokens: int = 4096
    """Tokens in a batch, padding included."""
    longest: int = 150
    """Sentences of more tokens are left out."""
    epoch_batches: int = 0
    """Batches of an epoch, drawn at random; 0 takes the whole text."""
    threads: int = 0
    """Threads; 0 leaves the choice to PyTorch."""
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=10,
            optimizer=OptimizerConfig(weight_decay=0.0),
            schedule=ScheduleConfig(peak=4e-3, warmup_updates=200, decay="linear"),
            keep_epochs=0,
        )
    )

    def check(self) -> None:
        """Raise `UsageError` for settings that contradict one another."""
        get_normalizer(self.normalizer)
        if not self.train:
            raise UsageError("train must name at least one text")
        if self.other_pieces and self.init_from is None:
            raise UsageError("other_pieces needs a model to go on from", "Set init_from, or leave other_pieces out.")
        if self.widen_to and (self.init_from is None or self.other_pieces):
            raise UsageError("widen_to needs a model to go on from, with its own pieces", "Set init_from alone.")
        for name in ("widen_to", "sampled", "epoch_batches"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative")
        if self.loop.patience and not self.validation:
            raise UsageError("loop.patience needs a validation text")


class RecurrentTask:
    """Foretell the next token of sentences; validated by perplexity per word."""

    def __init__(self, config: RecurrentExperiment, device: torch.device, quiet: bool = False) -> None:
        self.device = device
        origin = load_recurrent(config.init_from) if config.init_from else None
        self.normalizer = origin.normalizer if origin else config.normalizer
        self.validation = list(self._sentences(config.validation))
        if config.validation and not self.validation:
            raise UsageError("the text to validate on has no words")
        some = _some(self._sentences(config.train), config.loop.seed)
        kept = origin.tokenizer if origin and not config.other_pieces else None
        self.tokenizer = run_tokenizer(config.output, config.tokenizer, some, kept)
        self.tokens, self.starts, self.left_out = _encode(self.tokenizer, self._sentences(config.train), config.longest)
        if not len(self.tokens) and self.left_out:
            raise UsageError(
                f"all {self.left_out:,} sentences have more than {config.longest} tokens",
                "A line of the texts is a sentence: part them, or raise `longest`.",
            )
        if not len(self.tokens):
            raise UsageError("the text to train on has no words")
        torch.manual_seed(config.loop.seed)
        dropout = config.network.dropout
        if origin is None:
            self.module = RecurrentNetwork(config.network, len(self.tokenizer.vocabulary))
        elif config.other_pieces:
            self.module = with_other_pieces(origin, self.tokenizer, dropout)
        else:
            self.module = widened(origin, config.widen_to or origin.network.config.units, dropout)
        self.config = replace(config, network=self.module.config)
        """With the network's true sizes, which `init_from` may have decided."""
        self.sampled = SampledSoftmax(self._counts(), config.sampled) if config.sampled else None
        for sentence in self.validation:
            self.tokenizer.encode(sentence)  # what cannot be read is told now, not after an epoch
        self._planned: tuple[int, list[list[int]]] = (-1, [])

    def describe_data(self) -> list[str]:
        """How much text there is, and in how many pieces."""
        sentences, tokens = len(self.starts) - 1, len(self.tokens)
        left_out = f"; {self.left_out:,} left out, of more than {self.config.longest} tokens" if self.left_out else ""
        return [f"{sentences:,} sentences, {tokens:,} tokens of {len(self.tokenizer.vocabulary)}{left_out}"]

    def batches(self, epoch: int) -> int:
        """How many batches an epoch has."""
        return len(self._plan(epoch))

    def load(self, epoch: int, first: int, stride: int) -> Iterator[SentenceBatch]:
        """Batches of an epoch."""
        for batch in self._plan(epoch)[first::stride]:
            yield pad_sentences([self.tokens[self.starts[i] : self.starts[i + 1]] for i in batch])

    def loss(self, batch: SentenceBatch, generator: torch.Generator) -> Loss:
        """Cross-entropy per token."""
        inputs, targets = batch[0].to(self.device), batch[1].to(self.device)
        if self.sampled is None:
            total = self.module.losses(inputs, targets).sum()
        else:
            total = self.sampled.loss(self.module, inputs, targets, generator)
        tokens = int((batch[1] >= 0).sum())
        sums: dict[str, Tensor | float] = {"loss": total.detach(), "tokens": float(tokens)}
        return Loss(total / tokens, ["a batch of sentences"], sums, amount=0.0)  # no seconds of sound

    def summary(self, sums: dict[str, float]) -> dict[str, float]:
        """Loss per token in nats."""
        return {"loss": sums["loss"] / max(1.0, sums["tokens"])}

    def validate(self) -> dict[str, float]:
        """Perplexity per word of the validation texts, sentence ends counted as words."""
        if not self.validation:
            return {}
        return {"perplexity": word_perplexity(self.model().rescore(self.validation), self.validation)}

    def save(self, folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Write the language model with these weights."""
        save_recurrent(folder, self.model(), weights, facts)

    def model(self) -> RecurrentModel:
        """The network as it is now, ready to use."""
        return RecurrentModel(self.module, self.tokenizer, self.normalizer)

    def _sentences(self, texts: Sequence[Path]) -> Iterator[str]:
        normalize = get_normalizer(self.normalizer)
        return (sentence for path in texts for sentence in read_sentences(path, normalize))

    def _counts(self) -> Tensor:
        """How often each token (V,) is foretold, the ends of sentences among them."""
        counts = np.bincount(self.tokens, minlength=len(self.tokenizer.vocabulary))
        counts[BOUNDARY] = len(self.starts) - 1
        return torch.from_numpy(counts)

    def _plan(self, epoch: int) -> list[list[int]]:
        """Batches of an epoch: sentences of like length together, in random order."""
        if self._planned[0] != epoch:
            random = np.random.default_rng([self.config.loop.seed, epoch])
            # A little noise on the lengths, so that the same sentences do not always meet.
            lengths = 1 + np.diff(self.starts) + random.uniform(0, 2, len(self.starts) - 1).astype(np.int64)
            batches = batches_by_length(lengths.tolist(), self.config.batch_tokens)
            order = random.permutation(len(batches))[: self.config.epoch_batches or None]
            self._planned = epoch, [batches[index] for index in order.tolist()]
        return self._planned[1]


FLATTENED = 0.6
"""The power of a token's share by which it is drawn: rare ones more often than they come."""


class SampledSoftmax:
    """A softmax over a sample of the tokens, for training with many word pieces.

    The loss of a position needs Σ e^score over all V tokens. Here it is over a sample: the target, and others that are
    there with probability π_k. With log π_k taken from each score, what is learned is the same as from all tokens (Jean
    et al., "On using very large target vocabulary for neural machine translation", 2015); the loss itself is another
    number. All positions of a batch share one sample, so that it is one product: the tokens that the batch itself has
    to foretell, and draws from a flattened distribution of the tokens.
    """

    def __init__(self, counts: Tensor, draws: int) -> None:
        """`counts` (V,): how often each token is foretold in the texts. Up to `draws` tokens join those of a batch."""
        self.draws = draws
        self._share = (counts.double() + 1) / (counts.double() + 1).sum()
        flattened = self._share**FLATTENED
        self._drawn = flattened / flattened.sum()
        self._cumulative = self._drawn.cumsum(0)

    def loss(self, network: RecurrentNetwork, inputs: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
        """Summed over all tokens of a batch, as `pad_sentences` makes it, the loss by a sample."""
        known = targets >= 0
        wanted = targets[known]
        encoded = network.encode(inputs)[known]
        ids, log_included = self.sample(wanted, generator)
        embedding, bias = network.embedding.weight.index_select(0, ids), network.bias.index_select(0, ids)
        scores = F.linear(encoded, embedding).float() + (bias - log_included)
        return F.cross_entropy(scores, torch.searchsorted(ids, wanted), reduction="sum")

    def sample(self, wanted: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sorted token ids (S,), `wanted` (N,) among them, and the log-probability that each came to be there."""
        chance = torch.rand(self.draws, generator=generator, device=generator.device, dtype=torch.float64)
        drawn = torch.searchsorted(self._cumulative, chance.cpu()).clamp(max=len(self._share) - 1)
        ids = torch.cat([drawn.to(wanted.device), wanted]).unique()
        # So often a token is expected, as a target or drawn; Poisson's formula says how likely it is there at all.
        expected = len(wanted) * self._share + self.draws * self._drawn
        log_included = torch.log(-torch.expm1(-expected)).float()
        return ids, log_included.to(ids.device).index_select(0, ids)


def _some(texts: Iterable[str], seed: int) -> Iterator[str]:
    """Sentences from all over the texts, enough to train a tokenizer on: each has the same chance (Vitter 1985).

    Characters that none of them has follow: the tokenizer shall have them all.
    """
    random = np.random.default_rng(seed)
    chosen: list[str] = []
    characters: set[str] = set()
    for number, text in enumerate(texts):
        characters.update(text)
        if number < TOKENIZER_SENTENCES:
            chosen.append(text)
        elif (place := int(random.integers(number + 1))) < TOKENIZER_SENTENCES:
            chosen[place] = text
    yield from chosen
    yield " ".join(sorted(characters.difference(*chosen)))


def _encode(tokenizer: Tokenizer, texts: Iterable[str], longest: int) -> tuple[Ints, NDArray[np.int64], int]:
    """All sentences of at most `longest` tokens, where each begins (and the end), and how many others there were."""
    tokens, starts, left_out = array("i"), array("q", [0]), 0
    for text in texts:
        ids = tokenizer.encode(text)
        if len(ids) <= longest:
            tokens.extend(ids)
            starts.append(len(tokens))
        else:
            left_out += 1
    return np.frombuffer(tokens, np.int32), np.frombuffer(starts, np.int64), left_out
