"""Train the recurrent language model with the loop that also trains the acoustic model."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from asr.config import apply_overrides, validate
from asr.errors import UsageError
from asr.lm.ngram import Ints
from asr.lm.rnn import (
    BOUNDARY,
    RecurrentConfig,
    RecurrentModel,
    RecurrentNetwork,
    batches_by_length,
    load_recurrent,
    pad_sentences,
    save_recurrent,
    with_other_pieces,
    word_perplexity,
)
from asr.lm.text import read_sentences
from asr.text.normalize import get_normalizer
from asr.text.tokenizer import Tokenizer, TokenizerConfig, load_tokenizer, train_tokenizer
from asr.trainer import distributed
from asr.trainer.optimizer import OptimizerConfig, ScheduleConfig
from asr.trainer.trainer import LAST, LoopConfig, Loss, Trainer
from asr.training.sampled_softmax import SampledSoftmax

TOKENIZER = "tokenizer"
TOKENIZER_SENTENCES = 100_000
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class RecurrentExperiment:
    """Everything that decides a run."""

    train: list[Path]
    validation: list[Path]
    """Texts whose perplexity decides which epoch is best."""
    output: Path
    normalizer: str = "librispeech"
    init_from: Path | None = None
    """The folder of a recurrent model that goes on reading, with its tokenizer, normalizer and sizes; of what this run
    says of them only the dropout counts."""
    other_pieces: bool = False
    """With `init_from`: it goes on with pieces of this run's `tokenizer`."""
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


class RecurrentTask:
    """Foretell the next token of sentences; validated by perplexity per word."""

    def __init__(
        self, experiment: RecurrentExperiment, device: torch.device, tokenizer: Tokenizer | None = None
    ) -> None:
        """`tokenizer` is that of a run that goes on, whose weights are in its checkpoint."""
        self.experiment, self.device = experiment, device
        origin = load_recurrent(experiment.init_from) if experiment.init_from else None
        self.normalizer = origin.normalizer if origin else experiment.normalizer
        known = tokenizer or (origin.tokenizer if origin and not experiment.other_pieces else None)
        if known is None:
            texts = _some(self._sentences(experiment.train), experiment.loop.seed)
            known = train_tokenizer(experiment.tokenizer, texts)
        self.tokenizer = known
        self.tokens, self.starts = _encode(known, self._sentences(experiment.train), experiment.longest)
        if not len(self.tokens):
            raise UsageError("the text to train on has no words")
        torch.manual_seed(experiment.loop.seed)
        dropout = experiment.network.dropout
        sizes = replace(origin.network.config, dropout=dropout) if origin else experiment.network
        self.network = RecurrentNetwork(sizes, len(known.vocabulary))
        if origin and not tokenizer:
            network = with_other_pieces(origin, known, dropout) if experiment.other_pieces else origin.network
            self.network.load_state_dict(network.state_dict())
        self.sampled = SampledSoftmax(self._counts(), experiment.sampled) if experiment.sampled else None
        self.module: nn.Module = self.network
        self.validation = list(self._sentences(experiment.validation))
        self._planned: tuple[int, list[list[int]]] = (-1, [])

    def batches(self, epoch: int) -> int:
        """How many batches an epoch has."""
        return len(self._plan(epoch))

    def load(self, epoch: int, first: int, stride: int) -> Iterator[Batch]:
        """Batches of an epoch."""
        for batch in self._plan(epoch)[first::stride]:
            yield pad_sentences([self.tokens[self.starts[i] : self.starts[i + 1]] for i in batch])

    def loss(self, batch: Batch, generator: torch.Generator) -> Loss:
        """Cross-entropy per token."""
        inputs, targets = batch[0].to(self.device), batch[1].to(self.device)
        if self.sampled is None:
            total = self.network.losses(inputs, targets).sum()
        else:
            total = self.sampled.loss(self.network, inputs, targets, generator)
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
        return RecurrentModel(self.network, self.tokenizer, self.normalizer)

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
            random = np.random.default_rng([self.experiment.loop.seed, epoch])
            # A little noise on the lengths, so that the same sentences do not always meet.
            lengths = np.diff(self.starts) + random.uniform(0, 2, len(self.starts) - 1).astype(np.int64)
            batches = batches_by_length(lengths.tolist(), self.experiment.batch_tokens)
            order = random.permutation(len(batches))[: self.experiment.epoch_batches or None]
            self._planned = epoch, [batches[index] for index in order.tolist()]
        return self._planned[1]


def read_experiment(
    texts: Sequence[Path], validation: Sequence[Path], output: Path, normalizer: str, settings: Sequence[str]
) -> RecurrentExperiment:
    """The experiment with `key.sub=value` settings. Raises `UsageError` naming what is wrong."""
    defaults = asdict(RecurrentExperiment(list(texts), list(validation), output, normalizer))
    return validate(RecurrentExperiment, apply_overrides(defaults, settings), "--set")


def train_recurrent(experiment: RecurrentExperiment, resume: bool = False) -> Path:
    """Train as configured; returns the folder of the best model, `<output>/best`."""
    if not resume and (experiment.output / LAST).exists():
        raise UsageError(f"{experiment.output} already holds a run", "Go on with --resume, or choose another place.")
    if experiment.threads:
        torch.set_num_threads(experiment.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    world = distributed.join_world()
    try:
        experiment.output.mkdir(parents=True, exist_ok=True)
        task = RecurrentTask(experiment, device, _kept_tokenizer(experiment.output) if resume else None)
        if world.is_main and not resume:
            task.tokenizer.save(experiment.output / TOKENIZER)
        Trainer(task, experiment.loop, experiment.output, world, device).run(resume)
    finally:
        distributed.leave_world()
    return experiment.output / "best"


def _kept_tokenizer(output: Path) -> Tokenizer | None:
    """The tokenizer that a run began with: from texts that were changed since, the same ids would be other pieces.

    None in a run of a former version, which trains it anew.
    """
    kept = output / TOKENIZER
    return load_tokenizer(kept) if (kept / "tokenizer.json").exists() else None


def _some(texts: Iterable[str], seed: int) -> list[str]:
    """Sentences from all over the texts, enough to train a tokenizer on: each has the same chance (Vitter 1985)."""
    random = np.random.default_rng(seed)
    chosen: list[str] = []
    for number, text in enumerate(texts):
        if number < TOKENIZER_SENTENCES:
            chosen.append(text)
        elif (place := int(random.integers(number + 1))) < TOKENIZER_SENTENCES:
            chosen[place] = text
    return chosen


def _encode(tokenizer: Tokenizer, texts: Iterable[str], longest: int) -> tuple[Ints, NDArray[np.int64]]:
    """All sentences of at most `longest` tokens, one after the other, and where each begins (and the end)."""
    tokens, starts = array("i"), array("q", [0])
    for text in texts:
        ids = tokenizer.encode(text)
        if len(ids) <= longest:
            tokens.extend(ids)
            starts.append(len(tokens))
    return np.frombuffer(tokens, np.int32), np.frombuffer(starts, np.int64)
