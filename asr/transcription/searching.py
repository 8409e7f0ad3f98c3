"""Which search reads the network's output: greedy, or a beam with a language model and hotwords."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from asr.config import validate
from asr.decoding import DecodingConfig, Hypothesis, greedy
from asr.errors import ModelError, UsageError

if TYPE_CHECKING:
    from asr.model.saved import SavedModel

Decode = Callable[[npt.NDArray[np.float32], list[int]], list[Hypothesis]]
"""From log-probabilities (B, T, V), natural log, and the valid steps of each to its best reading."""

SETTINGS = "decoding.json"
"""In a model folder: the beam's settings, tuned for the model and its language model (`DecodingConfig`'s fields)."""


@dataclass(frozen=True)
class SearchOptions:
    """How to search; what is None is the model's own choice.

    A model folder with a language model (`lm.*`) is searched with it, one without greedily. `lm` is the path of
    another language model, or "none"; `hotwords` are `WORD`, `WORD=BOOST` or `@FILE` with one a line.
    """

    greedy: bool = False
    beam: int | None = None
    lm: str | Path | None = None
    lm_weight: float | None = None
    word_bonus: float | None = None
    hotwords: Sequence[str] = ()

    def __post_init__(self) -> None:
        wants_beam = self.beam is not None or self.hotwords or self.lm not in (None, "none")
        wants_beam = wants_beam or self.lm_weight is not None or self.word_bonus is not None
        if self.greedy and wants_beam:
            raise UsageError("greedy search knows no beam, language model or hotwords", "Leave --greedy out.")


def make_decode(model: SavedModel, options: SearchOptions | None = None, threads: int | None = None) -> Decode:
    """The search that `options` ask for. Raises `UsageError`, or `ModelError` for a faulty language model."""
    options = options or SearchOptions()
    path = _language_model(model.path, options.lm)
    if _is_greedy(options, path):
        return greedy

    from asr.decoding.beam import BeamDecoder
    from asr.decoding.hotwords import gather_hotwords
    from asr.language.load import load_language_model

    decoder = BeamDecoder(
        model.tokenizer.vocabulary,
        _config(model.path, options),
        load_language_model(path) if path is not None else None,
        gather_hotwords(options.hotwords),
    )

    def decode(log_probs: npt.NDArray[np.float32], lengths: list[int]) -> list[Hypothesis]:
        return [best for best, *_ in decoder.decode_batch(log_probs, lengths, threads=threads)]

    return decode


def describe_search(folder: Path, options: SearchOptions | None = None) -> dict[str, Any]:
    """What `make_decode` would search with, as plain data for a report."""
    options = options or SearchOptions()
    path = _language_model(folder, options.lm)
    if _is_greedy(options, path):
        return {"search": "greedy"}
    language = {"language_model": str(path) if path is not None else None, "hotwords": list(options.hotwords)}
    return {"search": "beam", **asdict(_config(folder, options)), **language}


def _is_greedy(options: SearchOptions, language_model: Path | None) -> bool:
    return options.greedy or (language_model is None and options.beam is None and not options.hotwords)


def _config(folder: Path, options: SearchOptions) -> DecodingConfig:
    given = {"beam": options.beam, "lm_weight": options.lm_weight, "word_bonus": options.word_bonus}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return replace(_settings(folder), **changes)


def _language_model(folder: Path, wanted: str | Path | None) -> Path | None:
    if wanted == "none":
        return None
    if wanted is not None:
        return Path(wanted)
    return next(iter(sorted(folder.glob("lm.*"))), None)


def _settings(folder: Path) -> DecodingConfig:
    path = folder / SETTINGS
    if not path.is_file():
        return DecodingConfig()
    try:
        return validate(DecodingConfig, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, UsageError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
