"""What an acoustic model begins with: manifests, a tokenizer, and what it takes from another model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import yaml

from asr.config import read_yaml
from asr.corpus.manifest import Utterance, read_manifest
from asr.errors import DataError, UsageError
from asr.io import fingerprint_text, write_text
from asr.lexicon import Lexicon, load_lexicon
from asr.lexicon.phones import VOCABULARY as PHONES
from asr.model.acoustic import AcousticConfig, AcousticModel
from asr.model.bundle import SavedModel
from asr.model.crf import PhoneNgram, load_phone_ngram
from asr.model.ctc import needed_steps
from asr.model.folder import ModelFolder, model_folder
from asr.text.normalize import Normalizer
from asr.text.tokenizer import Tokenizer, TokenizerConfig, load_tokenizer, train_tokenizer
from asr.trainer.trainer import LAST

TOKENIZER = "tokenizer"
SENTENCE_SECONDS = 2.0


@dataclass(frozen=True)
class CorpusConfig:
    """A manifest to learn from."""

    manifest: Path
    weight: float = 1.0
    """How often an epoch hears it: 2 twice, 0.3 a fresh random 30 % each time."""

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError("weight must be positive")


def read_texts(manifest: Path, normalize: Normalizer, purpose: str = "learn from") -> list[Utterance]:
    """The utterances of a manifest, texts normalized. Raises `DataError` where there are none, or one cannot be."""
    utterances = []
    for utterance in read_manifest(manifest):
        try:
            utterances.append(replace(utterance, text=normalize(utterance.text)))
        except DataError as error:
            raise DataError(f"{manifest}: {utterance.id}: {error.message}", error.hint) from error
    if not utterances:
        raise DataError(f"{manifest} has no utterance to {purpose}", "It is empty: make it with `asr prepare`.")
    return utterances


def reason_against(
    seconds: float, steps: int, targets: Sequence[Sequence[int]], longest_seconds: float, wordless: bool
) -> str:
    """Why CTC cannot learn the `targets` of an utterance for which the network has so many steps; "" where it can.

    Of several lists of tokens the first is its text; that of a `wordless` one is rightly empty.
    """
    needed = max(map(needed_steps, targets))
    if not targets[0] and not wordless:
        return "no text"
    if seconds > longest_seconds:
        return f"longer than {longest_seconds:g} s"
    return f"{needed} steps needed, {steps} heard" if steps < needed else ""


def shortest(utterances: list[Utterance], count: int) -> list[Utterance]:
    """The `count` shortest utterances, those under two seconds or without text only where there are too few others."""

    def preference(utterance: Utterance) -> tuple[bool, bool, float]:
        return not utterance.text, utterance.duration < SENTENCE_SECONDS, abs(utterance.duration - SENTENCE_SECONDS)

    return sorted(utterances, key=preference)[:count]


def run_tokenizer(
    output: Path, config: TokenizerConfig, texts: Iterable[str], origin: Tokenizer | None = None
) -> Tokenizer:
    """The tokenizer in a run's folder: `origin`, or the one learned from these `texts` by these settings.

    From texts that were changed since, the same ids would be other pieces: what a run has begun with stays. Raises
    `UsageError` where the run has begun with other pieces.
    """
    folder = output / TOKENIZER
    record = folder / "config.yaml"
    former = read_yaml(record) if record.exists() else {}
    begun = (output / LAST).exists()  # perhaps before tokenizers had a record
    kept = load_tokenizer(folder) if begun and (folder / "tokenizer.json").exists() else None
    if origin is not None:
        if kept is not None and kept.vocabulary != origin.vocabulary:
            hint = "Go on with the same `init_from`, or choose another output=…."
            raise UsageError(f"{output} has begun with other tokens than those of `init_from`", hint)
        if not begun:
            record.unlink(missing_ok=True)
            origin.save(folder)
        return origin
    settings = asdict(config)
    if begun and former and any(former.get(name) != value for name, value in settings.items()):
        learned = ", ".join(f"{name}: {former.get(name)}" for name in settings)
        raise UsageError(
            f"{folder} was learned by other settings than `tokenizer` has now, and {LAST} beside it has begun with it",
            f"Set tokenizer={{{learned}}} again, or choose another output=….",
        )
    if kept is not None:
        return kept
    texts = [text for text in texts if text]
    settings["texts"] = fingerprint_text("\n".join(texts))
    if former == settings and (folder / "tokenizer.json").exists():
        return load_tokenizer(folder)  # learned by the first of several processes, or ahead of the run
    tokenizer = train_tokenizer(config, texts)
    record.unlink(missing_ok=True)  # the record comes last, so that it is never another tokenizer's
    tokenizer.save(folder)
    write_text(record, yaml.safe_dump(settings))
    return tokenizer


def starting_sizes(
    wanted: AcousticConfig, origin: SavedModel | None, reinit_head: bool, shift_ms: float | None = None
) -> AcousticConfig:
    """The sizes of the model that training starts from, with this run's dropout.

    With a new head its strides as well, and another shift of the feature frames where one is asked for.
    """
    if origin is None:
        return wanted
    encoder = origin.config.encoder
    try:
        strides = wanted.encoder.strides if reinit_head else encoder.strides
        encoder = replace(encoder, dropout=wanted.encoder.dropout, strides=strides)
        features = replace(origin.config.features, shift_ms=shift_ms or origin.config.features.shift_ms)
    except ValueError as error:
        raise UsageError(
            f"acoustic.encoder or shift_ms does not go with the network of {origin.path}: {error}"
        ) from error
    return replace(origin.config, features=features, encoder=encoder)


def starting_lexicon(wanted: str | None, origin: SavedModel | None, texts: Iterable[str]) -> Lexicon | None:
    """How the words of `texts` are spoken, by the folder `wanted` or the model that training starts from, if any is."""
    lexicon = origin.lexicon if origin else None
    if wanted is not None and (lexicon := load_lexicon(model_folder(wanted))) is None:
        raise UsageError(f"{wanted} holds no lexicon", "Make it with `asr lexicon build`, or leave `lexicon` out.")
    if lexicon is not None:  # all that must be predicted at once: one by one takes long
        lexicon.lookup({word for text in texts for word in text.split()})
    return lexicon


def starting_ngram(wanted: str | None, origin: SavedModel | None, sizes: AcousticConfig) -> PhoneNgram | None:
    """The phone n-gram `wanted`, a file or a model's, or that of the model to start from, where phones are learned.

    Raises `UsageError` where the n-gram is not of what is learned.
    """
    if wanted is None or wanted == "none":
        return origin.phone_ngram if origin and sizes.phones and not wanted else None
    path = model_folder(wanted)
    ngram = load_phone_ngram(ModelFolder(path).phone_ngram if path.is_dir() else path)
    if not sizes.phones:
        raise UsageError("phone_ngram is for a network that learns phones", "Set lexicon=…, or leave phone_ngram out.")
    if len(ngram.table) != len(PHONES):
        raise UsageError(f"{wanted} is of {len(ngram.table)} labels, phones are {len(PHONES)}")
    return ngram


def take_weights(network: AcousticModel, origin: SavedModel, reinit_head: bool) -> None:
    """Give a new network what it can take from the model that training starts from."""
    network.encoder.load_state_dict(origin.network.encoder.state_dict())
    network.features.load_state_dict(origin.network.features.state_dict())
    if not reinit_head:
        network.output.load_state_dict(origin.network.output.state_dict())
    if origin.network.phones is not None and network.phones is not None:
        network.phones.load_state_dict(origin.network.phones.state_dict())
