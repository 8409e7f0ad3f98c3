"""Weights on disk: safetensors, which holds numbers only and cannot run code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from asr.errors import ModelError
from asr.former_names import WEIGHTS
from asr.io import write_whole


def write_weights(path: Path, weights: Mapping[str, Tensor], half: bool = True) -> None:
    """Write tensors as a safetensors file, as float16 if `half`."""
    from safetensors.torch import save

    kept = {name: (tensor.half() if half else tensor).cpu().contiguous() for name, tensor in weights.items()}
    with write_whole(path, "wb") as file:
        file.write(save(kept))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises `ModelError` when it is missing or torn."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is damaged: {error}", "Copy or train the model again.") from error


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a safetensors file into `network`. Raises `ModelError` naming the file when it is torn or does not fit."""
    weights = {name: tensor.float() for name, tensor in read_weights(path).items() if not name.startswith(WEIGHTS)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ModelError(f"{path} does not fit the network of its config.json: {error}") from error
