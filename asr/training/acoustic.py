"""The acoustic experiment: corpora, tokenizer, network and CTC made into a task for the training loop."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from asr.config import read_yaml, validate
from asr.corpus.audio_cache import AudioCache, open_cache
from asr.corpus.batches import BatchConfig, fill_batches
from asr.corpus.dataset import Batch, Corpus, SpeechStream, pad_waveforms
from asr.corpus.manifest import Utterance, read_manifest
from asr.corpus.prefetch import prefetch
from asr.decoding.greedy import greedy
from asr.errors import DataError, UsageError
from asr.features.augment import SpecAugmentConfig, WaveformAugmentConfig, augment_batch, spec_augment
from asr.features.extractor import RunningStatistics, length_mask
from asr.io import write_text
from asr.lexicon import Lexicon, load_lexicon
from asr.model.acoustic import AcousticConfig, AcousticModel
from asr.model.bundle import SavedModel, load_saved_model, save_model
from asr.model.ctc import disagreements, needed_steps, pad_targets, sequence_losses
from asr.scoring.result import score
from asr.text.normalize import get_normalizer
from asr.text.tokenizer import BLANK, Tokenizer, TokenizerConfig, load_tokenizer, train_tokenizer
from asr.trainer.trainer import LAST, LoopConfig, Loss

STATISTICS_SECONDS = 3600.0
SENTENCE_SECONDS = 2.0
MOST_WORKERS = 8
# Batches of validation by kind of device. A CPU's caches like them small; a GPU's memory bounds the seconds.
VALIDATION_BATCHES = {"cpu": BatchConfig(math.inf, utterances=16), "cuda": BatchConfig(seconds=1600.0, utterances=512)}


@dataclass(frozen=True)
class CorpusConfig:
    """A manifest to learn from."""

    manifest: Path
    weight: float = 1.0
    """How often an epoch hears it: 2 twice, 0.3 a fresh random 30 % each time."""

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError("weight must be positive")


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything that decides a training run."""

    train: list[CorpusConfig]
    validation: list[Path] = field(default_factory=list)
    output: Path = Path("exp/default")
    cache: Path = Path("data/cache")
    """Where decoded audio is kept."""
    normalizer: str = "librispeech"
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    acoustic: AcousticConfig = field(default_factory=AcousticConfig)
    init_from: str | None = None
    """Start from this model's weights, with its tokenizer and sizes ("default" is the bundled model)."""
    reinit_head: bool = False
    """With `init_from`: take the encoder only, and learn to write by this run's tokenizer, at this run's `strides`."""
    lexicon: Path | None = None
    """How words are spoken, a folder of `recipes/pronunciation.py`: the network then learns phones as well."""
    phone_weight: float = 0.5
    """Share of the phones in the loss, where there are any."""
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


class AcousticTask:
    """The task that the training loop learns: CTC on speech, validated by greedy word error rate."""

    def __init__(
        self, config: ExperimentConfig, device: torch.device, quiet: bool = False, only: int | None = None
    ) -> None:
        """`only` keeps so many utterances of each manifest, the shortest that are still sentences."""
        self.config, self.device, self._quiet, self._only = config, device, quiet, only
        self.normalize = get_normalizer(config.normalizer)
        manifests = [self._normalized(corpus.manifest) for corpus in config.train]
        origin = load_saved_model(config.init_from) if config.init_from else None
        head_from = None if config.reinit_head else origin
        self.tokenizer = head_from.tokenizer if head_from else self._tokenizer(manifests)
        self.lexicon = _pronunciations(config, origin, manifests)
        acoustic = replace(_fitting(config, origin), phones=self.lexicon is not None)
        torch.manual_seed(config.loop.seed)
        self.module: AcousticModel = AcousticModel(acoustic, len(self.tokenizer.vocabulary))
        if origin:
            self.module.encoder.load_state_dict(origin.network.encoder.state_dict())
            self.module.features.load_state_dict(origin.network.features.state_dict())
        if head_from:
            self.module.output.load_state_dict(head_from.network.output.state_dict())
        if origin and origin.network.phones is not None and self.module.phones is not None:
            self.module.phones.load_state_dict(origin.network.phones.state_dict())
        self.sample_rate = acoustic.features.sample_rate
        self.left_out: dict[str, str] = {}
        self.stream = SpeechStream(
            [self._corpus(c, m) for c, m in zip(config.train, manifests, strict=True)],
            config.batches,
            config.loop.seed,
            self.sample_rate,
            self._augment,
            config.sortagrad_epochs,
            config.augment_warmup_epochs,
            config.workers or default_workers(device),
            pinned=device.type == "cuda",
        )
        if origin is None and acoustic.features.normalize == "global":
            self._measure_features()
        self.validation = [self._validation(path) for path in config.validation]
        self._report_left_out()

    def batches(self, epoch: int) -> int:
        """How many batches an epoch has."""
        return len(self.stream.plan(epoch))

    def load(self, epoch: int, first: int, stride: int) -> Iterator[Batch]:
        """Batches of an epoch."""
        return self.stream.load(epoch, first, stride)

    def loss(self, batch: Batch, generator: torch.Generator) -> Loss:
        """CTC per target token, with SpecAugment between features and network.

        With `cr_ctc_weight` each utterance is heard twice, masked differently, and the two readings shall agree.
        """
        views = 2 if self.config.cr_ctc_weight else 1
        # Lengths are known to the CPU beforehand; asking a GPU for them would wait for it.
        frames = self.module.features.frames(batch.lengths).repeat(views)
        steps = self.module.output_steps(frames)
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
        early_log_probs = self.module.log_probabilities
        if batch.phones:
            phones = early_targets = self._targets(batch.phones, views)
            early_log_probs = self.module.phone_log_probabilities
            phone_log_probs = self.module.phone_log_probabilities(encodings)
            phone_losses = sequence_losses(phone_log_probs, steps, *phones)
            sums |= {"phone_loss": phone_losses.detach().sum(), "phones": max(1, int(phones[1].sum()))}
            losses = mixed(losses, phone_losses, self.config.phone_weight)
            if apart is not None:
                apart = mixed(apart, disagreements(phone_log_probs, lengths), self.config.phone_weight)
        if tapped is not None:
            early = early_log_probs(self.module.encoder.norm(tapped))
            losses = mixed(losses, sequence_losses(early, steps, *early_targets), self.config.intermediate_weight)
        if apart is not None:
            # Divergences are per pair and losses per view: twice the divergence keeps the paper's proportion.
            losses = losses + self.config.cr_ctc_weight * apart.repeat(2)
        each = losses.detach().view(views, -1).sum(dim=0)
        return Loss(losses.sum() / tokens, batch.ids, sums, batch.samples / self.sample_rate, each)

    def summary(self, sums: dict[str, float]) -> dict[str, float]:
        """Loss per token (and phone) in nats, and the share of steps whose best token is the blank."""
        measured = {
            "loss": sums["loss"] / max(1.0, sums["tokens"]),
            "blank_share": sums["blanks"] / max(1.0, sums["steps"]),
        }
        return measured | ({"phone_loss": sums["phone_loss"] / sums["phones"]} if "phones" in sums else {})

    def validate(self) -> dict[str, float]:
        """Greedy word error rate (a fraction) of all validation manifests together."""
        references: list[str] = []
        hypotheses: list[str] = []
        for utterances, audio in self.validation:
            references += [utterance.text for utterance in utterances]
            hypotheses += self.transcribe(audio)
        if not references:
            return {}
        result = score(references, hypotheses)
        return {"wer": result.wer, "cer": result.cer}

    def training_wer(self) -> float:
        """Greedy word error rate on the training utterances themselves."""
        self.module.eval()
        corpora = self.stream.corpora
        with torch.inference_mode():
            hypotheses = [text for corpus in corpora for text in self.transcribe(corpus.audio)]
        self.module.train()
        return score([utterance.text for corpus in corpora for utterance in corpus.utterances], hypotheses).wer

    def report(self, text: str) -> None:
        """One line for the reader, unless this process is a quiet one."""
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)

    def transcribe(self, audio: AudioCache) -> list[str]:
        """Greedy texts of cached audio, in its order."""
        texts = [""] * len(audio)
        for chosen, log_probs, steps in self.emissions(audio):
            for index, hypothesis in zip(chosen, greedy(log_probs, steps), strict=True):
                texts[index] = self.tokenizer.decode(hypothesis.tokens)
        return texts

    def emissions(self, audio: AudioCache, phones: bool = False) -> Iterator[tuple[np.ndarray, Tensor, Tensor]]:
        """What is heard of cached audio, in batches: which utterances, log-probabilities (B, T, V), and steps (B,)."""
        durations = np.array([audio.samples(i) for i in range(len(audio))]) / self.sample_rate
        batches = fill_batches(np.argsort(durations, kind="stable"), durations, VALIDATION_BATCHES[self.device.type])

        def prepare(chosen: np.ndarray) -> tuple[Tensor, Tensor]:
            return pad_waveforms([audio[i] for i in chosen], self.stream.pinned)

        for chosen, padded in zip(batches, prefetch(prepare, batches, self.stream.workers), strict=True):
            waveforms, lengths = (tensor.to(self.device, non_blocking=True) for tensor in padded)
            features, frames = self.module.features(waveforms, lengths)
            yield chosen, *self.module.recognize(features, frames, phones)

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
        )

    def _features(self, batch: Batch, views: int) -> tuple[Tensor, Tensor]:
        """Features (views · B, T, F) on the device and their lengths."""
        waveforms, lengths = (tensor.to(self.device, non_blocking=True) for tensor in (batch.waveforms, batch.lengths))
        features, frames = self.module.features(waveforms, lengths)
        return features.repeat(views, 1, 1), frames.repeat(views)

    def _targets(self, tokens: list[list[int]], views: int) -> tuple[Tensor, Tensor]:
        """Targets (views · B, U) on the device and their lengths (views · B,)."""
        targets, lengths = pad_targets(tokens * views)
        return targets.to(self.device, non_blocking=True), lengths

    def _augment(self, batch: list[np.ndarray], generator: np.random.Generator) -> list[np.ndarray]:
        return augment_batch(batch, self.sample_rate, self.config.waveform, generator)

    def _normalized(self, manifest: Path) -> list[Utterance]:
        return [replace(utterance, text=self.normalize(utterance.text)) for utterance in read_manifest(manifest)]

    def _tokenizer(self, manifests: Sequence[list[Utterance]]) -> Tokenizer:
        return run_tokenizer(self.config, [utterance.text for manifest in manifests for utterance in manifest])

    def _corpus(self, config: CorpusConfig, utterances: list[Utterance]) -> Corpus:
        """The alignable utterances of a manifest, with audio and targets; the others are listed with the reason."""
        if self._only is not None:
            utterances = _shortest(utterances, self._only)
        audio = self._open(config.manifest.stem, utterances)
        targets: list[list[int]] = []
        phones: list[list[int]] = []
        kept: list[int] = []
        fastest = self.config.waveform.fastest
        lengths = torch.tensor([int(audio.samples(i) / fastest) for i in range(len(audio))], dtype=torch.long)
        steps = self.module.steps(lengths).tolist()
        for index, utterance in enumerate(utterances):
            tokens = self.tokenizer.encode(utterance.text)
            phones_of_text = self.lexicon.encode(utterance.text) if self.lexicon else []
            needed = max(needed_steps(tokens), needed_steps(phones_of_text))
            seconds = audio.samples(index) / self.sample_rate
            if not tokens and not utterance.extra.get("wordless"):
                self.left_out[utterance.id] = "no text"
            elif seconds > self.config.longest_seconds:
                self.left_out[utterance.id] = f"longer than {self.config.longest_seconds:g} s"
            elif steps[index] < needed:
                self.left_out[utterance.id] = f"{needed} steps needed, {steps[index]} heard"
            else:
                kept.append(index)
                targets.append(tokens)
                phones += [phones_of_text] if self.lexicon else []
        if not kept:
            self._report_left_out()
            advice = "See the reasons above." if utterances else "It is empty: make it with `asr prepare`."
            raise DataError(f"{config.manifest} has no utterance to learn from", advice)
        said = [utterances[i] for i in kept]
        return Corpus(config.manifest.stem, said, audio.subset(kept), targets, phones, config.weight)

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

    def _validation(self, manifest: Path) -> tuple[list[Utterance], AudioCache]:
        utterances = self._normalized(manifest)
        return utterances, self._open(manifest.stem, utterances)

    def _open(self, name: str, utterances: list[Utterance]) -> AudioCache:
        def progress(done: int, total: int) -> None:
            if not self._quiet and sys.stderr.isatty():
                print(f"\rdecoded {name}: {done}/{total}", end="\n" if done == total else "", file=sys.stderr)

        return open_cache(utterances, self.config.cache, self.sample_rate, name, progress)

    def _report_left_out(self) -> None:
        if self.left_out:
            self.report(f"left out of training: {len(self.left_out)} utterances")
            for name, reason in self.left_out.items():
                self.report(f"  {name}: {reason}")


def run_tokenizer(config: ExperimentConfig, texts: Sequence[str]) -> Tokenizer:
    """The tokenizer in a run's folder, learned from `texts` where there is none yet or one by other settings.

    Raises `UsageError` where the run has begun with one by other settings.
    """
    folder = config.output / "tokenizer"
    record = folder / "config.yaml"
    former = validate(TokenizerConfig, read_yaml(record), str(record)) if record.exists() else None
    begun = (config.output / LAST).exists()  # perhaps before tokenizers had a record
    if begun and former is not None and former != config.tokenizer:
        raise UsageError(
            f"{folder} was learned by other settings than `tokenizer` has now, and {LAST} beside it has begun with it",
            f"Set tokenizer={{kind: {former.kind}, size: {former.size}}} again, or choose another output=….",
        )
    if (begun or former == config.tokenizer) and (folder / "tokenizer.json").exists():
        return load_tokenizer(folder)
    tokenizer = train_tokenizer(config.tokenizer, [text for text in texts if text])
    record.unlink(missing_ok=True)  # the record comes last, so that it is never another tokenizer's
    tokenizer.save(folder)
    write_text(record, yaml.safe_dump(asdict(config.tokenizer)))
    return tokenizer


def mixed(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Losses of which `share` are the other's; unlike `torch.lerp` infinite where one of them is."""
    return (1 - share) * one + share * other


def count_blanks(log_probs: Tensor, lengths: Tensor) -> Tensor:
    """How many steps of (B, T, V), within their utterances' lengths (B,), have the blank as best token: a scalar."""
    inside = length_mask(lengths, log_probs.shape[1])
    return ((log_probs.detach().argmax(dim=2) == BLANK) & inside).sum()


def default_workers(device: torch.device) -> int:
    """Threads that prepare batches: a GPU learns faster than one of them resamples."""
    return min(MOST_WORKERS, os.cpu_count() or 1) if device.type == "cuda" else 1


def _shortest(utterances: list[Utterance], count: int) -> list[Utterance]:
    """The `count` shortest utterances, those under two seconds only where there are too few others."""

    def preference(utterance: Utterance) -> tuple[bool, float]:
        return utterance.duration < SENTENCE_SECONDS, abs(utterance.duration - SENTENCE_SECONDS)

    return sorted(utterances, key=preference)[:count]


def _fitting(config: ExperimentConfig, origin: SavedModel | None) -> AcousticConfig:
    """The sizes of the model that training starts from, with this run's dropout and, with a new head, its strides."""
    wanted = config.acoustic
    if origin is None:
        return wanted
    encoder = replace(origin.config.encoder, dropout=wanted.encoder.dropout)
    if config.reinit_head:
        encoder = replace(encoder, strides=wanted.encoder.strides)
    return replace(origin.config, encoder=encoder)


def _pronunciations(
    config: ExperimentConfig, origin: SavedModel | None, manifests: Sequence[list[Utterance]]
) -> Lexicon | None:
    """How the words are spoken, by the configuration's folder or the model that training starts from, if any is."""
    pronunciations = origin.lexicon if origin else None
    if config.lexicon is not None and (pronunciations := load_lexicon(config.lexicon)) is None:
        raise UsageError(
            f"{config.lexicon} holds no lexicon",
            "Make it with recipes/pronunciation.py, or leave `lexicon` out.",
        )
    if pronunciations is not None:  # all that must be guessed at once: one by one takes long
        pronunciations.lookup(
            {word for manifest in manifests for utterance in manifest for word in utterance.text.split()}
        )
    return pronunciations


def check(config: ExperimentConfig) -> None:
    """Raise `UsageError` for settings that contradict one another."""
    get_normalizer(config.normalizer)
    if not config.train:
        raise UsageError("train must name at least one manifest")
    if config.intermediate_layer < 0 or config.intermediate_layer >= config.acoustic.encoder.layers:
        raise UsageError("intermediate_layer must be 0 (off) or a block before the last")
    if config.batches.seconds < config.longest_seconds:
        raise UsageError("batches.seconds must hold at least one utterance of longest_seconds")
    if config.workers < 0:
        raise UsageError("workers must be 0 (one that suits the device) or more")
    if config.loop.patience and not config.validation:
        raise UsageError("loop.patience needs a validation manifest")
