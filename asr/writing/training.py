"""Teach a model's scribe to write: texts as they would sound to that model, and speech as it did sound.

The speech is that of an acoustic experiment, made as hard as its augmentation makes it: of the speech that a network
has learned, plain, it hears far more than of any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asr.config import apply_overrides, read_yaml, validate
from asr.corpus.prefetch import prefetch
from asr.decoding.greedy import greedy
from asr.errors import UsageError
from asr.features.augment import spec_augment
from asr.files import fingerprint_files, fingerprint_text, make_folder, write_text
from asr.language.text import read_sentences
from asr.model.alignment import align_tokens
from asr.model.ctc import needed_steps, pad_targets, sequence_losses
from asr.model.folder import model_folder
from asr.model.saved import load_saved_model, save_model
from asr.model.scribe import Scribe, ScribeConfig
from asr.precision import products
from asr.pronunciation.dictionary import FOLDER as PRONUNCIATION
from asr.pronunciation.phones import VOCABULARY as PHONES
from asr.scoring.result import score
from asr.training import distributed
from asr.training.experiment import AcousticTask, ExperimentConfig, check
from asr.training.loop import LAST, LoopConfig, Loss, Trainer
from asr.training.optimiser import OptimiserConfig
from asr.training.run import CONFIG, as_yaml
from asr.training.schedule import ScheduleConfig
from asr.writing.sounds import Halves, Recording, Sounds, load_sounds
from asr.writing.texts import speak

TOGETHER = 64
"""Utterances of validation at once."""
POOL = 16
"""Batches of excerpts that are put together at once, so that each can have those of like length."""


@dataclass(frozen=True)
class WritingConfig:
    """Everything that decides a run."""

    hearing: ExperimentConfig
    """The acoustic model (`init_from`), the speech that tells what it hears, how hard that is made, and validation."""
    texts: list[Path]
    output: Path = Path("exp/scribe")
    scribe: ScribeConfig = field(default_factory=ScribeConfig)
    """Sizes of a new scribe, and the dropout of any."""
    scribe_from: str | None = None
    """The model whose scribe goes on learning ("default" is the bundled one); that of `hearing.init_from` otherwise,
    and a new one where that has none."""
    passes: int = 1
    """How often the speech is heard, augmented anew each time, for snippets of its phones."""
    words: tuple[int, int] = (4, 40)
    """The fewest and the most words of an excerpt of the texts."""
    batch_words: int = 1500
    speech_share: float = 0.1
    """Share of the batches that are speech as it was heard; the others are texts put together from its snippets."""
    epoch_batches: int = 1000
    threads: int = 0
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            epochs=20,
            optimiser=OptimiserConfig(weight_decay=0.01),
            schedule=ScheduleConfig(peak=2e-3, warmup_updates=300),
            keep_epochs=0,
        )
    )

    def __post_init__(self) -> None:
        if not 1 <= self.words[0] <= self.words[1] <= self.batch_words // 2:
            raise ValueError("words must rise, from 1 to half of batch_words at most")
        if not 0 <= self.speech_share < 1:
            raise ValueError("speech_share must be at least 0 and below 1")
        if self.passes < 1 or self.epoch_batches < 1:
            raise ValueError("passes and epoch_batches must be at least 1")


Spoken = list[tuple[str, Halves]]
"""What is said in each of some utterances, and the log-probabilities of phones (T, P) that are heard."""


@dataclass(frozen=True)
class Batch:
    """Log-probabilities of phones (B, T, P), steps (B,), and the tokens to write."""

    heard: Tensor
    steps: Tensor
    targets: list[list[int]]


class WritingTask:
    """CTC from phones to tokens; validated by the greedy word error rate of the whole model."""

    def __init__(self, config: WritingConfig, device: torch.device, quiet: bool = False) -> None:
        self.config, self.device = config, device
        self.model = load_saved_model(config.hearing.init_from)
        if self.model.pronunciations is None:
            raise UsageError(
                f"{self.model.path} has not learned phones, and a scribe reads nothing else",
                "Train it with pronunciation=asr/pretrained.",
            )
        self.hearing = AcousticTask(config.hearing, device, quiet)
        self.hearing.module.to(device).eval()
        self.tokenizer = self.model.tokenizer
        self.sounds = self._sounds()
        normalise = self.hearing.normalise
        sentences = (sentence for path in config.texts for sentence in read_sentences(path, normalise))
        self.text = speak(sentences, self.model.pronunciations, self.sounds.phones(), self.hearing.report)
        torch.manual_seed(config.loop.seed)
        self.network = self._scribe()
        self.module: nn.Module = self.network
        self.validation = self._listen()
        self._by_length = np.diff(self.sounds.edges).argsort(kind="stable")
        self._pooled: tuple[tuple[int, int], list[Spoken]] | None = None

    def batches(self, epoch: int) -> int:
        """How many batches an epoch has."""
        del epoch
        return self.config.epoch_batches

    def load(self, epoch: int, first: int, stride: int) -> Iterator[Batch]:
        """Batches of an epoch, one prepared ahead."""
        return prefetch(partial(self._batch, epoch), range(first, self.config.epoch_batches, stride))

    def loss(self, batch: Batch, generator: torch.Generator) -> Loss:
        """CTC per token."""
        del generator
        targets, lengths = pad_targets(batch.targets)
        log_probs = self.network(batch.heard.to(self.device), batch.steps.to(self.device))
        losses = sequence_losses(log_probs, batch.steps, targets.to(self.device), lengths)
        tokens = int(lengths.sum())
        sums: dict[str, Tensor | float] = {"loss": losses.detach().sum(), "tokens": float(tokens)}
        ids = [self.tokenizer.decode(target) for target in batch.targets]
        seconds = float(batch.steps.sum()) * self.model.frame_seconds
        return Loss(losses.sum() / tokens, ids, sums, seconds, losses.detach())

    def summary(self, sums: dict[str, float]) -> dict[str, float]:
        """Loss per token in nats."""
        return {"loss": sums["loss"] / max(1.0, sums["tokens"])}

    def validate(self) -> dict[str, float]:
        """Greedy word error rate (a fraction) of what the acoustic model heard and the scribe wrote."""
        references = [utterance.text for utterances, _ in self.hearing.validation for utterance in utterances]
        if not references:
            return {}
        texts = [""] * len(references)
        order = sorted(range(len(references)), key=lambda index: len(self.validation[index]))
        for first in range(0, len(order), TOGETHER):
            chosen = order[first : first + TOGETHER]
            heard, steps = pad([self.validation[index] for index in chosen])
            log_probs = self.network(heard.to(self.device), steps.to(self.device))
            for index, hypothesis in zip(chosen, greedy(log_probs, steps), strict=True):
                texts[index] = self.tokenizer.decode(hypothesis.tokens)
        result = score(references, texts)
        return {"wer": result.wer, "cer": result.cer}

    def save(self, folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """The whole model with its scribe, which `asr transcribe -m` reads."""
        network = self.model.network
        network.config = replace(network.config, scribe=self.network.config)
        whole = network.state_dict() | {f"scribe.{name}": tensor for name, tensor in weights.items()}
        save_model(
            folder,
            network,
            self.tokenizer,
            self.model.normaliser,
            self.model.training | {"scribe": facts},
            weights=whole,
            pronunciations=self.model.pronunciations,
        )

    def _scribe(self) -> Scribe:
        """As it shall begin: a new one, or one that has learned already."""
        config, vocabulary = self.config, self.tokenizer.vocabulary
        author = load_saved_model(config.scribe_from) if config.scribe_from else self.model
        learned = author.network.scribe
        if learned is None:
            if config.scribe_from:
                raise UsageError(f"{author.path} has no scribe to go on from", "Leave scribe_from out for a new one.")
            return Scribe(config.scribe, len(PHONES), len(vocabulary))
        if author.tokenizer.vocabulary != vocabulary:
            raise UsageError(
                f"the scribe of {author.path} writes other pieces than {self.model.path} has",
                "Take one of a model with the same tokenizer.",
            )
        scribe = Scribe(replace(learned.config, dropout=config.scribe.dropout), len(PHONES), len(vocabulary))
        scribe.load_state_dict(learned.state_dict())
        return scribe

    def _sounds(self) -> Sounds:
        """What the speech sounded like, from the run's folder where an earlier start has heard the same."""
        kept = sounds_file(self.config)
        if not kept.exists():
            self._record().save(kept)
        return load_sounds(kept)

    def _record(self) -> Sounds:
        """Hear the speech as in training, and find its phones."""
        recording = Recording()
        config, stream = self.config.hearing, self.hearing.stream
        for number in range(config.plain_epochs, config.plain_epochs + self.config.passes):
            for place, batch in enumerate(stream.load(number)):
                log_probs, steps = self._hear(batch.waveforms, batch.lengths, np.random.SeedSequence([number, place]))
                for row, found in enumerate(align_tokens(log_probs, steps, batch.phones)):
                    if found is not None:
                        text, phones = self.tokenizer.decode(batch.targets[row]), np.array(batch.phones[row])
                        recording.add(text, log_probs[row, : steps[row]], phones, found.begins, found.ends)
        return recording.sounds()

    def _hear(
        self, waveforms: Tensor, lengths: Tensor, seed: np.random.SeedSequence | None = None
    ) -> tuple[np.ndarray, list[int]]:
        """Log-probabilities of phones (B, T, P) and steps (B,); masked, if there is a `seed`, as in training."""
        module, masks = self.hearing.module, self.config.hearing.spec_augment
        with torch.inference_mode(), products("auto", self.device):
            features, frames = module.features(waveforms.to(self.device), lengths.to(self.device))
            if seed is not None and masks is not None:
                generator = torch.Generator().manual_seed(int(seed.generate_state(1)[0]))
                features = spec_augment(features, frames, masks, generator)
            log_probs, steps = module.recognise(features, frames, phones=True)
        return log_probs.float().cpu().numpy(), steps.tolist()

    def _listen(self) -> list[Halves]:
        """Log-probabilities of phones (T, P) of every utterance of validation."""
        heard: list[Halves] = []
        for utterances, audio in self.hearing.validation:
            manifest: dict[int, Halves] = {}
            with torch.inference_mode(), products("auto", self.device):
                for chosen, log_probs, steps in self.hearing.listen(audio, phones=True):
                    rows = log_probs.half().cpu().numpy()
                    manifest |= {i: rows[row, : steps[row]] for row, i in enumerate(chosen.tolist())}
            heard += [manifest[index] for index in range(len(utterances))]
        return heard

    def _batch(self, epoch: int, number: int) -> Batch:
        """Batch `number` of an epoch, the same for the same seed."""
        generator = np.random.default_rng([self.config.loop.seed, epoch, number])
        speech = generator.random() < self.config.speech_share
        spoken = self._speech(generator) if speech else self._excerpts(epoch, number)
        encoded = [(self.tokenizer.encode(text), heard) for text, heard in spoken]
        fitting = [(target, heard) for target, heard in encoded if target and needed_steps(target) <= len(heard)]
        return Batch(*pad([heard for _, heard in fitting]), [target for target, _ in fitting])

    def _speech(self, generator: np.random.Generator) -> Spoken:
        """Utterances of like length as they were heard, and what was said."""
        first = int(generator.integers(len(self._by_length)))
        spoken: Spoken = []
        words = 0
        for utterance in self._by_length[first:].tolist():
            text, heard = self.sounds.heard(utterance)
            words += len(text.split())
            if spoken and words > self.config.batch_words:
                break
            spoken.append((text, heard))
        return spoken

    def _excerpts(self, epoch: int, number: int) -> Spoken:
        """Excerpts of the texts of like length, and what they may sound like."""
        pool, place = divmod(number, POOL)
        if self._pooled is None or self._pooled[0] != (epoch, pool):
            generator = np.random.default_rng([self.config.loop.seed, epoch, pool, POOL])
            self._pooled = (epoch, pool), self._pool(generator)
        return self._pooled[1][place]

    def _pool(self, generator: np.random.Generator) -> list[Spoken]:
        """Batches of excerpts in any order, those of like length together: otherwise a third would be padding."""
        spoken = [excerpt for _ in range(POOL) for excerpt in self._draw(generator)]
        spoken.sort(key=lambda excerpt: len(excerpt[1]))
        words = np.cumsum([0] + [len(text.split()) for text, _ in spoken])
        firsts = words[:-1].searchsorted(np.arange(POOL + 1) * words[-1] / POOL)
        batches = [spoken[first:behind] for first, behind in pairwise(firsts.tolist())]
        return [batches[place] for place in generator.permutation(POOL)]

    def _draw(self, generator: np.random.Generator) -> Spoken:
        """Excerpts of a batch's worth of words, all of as many."""
        shortest, longest = self.config.words
        words = min(int(generator.integers(shortest, longest + 1)), len(self.text.text))
        firsts = generator.integers(len(self.text.text) - words + 1, size=self.config.batch_words // words)
        texts, phones = zip(*(self.text.excerpt(first, words) for first in firsts.tolist()), strict=True)
        return list(zip(texts, self.sounds.spoken(phones, generator), strict=True))


def read_writing(path: Path, overrides: Sequence[str] = ()) -> WritingConfig:
    """The configuration of a YAML file with `key.sub=value` overrides."""
    config = validate(WritingConfig, apply_overrides(read_yaml(path), overrides), str(path))
    try:
        check(config.hearing)
    except UsageError as error:
        raise UsageError(f"hearing: {error.message}", error.hint) from error
    if config.hearing.init_from is None:
        raise UsageError(
            "hearing.init_from must name the model that learns to write",
            "hearing.init_from=default is the bundled one.",
        )
    if not config.hearing.keep_output:
        raise UsageError(
            "hearing.keep_output=false would take away the phones that are to be written down",
            "Leave it out: asr scribe keeps the model as it is.",
        )
    return config


def learn_to_write(config: WritingConfig, resume: bool = False, quiet: bool = False) -> Path:
    """Train as configured; returns the folder of the best model, `<output>/best`."""
    if not resume and (config.output / LAST).exists():
        raise UsageError(f"{config.output} already holds a run", "Go on with --resume, or choose another output=….")
    if config.threads:
        torch.set_num_threads(config.threads)
    world = distributed.join_world()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        make_folder(config.output)
        # The leader first: it hears the speech, which the others then find on disk.
        task = WritingTask(config, device, quiet) if world.leads else None
        distributed.wait_for_all(world)
        task = task or WritingTask(config, device, quiet=True)
        if world.leads:
            write_text(config.output / CONFIG, as_yaml(config))
        Trainer(task, config.loop, config.output, world, device).run(resume)
        distributed.wait_for_all(world)
    finally:
        distributed.leave_world()
    return config.output / "best"


def sounds_file(config: WritingConfig) -> Path:
    """Where a run keeps what the speech sounded like; the name follows from all that decides it."""
    hearing, model = config.hearing, model_folder(config.hearing.init_from)
    spoken = (hearing.pronunciation or model) / PRONUNCIATION
    manifests = [corpus.manifest for corpus in hearing.train]
    files = fingerprint_files(model / "model.safetensors", *model.glob("tokenizer.*"), *spoken.iterdir(), *manifests)
    return config.output / f"sounds-{fingerprint_text(f'{files} {config.passes} {as_yaml(hearing)}')}.npz"


def pad(rows: Sequence[Halves]) -> tuple[Tensor, Tensor]:
    """Rows (T, P) → (B, T, P) float32, the shorter ones filled up, and their lengths (B,)."""
    lengths = np.array([len(row) for row in rows])
    padded = np.zeros((len(rows), lengths.max(), len(PHONES)), np.float32)
    padded[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate(rows)
    return torch.from_numpy(padded), torch.from_numpy(lengths)
