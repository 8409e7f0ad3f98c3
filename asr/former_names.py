"""Former names: configuration keys, files of model folders and options that were written before go on working.

This is the one place that knows them. `modernize` is called wherever a saved configuration is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

KEYS = {
    "ascending_epochs": "sortagrad_epochs",
    "average_decay": "ema_decay",
    "beam": "beam_size",
    "centre": "center",
    "consistency": "cr_ctc_weight",
    "memory": "rnn_type",
    "normalise": "normalize",
    "normaliser": "normalizer",
    "optimiser": "optimizer",
    "plain_epochs": "augment_warmup_epochs",
    "pronunciation": "lexicon",
    "rescore_bonus": "rescore_word_score",
    "score_margin": "beam_threshold",
    "token_threshold": "token_min_logp",
    "unknown_letter": "unk_char_score",
    "unknown_score": "unk_score",
    "word_bonus": "word_score",
}
"""Configuration key → what it is called now, where the dataclass has that field."""

NEGATED = {"keep_output": "reinit_head"}
"""As `KEYS`, of switches that now say the opposite."""

REMOVED: dict[str, tuple[Any, ...]] = {"outputs_per_step": (1,), "muon_scale": (1.0,), "kind": ("adamw",), "scribe": ()}
"""Keys that are no more, with the values under which nothing is lost; with none listed, whatever they say."""

FILES = {"lexicon": "pronunciation", "g2p.safetensors": "speller.safetensors"}
"""File or folder of a model folder → what it was called before."""

WEIGHTS = ("scribe.",)
"""Beginnings of the names of weights that no network has any more."""

OPTIONS = {
    "--judge": "--report-on",
    "--normalise": "--normalize",
    "--normaliser": "--normalizer",
    "--token-threshold": "--token-min-logp",
}
"""Option of the command line → what it is called now."""

PUBLIC = {"Job": "Request", "SearchOptions": "DecodeOptions"}
"""Name of the package `asr` → what it is called now."""


def modernize(kind: Any, data: Any) -> Any:
    """Plain `data` of the (nested) dataclass `kind` under today's names; what is not known is left as it is."""
    if isinstance(data, list):
        options = [option for option in get_args(kind) if _has_fields(option)]
        return [modernize(options[0], item) for item in data] if options else data
    if not isinstance(data, Mapping):
        return data
    if get_origin(kind) is dict:
        return {name: modernize(get_args(kind)[1], item) for name, item in data.items()}
    hints: dict[str, Any] = {}
    for option in (kind, *get_args(kind)):
        if is_dataclass(option):
            hints |= get_type_hints(option)
    renamed = {}
    for key, value in data.items():
        if key in hints:
            renamed[key] = modernize(hints[key], value)
        elif KEYS.get(key) in hints and KEYS[key] not in data:
            renamed[KEYS[key]] = modernize(hints[KEYS[key]], value)
        elif NEGATED.get(key) in hints and isinstance(value, bool):
            renamed[NEGATED[key]] = not value
        elif not (hints and key in REMOVED and (not REMOVED[key] or value in REMOVED[key])):
            renamed[key] = value
    return renamed


def modernize_keys(description: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of a model folder says, its own keys under today's names; what stands below them is as it was."""
    return {KEYS.get(key, key): value for key, value in description.items()}


def modernize_setting(kind: Any, keys: list[str], value: Any) -> tuple[list[str], Any]:
    """As `modernize`, of one setting by its path of keys, which is empty where there is no such setting any more."""
    nested = value
    for key in reversed(keys):
        nested = {key: nested}
    nested = modernize(kind, nested)
    modern: list[str] = []
    for _ in keys:
        if not nested:
            return [], value
        ((key, nested),) = nested.items()
        modern.append(key)
    return modern, nested


def modern_options(arguments: Iterable[str]) -> list[str]:
    """A command line with today's options in place of former ones."""
    modern, values_follow = [], False
    for argument in arguments:
        values_follow = values_follow or argument == "--"
        name, equals, value = argument.partition("=")
        modern.append(argument if values_follow else OPTIONS.get(name, name) + equals + value)
    return modern


def present(folder: Path, name: str) -> Path:
    """`folder`/`name`, or the same under its former name where only that exists."""
    former = folder / FILES.get(name, name)
    return former if former.exists() and not (folder / name).exists() else folder / name


def _has_fields(kind: Any) -> bool:
    return is_dataclass(kind) or any(is_dataclass(option) for option in get_args(kind))
