"""Checkpoints: everything a run needs to go on as if it had never stopped, in one file written whole.

The order of the data, augmentation and dropout are pure functions of seed, epoch and update, so no generator's state
is saved. Files are read with `weights_only`: a hostile one cannot run code.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter

from asr.errors import ModelError
from asr.io import write_whole


@dataclass
class TrainState:
    """How far a run has come."""

    epoch: int = 0
    """Epochs completed."""
    batch: int = 0
    """Batches done in the current epoch."""
    update: int = 0
    """Optimizer steps made."""
    seconds: float = 0.0
    """Computing time spent, over all starts."""
    audio_seconds: float = 0.0
    """Material learned from, in the task's unit (seconds of audio for the acoustic model)."""
    best: float = float("inf")
    """Best validation criterion so far."""
    criterion: str = ""
    """Its name: what was best by another is no measure."""
    best_epoch: int = 0
    skipped: int = 0
    """Updates skipped because the loss or its gradient was not finite."""
    skipped_in_a_row: int = 0
    learning_rate: float = 0.0
    """Of the last update."""
    gradient: float = 0.0
    """Norm before clipping, at the last update that was made."""
    running: dict[str, float] = field(default_factory=dict)
    """Sums of the current epoch's measurements."""


def save_checkpoint(path: Path, state: TrainState, states: dict[str, Any]) -> None:
    """Write state and state dictionaries (tensors, numbers, strings, lists) to `path`."""
    # In memory first: to a full disk, torch.save itself answers with an internal error.
    content = io.BytesIO()
    torch.save({"state": asdict(state), **states}, content)
    with write_whole(path, "wb") as file:
        file.write(content.getbuffer())


def load_checkpoint(path: Path) -> tuple[TrainState, dict[str, Any]]:
    """Read a checkpoint. Raises `ModelError` naming the file when it is missing, torn or not a checkpoint."""
    try:
        states = torch.load(path, map_location="cpu", weights_only=True)
        known = {item.name for item in fields(TrainState)}
        place = {name: value for name, value in states.pop("state").items() if name in known}
        state = TypeAdapter(TrainState).validate_python(place)
    except FileNotFoundError as error:
        raise ModelError(f"there is no checkpoint {path}", "Start without --resume.") from error
    except (
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"checkpoint {path} is damaged or not a checkpoint: {reason}") from error
    return state, states
