"""From the name of a model to a recognizer; torch is imported when one is asked for."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from asr.errors import UsageError
from asr.former_names import KEYS
from asr.model.folder import BUNDLED, model_folder
from asr.transcription.decoder import DecodeOptions, decodes_phones, make_decode

if TYPE_CHECKING:
    from asr.model.bundle import SavedModel
    from asr.punctuation.model import PunctuationModel
    from asr.transcription.recognizer import Recognizer

_ENGLISH = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'")

Precision = Literal["float32", "bfloat16", "int8"]
"""Arithmetic of the network."""


def load_model(
    name_or_path: Path | str | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    precision: Precision = "float32",
    search: DecodeOptions | None = None,
    **options: Any,
) -> Recognizer:
    """A `Recognizer` from a model folder; None and "default" name the bundled model.

    `device` is "auto", "cpu" or "cuda"; `threads` bounds the processor threads of the network and the readers.
    `precision` is that of the network: "float32", where a recording's neighbors in a batch change nothing, or
    "bfloat16" or (on a CPU) "int8", which are faster and in rare cases choose another word. `search`
    says how to search, or its fields do one by one: `load_model(beam_size=50, hotwords=["GRYFFINDOR=8"])`.
    Raises `ModelError` when the folder is missing or damaged, `UsageError` for what is not to be had.
    """
    options = {KEYS.get(name, name): value for name, value in options.items()}
    try:
        search = replace(search or DecodeOptions(), **options)
    except TypeError as error:
        known = ", ".join(field.name for field in fields(DecodeOptions))
        raise UsageError(f"load_model was asked for {', '.join(options)}", f"It knows {known}.") from error
    from asr.transcription.recognizer import Recognizer

    model = _load(name_or_path, threads)
    decode = make_decode(model, search, threads)
    phones = decodes_phones(model, search)
    return Recognizer(model, device=device, threads=threads, decode=decode, precision=precision, phones=phones)


def load_acoustic_model(
    name_or_path: Path | str | None = None, *, device: str = "auto", threads: int | None = None
) -> Recognizer:
    """A `Recognizer` for emissions alone, of phones where the model has them, and not for words.

    Nothing that only a search needs is loaded. Arguments and errors as in `load_model`.
    """
    from asr.transcription.recognizer import Recognizer

    model = _load(name_or_path, threads)
    return Recognizer(model, device=device, threads=threads, phones=model.lexicon is not None)


def load_punctuation_for(name_or_path: Path | str | None) -> PunctuationModel | None:
    """The punctuation of a model: its own, or the bundled one if the model writes English letters only.

    None for a model of another language that has none of its own. Raises `ModelError` when it is damaged.
    """
    from asr.punctuation.model import FOLDER, load_punctuation
    from asr.text.tokenizer import WORD_START, load_tokenizer

    folder = model_folder(name_or_path)
    if (folder / FOLDER).is_dir():
        return load_punctuation(folder / FOLDER)
    letters = set("".join(load_tokenizer(folder).vocabulary[1:])) - {WORD_START}
    return load_punctuation(BUNDLED / FOLDER) if _ENGLISH.issuperset(letters) else None


def _load(name_or_path: Path | str | None, threads: int | None) -> SavedModel:
    import torch

    from asr.model.bundle import load_saved_model

    if threads is not None:
        torch.set_num_threads(threads)
    return load_saved_model(name_or_path)
