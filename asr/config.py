"""Configuration: YAML and `key.sub=value` overrides, validated once into dataclasses.

Every part of the system declares a small dataclass beside the class that it configures; this module turns plain
data into them. An unknown key or a wrong value is a `UsageError` that names the key and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import yaml

from asr.errors import UsageError
from asr.former_names import modernize, modernize_setting

T = TypeVar("T")
_UNREADABLE = (OSError, ValueError, RecursionError, yaml.YAMLError)
"""What reading YAML raises: `ValueError` for text that is not UTF-8, and for values like 2024-13-45 and 0x_."""


def validate(kind: type[T], data: Any, where: str) -> T:
    """Build the (nested) dataclass `kind` from plain `data`; `where` names the source in errors."""
    from pydantic import TypeAdapter, ValidationError

    data = modernize(kind, data)
    _refuse_unknown(kind, data, where, "")
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            key = ".".join(str(part) for part in problem["loc"]) or "(top level)"
            lines.append(f"{key}: {problem['msg'].removeprefix('Value error, ')} (got {_short(problem['input'])})")
        raise UsageError(f"{where}: " + "; ".join(lines)) from error


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Read a YAML mapping. Raises `UsageError` naming the file (and the line, for a syntax error)."""
    path = Path(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"configuration {path} does not exist") from error
    except _UNREADABLE as error:
        raise UsageError(f"configuration {path} cannot be read: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise UsageError(f"configuration {path} must be a mapping of keys to values")
    return data


def apply_overrides(data: dict[str, Any], overrides: Iterable[str], kind: Any = None) -> dict[str, Any]:
    """Set dotted `key.sub=value` items (values are YAML) in a copy of `data`.

    Of the dataclass `kind`, both may have former names.
    """
    result: dict[str, Any] = modernize(kind, deepcopy(data))
    for item in overrides:
        key, separator, text = item.partition("=")
        if not separator or not key:
            raise UsageError(f"override {item!r} is not of the form key.sub=value")
        try:
            value = yaml.safe_load(text)
        except _UNREADABLE as error:
            raise UsageError(f"override {item!r}: the value is not valid YAML") from error
        keys, value = modernize_setting(kind, key.split("."), value)
        if not keys:
            continue
        *parents, last = keys
        node = result
        for parent in parents:
            child = node.setdefault(parent, {})
            if not isinstance(child, dict):
                raise UsageError(f"override {item!r}: {parent} is not a group of settings")
            node = child
        node[last] = value
    return result


def _refuse_unknown(kind: Any, data: Any, where: str, path: str) -> None:
    """Raise `UsageError` for a key that no field of the dataclass (or of those inside it) has."""
    if isinstance(data, list):
        for number, item in enumerate(data):
            for option in get_args(kind):
                _refuse_unknown(option, item, where, f"{path}{number}.")
        return
    if not isinstance(data, dict):
        return
    if get_origin(kind) is dict:
        for name, item in data.items():
            _refuse_unknown(get_args(kind)[1], item, where, f"{path}{name}.")
        return
    for option in (kind, *get_args(kind)):
        if not is_dataclass(option):
            continue
        hints = get_type_hints(option)
        for key, value in data.items():
            if key not in hints:
                raise UsageError(f"{where}: unknown key {path}{key}", f"Known here: {', '.join(hints)}.")
            _refuse_unknown(hints[key], value, where, f"{path}{key}.")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
