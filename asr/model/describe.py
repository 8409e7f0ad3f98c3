"""What a saved model is, in a dozen lines: sizes, text, training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr.lexicon.phones import PHONES
from asr.model.acoustic import parameters
from asr.model.bundle import SavedModel, load_saved_model

SHOWN_TOKENS = 8


def describe_model(name_or_path: Path | str) -> list[tuple[str, str]]:
    """Name and value of each fact, as `asr info` prints them. Raises `ModelError` for a damaged model."""
    model = load_saved_model(name_or_path)
    features, encoder = model.config.features, model.config.encoder
    vocabulary = model.tokenizer.vocabulary
    return [
        ("features", f"{features.kind}, {model.network.features.size} a frame, normalized by {features.normalize}"),
        ("sample rate", f"{features.sample_rate:,} Hz"),
        ("network", f"{encoder.layers} × {encoder.width} {_memory(encoder.rnn_type)}"),
        ("parameters", f"{parameters(model.network) / 1e6:.2f} M, {_megabytes(model):.1f} MB on disk"),
        ("output", f"{1 / model.frame_seconds:g} steps a second"),
        ("tokens", f"{len(vocabulary)}: {' '.join(vocabulary[:SHOWN_TOKENS])} …"),
        *_phones(model),
        ("normalizer", model.normalizer),
        *_facts(model.training),
    ]


def _phones(model: SavedModel) -> list[tuple[str, str]]:
    if model.lexicon is None:
        return []
    return [("phones", f"{len(PHONES)}; a lexicon of {len(model.lexicon):,} words, G2P for others")]


def _facts(training: dict[str, Any], of: str = "") -> list[tuple[str, str]]:
    """What training said of the model, and, in the same way, of its parts."""
    rows: list[tuple[str, str]] = []
    for name, value in training.items():
        title = f"{of}{name.replace('_', ' ')}"
        rows += _facts(value, f"{title} ") if isinstance(value, dict) else [(title, _value(value))]
    return rows


def _memory(kind: str) -> str:
    return "feed-forward, no memory" if kind == "none" else f"{kind} GRU"


def _megabytes(model: SavedModel) -> float:
    return sum(file.stat().st_size for file in model.path.rglob("*") if file.is_file()) / 1e6


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
