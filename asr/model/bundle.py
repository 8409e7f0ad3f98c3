"""A model on disk, whole: read, written, averaged and described. What lies where is `folder`'s to know.

Loading reads numbers and text only; nothing in the folder is executed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr.config import validate
from asr.errors import ModelError, UsageError
from asr.former_names import modernize_keys
from asr.io import write_text
from asr.lexicon import Lexicon, load_lexicon
from asr.lexicon.phones import PHONES
from asr.model.acoustic import AcousticConfig, AcousticModel, parameters
from asr.model.crf import PhoneNgram, load_phone_ngram
from asr.model.folder import ModelFolder, model_folder
from asr.text.normalize import get_normalizer
from asr.text.tokenizer import Tokenizer, load_tokenizer
from asr.weights import load_weights, write_weights

FORMAT = 1


@dataclass(frozen=True)
class SavedModel:
    """A network with everything that it needs to turn sound into text."""

    path: Path
    network: AcousticModel
    tokenizer: Tokenizer
    normalizer: str
    """Name of the text normalizer that its transcripts were trained with."""
    training: dict[str, Any] = field(default_factory=dict)
    """What it was trained on and how; free-form, for the reader."""
    lexicon: Lexicon | None = None
    """Pronunciations, of a network that has learned phones."""
    phone_ngram: PhoneNgram | None = None
    """What its phones were trained with, if that was CTC-CRF."""

    @property
    def config(self) -> AcousticConfig:
        """Sizes of the network."""
        return self.network.config

    @property
    def folder(self) -> ModelFolder:
        """Where it lies, and what beside it."""
        return ModelFolder(self.path)

    @property
    def sample_rate(self) -> int:
        """Hz; sound must be resampled to it."""
        return self.network.config.features.sample_rate

    @property
    def frame_seconds(self) -> float:
        """Seconds from one output step to the next."""
        return self.network.frame_seconds


def save_model(
    folder: Path | str,
    network: AcousticModel,
    tokenizer: Tokenizer,
    normalizer: str,
    training: dict[str, Any] | None = None,
    half: bool = False,
    weights: dict[str, Tensor] | None = None,
    lexicon: Lexicon | None = None,
    phone_ngram: PhoneNgram | None = None,
) -> None:
    """Write a model folder; `config.json` comes last, so that a folder without one is known to be unfinished.

    `half` stores weights as float16; `weights` replaces the network's own (an average, for instance).
    """
    folder = Path(folder)
    tokenizer.save(folder)
    if lexicon is not None:
        lexicon.save(folder)
    if phone_ngram is not None:
        phone_ngram.save(ModelFolder(folder).phone_ngram)
    write_weights(ModelFolder(folder).weights, network.state_dict() if weights is None else weights, half)
    description = {
        "format": FORMAT,
        "acoustic": asdict(network.config),
        "vocabulary": len(tokenizer.vocabulary),
        "normalizer": normalizer,
        "training": training or {},
    }
    write_text(ModelFolder(folder).config, json.dumps(description, indent=1, ensure_ascii=False) + "\n")


def load_saved_model(name_or_path: Path | str | None = None) -> SavedModel:
    """Load a model folder, or the bundled model for `None` and "default".

    The network is in evaluation mode and float32. Raises `ModelError` naming the file that is missing or damaged.
    """
    folder = model_folder(name_or_path)
    description = _read_description(folder)
    try:
        if description["format"] != FORMAT:
            raise ModelError(f"{folder}: format {description['format']!r} is not known", "Update this program.")
        config = validate(AcousticConfig, description["acoustic"], f"{folder}/config.json")
        network = AcousticModel(config, int(description["vocabulary"]))
        normalizer = str(description["normalizer"])
        get_normalizer(normalizer)
        training = dict(description.get("training", {}))
    except (KeyError, TypeError, ValueError, RuntimeError, UsageError) as error:
        raise ModelError(f"{folder}/config.json does not describe a model: {error}") from error
    tokenizer = load_tokenizer(folder)
    if len(tokenizer.vocabulary) != network.vocabulary:
        raise ModelError(f"{folder}: tokenizer and network have different vocabularies")
    load_weights(network, ModelFolder(folder).weights)
    lexicon = load_lexicon(folder) if config.phones else None
    if config.phones and lexicon is None:
        raise ModelError(f"{folder}: the network has learned phones, but its lexicon is missing")
    ngram = ModelFolder(folder).phone_ngram
    phone_ngram = load_phone_ngram(ngram) if config.phones and ngram.exists() else None
    return SavedModel(folder, network.eval(), tokenizer, normalizer, training, lexicon, phone_ngram)


def _read_description(folder: Path) -> dict[str, Any]:
    path = ModelFolder(folder).config
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder} is not a model folder (it has no config.json)") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    if not isinstance(description, dict):
        raise ModelError(f"{path} is damaged: not a JSON object")
    return modernize_keys(description)


def average_models(folders: list[Path], output: Path, half: bool = True) -> None:
    """Write the mean of models of the same sizes and tokens to the model folder `output`; the rest is the first one's.

    It is often better than any one of them, where training has taken the models from the same place to others in its
    neighborhood: the last epochs of a run, or a model and what went on from it (model soups, Wortsman et al. 2022).
    Raises `ModelError` for models that differ in more than their weights and dropout.
    """
    first, *others = map(load_saved_model, folders)
    for other in others:
        _check_alike(first, other)
    models = [model.network.state_dict() for model in (first, *others)]
    weights = {name: torch.stack([model[name] for model in models]).mean(dim=0) for name in models[0]}
    facts = first.training | {"averaged": [_name(folder) for folder in folders]}
    if [output.resolve()] != [folder.resolve() for folder in folders]:
        # What a model that was there before has said of its own weights; one that is only halved still says it.
        for stale in (ModelFolder(output).calibration, ModelFolder(output).phone_ngram):
            stale.unlink(missing_ok=True)
    save_model(
        output,
        first.network,
        first.tokenizer,
        first.normalizer,
        facts,
        half,
        weights,
        first.lexicon,
        first.phone_ngram,
    )


def last_models(experiment: Path, count: int) -> list[Path]:
    """The newest `count` epoch models of an experiment folder; its best model for `count` 1."""
    if count == 1:
        return [experiment / "best"]
    found = sorted(path for path in (experiment / "epochs").glob("*") if (path / "config.json").exists())
    if not found:
        raise ModelError(f"{experiment} holds no epoch models", "Is it the output folder of `asr train`?")
    return found[-count:]


def _check_alike(first: SavedModel, other: SavedModel) -> None:
    hint = "Average models of one run, or one that began from the other."
    if _sizes(other.config) != _sizes(first.config):
        raise ModelError(f"{other.path} has other sizes than {first.path}", hint)
    if other.tokenizer.vocabulary != first.tokenizer.vocabulary:
        raise ModelError(f"{other.path} writes other tokens than {first.path}", hint)


def _sizes(config: AcousticConfig) -> AcousticConfig:
    """The configuration less its dropout, which matters in training only."""
    return replace(config, encoder=replace(config.encoder, dropout=0.0))


def _name(folder: Path) -> str:
    """ "0007" for an epoch; "run" for the best of a run, which are all named alike."""
    return folder.resolve().parent.name if folder.name == "best" else folder.name


SHOWN_TOKENS = 8


def describe_model(name_or_path: Path | str) -> list[tuple[str, str]]:
    """What a saved model is: name and value of each fact, as `asr info` prints them.

    Raises `ModelError` for a damaged model.
    """
    model = load_saved_model(name_or_path)
    features, encoder = model.config.features, model.config.encoder
    vocabulary = model.tokenizer.vocabulary
    memory = "feed-forward, no memory" if encoder.rnn_type == "none" else f"{encoder.rnn_type} GRU"
    phones: list[tuple[str, str]] = []
    if model.lexicon is not None:
        phones = [("phones", f"{len(PHONES)}; a lexicon of {len(model.lexicon):,} words, G2P for others")]
    size = sum(file.stat().st_size for file in model.path.rglob("*") if file.is_file())
    return [
        ("features", f"{features.kind}, {model.network.features.size} a frame, normalized by {features.normalize}"),
        ("sample rate", f"{features.sample_rate:,} Hz"),
        ("network", f"{encoder.layers} × {encoder.width} {memory}"),
        ("parameters", f"{parameters(model.network) / 1e6:.2f} M, {size / 1e6:.1f} MB on disk"),
        ("output", f"{1 / model.frame_seconds:g} steps a second"),
        ("tokens", f"{len(vocabulary)}: {' '.join(vocabulary[:SHOWN_TOKENS])} …"),
        *phones,
        ("normalizer", model.normalizer),
        *_facts(model.training),
    ]


def _facts(training: dict[str, Any], of: str = "") -> list[tuple[str, str]]:
    """What training said of the model, and, in the same way, of its parts."""
    rows: list[tuple[str, str]] = []
    for name, value in training.items():
        title = f"{of}{name.replace('_', ' ')}"
        rows += _facts(value, f"{title} ") if isinstance(value, dict) else [(title, _value(value))]
    return rows


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
