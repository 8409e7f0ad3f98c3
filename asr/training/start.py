"""Where an acoustic model begins: at random, or from another model's sizes, weights and lexicon."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from asr.errors import UsageError
from asr.lexicon import Lexicon, load_lexicon
from asr.lexicon.phones import VOCABULARY as PHONES
from asr.model.acoustic import AcousticConfig, AcousticModel
from asr.model.bundle import SavedModel
from asr.model.crf import CrfLoss
from asr.model.folder import ModelFolder, model_folder
from asr.model.phone_ngram import load_phone_ngram

NO_NGRAM = "none"


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


def starting_crf(wanted: str | None, origin: SavedModel | None, sizes: AcousticConfig) -> CrfLoss | None:
    """The loss of phones under the n-gram `wanted`, a file or a model's, or under that of the model to start from.

    Raises `UsageError` where the n-gram is not of what is learned.
    """
    if wanted is None or wanted == NO_NGRAM:
        return CrfLoss(origin.phone_ngram) if origin and origin.phone_ngram and sizes.phones and not wanted else None
    path = model_folder(wanted)
    ngram = load_phone_ngram(ModelFolder(path).phone_ngram if path.is_dir() else path)
    if not sizes.phones:
        raise UsageError("phone_ngram is for a network that learns phones", "Set lexicon=…, or leave phone_ngram out.")
    if ngram.size != len(PHONES):
        raise UsageError(f"{wanted} is of {ngram.size} labels, phones are {len(PHONES)}")
    return CrfLoss(ngram)


def take_weights(network: AcousticModel, origin: SavedModel, reinit_head: bool) -> None:
    """Give a new network what it can take from the model that training starts from."""
    network.encoder.load_state_dict(origin.network.encoder.state_dict())
    network.features.load_state_dict(origin.network.features.state_dict())
    if not reinit_head:
        network.output.load_state_dict(origin.network.output.state_dict())
    if origin.network.phones is not None and network.phones is not None:
        network.phones.load_state_dict(origin.network.phones.state_dict())
