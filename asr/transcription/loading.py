"""From the name of a model to a recogniser; torch is imported when one is asked for."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from asr.errors import UsageError
from asr.transcription.searching import SearchOptions, make_decode, reads_phones

if TYPE_CHECKING:
    from asr.model.saved import SavedModel
    from asr.transcription.recognizer import Recognizer

Precision = Literal["float32", "bfloat16", "int8"]
"""Arithmetic of the network."""


def load_model(
    name_or_path: Path | str | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    precision: Precision = "float32",
    search: SearchOptions | None = None,
    **options: Any,
) -> Recognizer:
    """A `Recognizer` from a model folder; None and "default" name the bundled model.

    `device` is "auto", "cpu" or "cuda"; `threads` bounds the processor threads of the network and the readers.
    `precision` is that of the network: "float32", where a recording's neighbours in a batch change nothing, or
    "bfloat16" or (on a CPU) "int8", which are faster and in rare cases choose another word. How to
    search is said by `SearchOptions`, or by its fields one by one: `load_model(beam=50, hotwords=["GRYFFINDOR=8"])`.
    Raises `ModelError` when the folder is missing or damaged, `UsageError` for what is not to be had.
    """
    try:
        search = replace(search or SearchOptions(), **options)
    except TypeError as error:
        known = ", ".join(field.name for field in fields(SearchOptions))
        raise UsageError(f"load_model was asked for {', '.join(options)}", f"It knows {known}.") from error
    from asr.transcription.recognizer import Recognizer

    model = _load(name_or_path, threads)
    decode = make_decode(model, search, threads)
    phones = reads_phones(model, search)
    return Recognizer(model, device=device, threads=threads, decode=decode, precision=precision, phones=phones)


def load_hearing(
    name_or_path: Path | str | None = None, *, device: str = "auto", threads: int | None = None
) -> Recognizer:
    """A `Recognizer` to be asked what it hears, phones where the model knows them, and not which words those are.

    Nothing that only a search needs is loaded. Arguments and errors as in `load_model`.
    """
    from asr.transcription.recognizer import Recognizer

    model = _load(name_or_path, threads)
    return Recognizer(model, device=device, threads=threads, phones=model.pronunciations is not None)


def _load(name_or_path: Path | str | None, threads: int | None) -> SavedModel:
    import torch

    from asr.model.saved import load_saved_model

    if threads is not None:
        torch.set_num_threads(threads)
    return load_saved_model(name_or_path)
