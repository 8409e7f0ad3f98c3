"""Where models lie; knows nothing of what is in them, and so is quick to import."""

from __future__ import annotations

from pathlib import Path

BUNDLED = Path(__file__).resolve().parents[1] / "pretrained"


def model_folder(name_or_path: Path | str | None = None) -> Path:
    """The folder of a model; None and "default" name the bundled one. Whether it is there is not asked."""
    return BUNDLED if name_or_path in (None, "default") else Path(str(name_or_path))
