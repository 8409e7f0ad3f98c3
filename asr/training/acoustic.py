"""The acoustic task: speech, tokenizer, network and CTC made into something that the trainer learns."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from asr.corpus.audio_cache import AudioCache, open_cache
from asr.corpus.dataset import BatchConfig, Corpus, SpeechBatch, SpeechStream, fill_batches, pad_waveforms, prefetch
from asr.corpus.manifest import Utterance
from asr.decoding.greedy import greedy
from asr.errors import DataError, UsageError
from asr.features.augment import SpecAugmentConfig, WaveformAugmentConfig, augment_batch, spec_augment
from asr.features.extractor import RunningStatistics, length_mask
from asr.model.acoustic import AcousticConfig, AcousticModel
from asr.model.bundle import load_saved_model, save_model
from asr.model.crf import crf_losses
from asr.model.ctc import disagreements, pad_targets, sequence_losses
from asr.nn.machine import processors
from asr.scoring.result import score
from asr.text.normalize import get_normalizer
from asr.text.tokenizer import BLANK, TokenizerConfig
from asr.trainer.trainer import LoopConfig, Loss
from asr.training.data import (
    CorpusConfig,
    read_texts,
    reason_against,
    run_tokenizer,
    shortest,
    starting_lexicon,
    starting_ngram,
    starting_sizes,
    take_weights,
)

STATISTICS_SECONDS = 3600.0
MOST_WORKERS = 8
# Batches of validation by kind of device. A CPU's caches like them small; a GPU's memory bounds the seconds.
VALIDATION_BATCHES = {"cpu": BatchConfig(math.inf, utterances=16), "cuda": BatchConfig(seconds=1600.0, utterances=512)}


@dataclass(frozen=True)
class AcousticExperiment:
    """Everything that decides the training of an acoustic model."""

    train: list[CorpusConfig]
    task: Literal["acoustic"] = "acoustic"
    validation: list[Path] = field(default_factory=list)
    output: Path = Path("exp/default")
    cache: Path = Path("data/cache")
    """Where decoded audio is kept."""
    normalizer: str = "librispeech"
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    acoustic: AcousticConfig = field(default_factory=AcousticConfig)
    init_from: str | None = None
    """Start from this model's weights, with its tokenizer and sizes ("default" is the bundled model)."""
    shift_ms: float | None = None
    """With `init_from`: another shift of the feature frames than the model's; it learns the new pace in an hour."""
    reinit_head: bool = False
    """With `init_from`: take the encoder only, and learn to write by this run's tokenizer, at this run's `strides`."""
    lexicon: str | None = None
    """How words are spoken, a folder of `asr lexicon build` or a model's ("default" is the bundled one): the network
    then learns phones as well."""
    phone_weight: float = 0.5
    """Share of the phones in the loss, where there are any."""
    phone_ngram: str | None = None
    """A file of `recipes/phone_ngram.py`, or a model that has one ("default" is the bundled one): phones then learn by
    CTC-CRF. A model of `init_from` that was trained so goes on so, unless this is "none"."""
    crf_ctc_weight: float = 0.1
    """Weight of plain CTC beside CTC-CRF."""
    batches: BatchConfig = field(default_factory=BatchConfig)
    sortagrad_epochs: int = 1
    """Epochs that hear the shortest utterances first; short ones teach the alignment soonest."""
    augment_warmup_epochs: int = 0
    """Epochs that hear speech as it is, before speeds, noise and masks make it harder: worth it while a network knows
    too little to learn anything by heart."""
    longest_seconds: float = 30.0
    """Longer utterances are left out of training."""
    waveform: WaveformAugmentConfig = field(default_factory=WaveformAugmentConfig)
    spec_augment: SpecAugmentConfig | None = field(default_factory=SpecAugmentConfig)
    intermediate_layer: int = 0
    """Also ask this block's output for the text (intermediate CTC, Lee and Watanabe 2021), or for the phones where
    there are any: how a word is written comes after how it sounds. 0 does not."""
    intermediate_weight: float = 0.3
    cr_ctc_weight: float = 0.0
    """Weight of the agreement of two masked views of each utterance (CR-CTC, Yao et al. 2025; 0.2 there); 0 is off.
    A step then costs twice as much. The paper masks 2.5 times as much time as without."""
    threads: int = 0
    """Threads of each process; 0 leaves the choice to PyTorch."""
    workers: int = 0
    """Threads beside them that prepare batches; 0 is one, or up to eight where a GPU is to be kept busy."""
    loop: LoopConfig = field(default_factory=LoopConfig)

    def check(self) -> None:
        """Raise `UsageError` for settings that contradict one another."""
        get_normalizer(self.normalizer)
        if not self.train:
            raise UsageError("train must name at least one manifest")
        if self.init_from is None:
            self.check_sizes(self.acoustic)
        if self.reinit_head and self.init_from is None:
            raise UsageError("reinit_head needs a model to start from", "Set init_from, or leave reinit_head out.")
        if self.batches.seconds < self.longest_seconds:
            raise UsageError("batches.seconds must hold at least one utterance of longest_seconds")
        if self.shift_ms is not None and self.init_from is None:
            raise UsageError("shift_ms is for init_from", "Without it, set acoustic.features.shift_ms.")
        for name in ("crf_ctc_weight", "cr_ctc_weight", "sortagrad_epochs", "augment_warmup_epochs", "workers"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative")
        for name in ("phone_weight", "intermediate_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is a share: it must be from 0 to 1")
        if self.loop.patience and not self.validation:
            raise UsageError("loop.patience needs a validation manifest")

    def check_sizes(self, sizes: AcousticConfig) -> None:
        """Raise `UsageError` for what a network of these sizes cannot do."""
        if self.spec_augment is not None and self.spec_augment.warp > 1 and sizes.features.kind != "filterbank":
            raise UsageError("spec_augment.warp is for filterbanks", "Cepstra have no bands to move: set it to 1.")
        if not 0 <= self.intermediate_layer < sizes.encoder.layers:
            raise UsageError(
                "intermediate_layer must be 0 (off) or a block before the last",
                f"The network has {sizes.encoder.layers} blocks.",
            )

    def by_heart(self) -> AcousticExperiment:
        """The same without what keeps a network from learning by heart, on the first manifest alone."""
        return replace(
            self,
            train=[replace(self.train[0], weight=1.0)],
            validation=[],
            acoustic=replace(self.acoustic, encoder=replace(self.acoustic.encoder, dropout=0.0)),
            spec_augment=None,
            waveform=WaveformAugmentConfig(),
            sortagrad_epochs=0,
        )


class AcousticTask:
    """The task that the training loop learns: CTC or CTC-CRF on speech, validated by what `validate` says."""

    def __init__(
        self, config: AcousticExperiment, device: torch.device, quiet: bool = False, only: int | None = None
    ) -> None:
        """`only` keeps so many utterances of each manifest, the shortest that are still sentences."""
        self.device, self._quiet, self._only = device, quiet, only
        origin = load_saved_model(config.init_from) if config.init_from else None
        normalize = get_normalizer(config.normalizer)
        manifests = [read_texts(corpus.manifest, normalize) for corpus in config.train]
        held_out = [read_texts(path, normalize, "validate on") for path in config.validation]
        texts = [utterance.text for manifest in manifests for utterance in manifest]
        kept_head = origin if origin and not config.reinit_head else None
        validated = [utterance.text for manifest in held_out for utterance in manifest]
        self.lexicon = starting_lexicon(config.lexicon, origin, texts + validated)
        sizes = replace(
            starting_sizes(config.acoustic, origin, config.reinit_head, config.shift_ms),
            phones=self.lexicon is not None,
        )
        config.check_sizes(sizes)
        self.config = replace(config, acoustic=sizes)
        """With the network's true sizes, which `init_from` may have decided."""
        self.tokenizer = run_tokenizer(
            config.output, config.tokenizer, texts, kept_head.tokenizer if kept_head else None
        )
        self.phone_ngram = starting_ngram(config.phone_ngram, origin, sizes)
        torch.manual_seed(config.loop.seed)
        self.module: AcousticModel = AcousticModel(sizes, len(self.tokenizer.vocabulary))
        if origin:
            take_weights(self.module, origin, config.reinit_head)
        self.sample_rate = sizes.features.sample_rate
        self.left_out: list[tuple[str, str]] = []
        """Utterances that nothing can be learned from, by id, and why; two manifests may have the same ids."""
        self.stream = SpeechStream(
            [self._corpus(c, m) for c, m in zip(config.train, manifests, strict=True)],
            config.batches,
            config.loop.seed,
            self.sample_rate,
            lambda batch, generator: augment_batch(batch, self.sample_rate, config.waveform, generator),
            config.sortagrad_epochs,
            config.augment_warmup_epochs,
            # A GPU learns faster than one thread resamples.
            config.workers or (min(MOST_WORKERS, processors()) if device.type == "cuda" else 1),
            pinned=device.type == "cuda",
        )
        if origin is None and sizes.features.normalize == "global":
            self._measure_features()
        self.validation = [self._held_out(*each) for each in zip(config.validation, held_out, strict=True)]
        self._report_left_out()

    def describe_data(self) -> list[str]:
        """Hours of each corpus in an epoch, and what is made of them."""
        hours = self.stream.hours(0)
        lines = [f"{name}: {value:.2f} h an epoch" for name, value in hours.items()]
        lines.append(f"{sum(hours.values()):.2f} h an epoch in {self.batches(0)} batches")
        lines.append(f"{len(self.tokenizer.vocabulary)} tokens, {1 / self.module.frame_seconds:.1f} steps a second")
        return lines

    def audio_seconds(self, epoch: int) -> float:
        """Seconds of speech in an epoch."""
        return 3600 * sum(self.stream.hours(epoch).values())

    def batches(self, epoch: int) -> int:
        """How many batches an epoch has."""
        return len(self.stream.plan(epoch))

    def load(self, epoch: int, first: int, stride: int) -> Iterator[SpeechBatch]:
        """Batches of an epoch."""
        return self.stream.load(epoch, first, stride)

    def loss(self, batch: SpeechBatch, generator: torch.Generator) -> Loss:
        """CTC (of phones CTC-CRF, where it is asked for) per target token, with SpecAugment before the network.

        With `cr_ctc_weight` each utterance is heard twice, masked differently, and the two readings shall agree.
        """
        views = 2 if self.config.cr_ctc_weight else 1
        # Lengths are known to the CPU beforehand; asking a GPU for them would wait for it.
        frames = self.module.features.frames(batch.lengths).repeat(views)
        steps = self.module.encoder.steps(frames)
        features, feature_lengths = self._features(batch, views)
        if self.config.spec_augment is not None and batch.augmented:
            features = spec_augment(features, frames, self.config.spec_augment, generator)
        encodings, lengths, tapped = self.module.encoder(features, feature_lengths, self.config.intermediate_layer)
        log_probs = self.module.log_probabilities(encodings)
        targets = early_targets = self._targets(batch.targets, views)
        losses = sequence_losses(log_probs, steps, *targets)
        # Stretches without a word count as one token each: alone in a batch they would weigh as much as all others do.
        tokens = max(len(steps), int(targets[1].sum()))
        sums: dict[str, Tensor | float] = {"loss": losses.detach().sum(), "blanks": count_blanks(log_probs, lengths)}
        sums |= {"tokens": tokens, "steps": int(steps.sum())}
        apart = disagreements(log_probs, lengths) if self.config.cr_ctc_weight else None
        if batch.phones:
            phones = early_targets = self._targets(batch.phones, views)
            phone_log_probs = self.module.log_probabilities(encodings, phones=True)
            phone_losses = self._phone_losses(phone_log_probs, steps, *phones)
            sums |= {"phone_loss": phone_losses.detach().sum(), "phones": max(1, int(phones[1].sum()))}
            losses = mixed(losses, phone_losses, self.config.phone_weight)
            if apart is not None:
                apart = mixed(apart, disagreements(phone_log_probs, lengths), self.config.phone_weight)
        if tapped is not None:
            early = self.module.log_probabilities(self.module.encoder.norm(tapped), phones=bool(batch.phones))
            losses = mixed(losses, sequence_losses(early, steps, *early_targets), self.config.intermediate_weight)
        if apart is not None:
            # Divergences are per pair and losses per view: twice the divergence keeps the paper's proportion.
            losses = losses + self.config.cr_ctc_weight * apart.repeat(2)
        each = losses.detach().view(views, -1).sum(dim=0)
        return Loss(losses.sum() / tokens, batch.ids, sums, batch.samples / self.sample_rate, each)

    def _phone_losses(self, log_probs: Tensor, steps: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """(B,): CTC, or CTC-CRF with a share of it."""
        if self.phone_ngram is None:
            return sequence_losses(log_probs, steps, targets, lengths)
        crf, ctc = crf_losses(self.phone_ngram, log_probs, steps, targets, lengths)
        return crf + self.config.crf_ctc_weight * ctc

    def summary(self, sums: dict[str, float]) -> dict[str, float]:
        """Loss per token (and phone) in nats, and the share of steps whose best token is the blank."""
        measured = {
            "loss": sums["loss"] / max(1.0, sums["tokens"]),
            "blank_share": sums["blanks"] / max(1.0, sums["steps"]),
        }
        return measured | ({"phone_loss": sums["phone_loss"] / sums["phones"]} if "phones" in sums else {})

    def validate(self) -> dict[str, float]:
        """Loss per phone and greedy word and letter error rates (fractions) of all validation manifests together.

        Where phones are learned, their loss comes first and decides which epoch is the best: they are what the lexicon
        and the language models read, and pieces get worse while phones get better.
        """
        return self._measure(self.validation)

    def training_wer(self) -> float:
        """Greedy word error rate on the training utterances themselves."""
        self.module.eval()
        with torch.inference_mode():
            errors = self._measure([replace(corpus, phones=[]) for corpus in self.stream.corpora])
        self.module.train()
        return errors["wer"]

    def report(self, text: str) -> None:
        """One line for the reader, unless this process is a quiet one."""
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def transcribe(self, audio: AudioCache) -> Iterator[tuple[list[int], Tensor, Tensor, list[str]]]:
        """Cached audio in batches of like length: which of it, encodings (B, T, D), steps (B,) and greedy texts."""
        durations = np.array([audio.samples(i) for i in range(len(audio))]) / self.sample_rate
        batches = fill_batches(np.argsort(durations, kind="stable"), durations, VALIDATION_BATCHES[self.device.type])

        def prepare(chosen: np.ndarray) -> tuple[Tensor, Tensor]:
            return pad_waveforms([audio[i] for i in chosen], self.stream.pinned)

        for chosen, padded in zip(batches, prefetch(prepare, batches, self.stream.workers), strict=True):
            features = self.module.features(*(tensor.to(self.device, non_blocking=True) for tensor in padded))
            encodings, steps, _ = self.module.encoder(*features)
            hypotheses = greedy(self.module.log_probabilities(encodings), steps)
            yield chosen.tolist(), encodings, steps, [self.tokenizer.decode(each.tokens) for each in hypotheses]

    def save(self, folder: Path, weights: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """A model folder that `asr transcribe -m` reads."""
        save_model(
            folder,
            self.module,
            self.tokenizer,
            self.config.normalizer,
            facts,
            weights=weights,
            lexicon=self.lexicon,
            phone_ngram=self.phone_ngram,
        )

    def _features(self, batch: SpeechBatch, views: int) -> tuple[Tensor, Tensor]:
        """Features (views · B, T, F) on the device and their lengths."""
        waveforms, lengths = (tensor.to(self.device, non_blocking=True) for tensor in (batch.waveforms, batch.lengths))
        features, frames = self.module.features(waveforms, lengths)
        return features.repeat(views, 1, 1), frames.repeat(views)

    def _targets(self, tokens: list[list[int]], views: int) -> tuple[Tensor, Tensor]:
        """Targets (views · B, U) on the device and their lengths (views · B,)."""
        targets, lengths = pad_targets(tokens * views)
        return targets.to(self.device, non_blocking=True), lengths

    def _measure(self, corpora: list[Corpus]) -> dict[str, float]:
        references, hypotheses = list[str](), list[str]()
        loss, phones = 0.0, 0
        for held_out in corpora:
            for chosen, encodings, steps, texts in self.transcribe(held_out.audio):
                references += [held_out.utterances[index].text for index in chosen]
                hypotheses += texts
                if not held_out.phones:
                    continue
                targets, lengths = self._targets([held_out.phones[index] for index in chosen], 1)
                log_probs = self.module.log_probabilities(encodings, phones=True)
                losses = self._phone_losses(log_probs, steps.cpu(), targets, lengths).cpu()
                fits = losses.isfinite()  # one utterance too fast for its words shall not hide what became of all
                loss, phones = loss + float(losses[fits].sum()), phones + int(lengths[fits].sum())
        if not references:
            return {}
        result = score(references, hypotheses)
        return ({"phone_loss": loss / phones} if phones else {}) | {"wer": result.wer, "cer": result.cer}

    def _held_out(self, manifest: Path, utterances: list[Utterance]) -> Corpus:
        """What is measured after each epoch."""
        phones = [self.lexicon.encode(one.text) for one in utterances] if self.lexicon else []
        return Corpus(manifest.stem, utterances, self._open(manifest, utterances), [], phones)

    def _open(self, manifest: Path, utterances: list[Utterance]) -> AudioCache:
        """Their decoded audio, which is kept."""

        def progress(done: int, total: int) -> None:
            if not self._quiet and sys.stderr.isatty():
                print(f"\rdecoded {manifest.stem}: {done}/{total}", end="\n" if done == total else "", file=sys.stderr)

        return open_cache(utterances, self.config.cache, self.sample_rate, manifest.stem, progress)

    def _corpus(self, config: CorpusConfig, utterances: list[Utterance]) -> Corpus:
        """The alignable utterances of a manifest, with audio and targets; the others are listed with the reason."""
        said = utterances if self._only is None else shortest(utterances, self._only)
        audio = self._open(config.manifest, said)
        tokens = [self.tokenizer.encode(utterance.text) for utterance in said]
        phones = [self.lexicon.encode(utterance.text) for utterance in said] if self.lexicon else []
        samples = [audio.samples(index) for index in range(len(audio))]
        fastest = self.config.waveform.fastest  # which leaves the fewest steps
        steps = self.module.steps(torch.tensor([int(count / fastest) for count in samples], dtype=torch.long)).tolist()
        kept: list[int] = []
        for index, one in enumerate(said):
            targets = [tokens[index], *phones[index : index + 1]]
            seconds, wordless = samples[index] / self.sample_rate, bool(one.extra.get("wordless"))
            if reason := reason_against(seconds, steps[index], targets, self.config.longest_seconds, wordless):
                self.left_out.append((one.id, reason))
            else:
                kept.append(index)
        if not kept:
            self._report_left_out()
            raise DataError(f"{config.manifest} has no utterance to learn from", "See the reasons above.")
        texts = [said[index] for index in kept]
        kept_phones = [phones[index] for index in kept] if phones else []
        name, targets = config.manifest.stem, [tokens[index] for index in kept]
        return Corpus(name, texts, audio.subset(kept), targets, kept_phones, config.weight)

    def _measure_features(self) -> None:
        """Set the extractor's mean and deviation from an epoch's batches, up to an hour of them."""
        statistics = RunningStatistics(self.module.features.size)
        seconds = 0.0
        for batch in self.stream.load(epoch=self.config.sortagrad_epochs):
            statistics.add(*self.module.features(batch.waveforms, batch.lengths))
            seconds += batch.samples / self.sample_rate
            if seconds > STATISTICS_SECONDS:
                break
        statistics.store(self.module.features)

    def _report_left_out(self) -> None:
        if self.left_out:
            self.report(f"left out of training: {len(self.left_out)} utterances")
            for name, reason in self.left_out:
                self.report(f"  {name}: {reason}")


def mixed(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Losses of which `share` are the other's; unlike `torch.lerp` infinite where one of them is."""
    return (1 - share) * one + share * other


def count_blanks(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """How many steps of (B, T, V), within their utterances' lengths (B,), have the blank as best token: a scalar."""
    inside = length_mask(lengths, log_probs.shape[1])
    return ((log_probs.detach().argmax(dim=2) == BLANK) & inside).sum()
