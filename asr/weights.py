"""Weights on disk: safetensors, which holds numbers only and cannot run code."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from asr.errors import ModelError


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises `ModelError` when it is missing or torn."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is damaged: {error}", "Copy or train the model again.") from error
