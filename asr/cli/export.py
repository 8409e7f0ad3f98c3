"""`asr export`: a model for other runtimes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from asr.errors import AsrError, UsageError

TOLERANCE = 1e-3
"""Of probabilities."""


def export(
    model: Annotated[str, typer.Argument(help="Model folder, or default for the bundled one.", metavar="MODEL")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The file (.onnx), or a folder for model.onnx.")],
) -> None:
    """Write a model as one ONNX file: samples in, log-probabilities out."""
    if find_spec("onnx") is None:
        raise UsageError("export needs the onnx package", "In the project's folder: .venv/bin/pip install -e '.[onnx]'")

    from asr.model.bundle import load_saved_model
    from asr.model.onnx import export_onnx, largest_difference

    saved = load_saved_model(model)
    path = export_onnx(saved, output)
    typer.echo(path)
    if find_spec("onnxruntime") is not None:
        difference = largest_difference(saved, path)
        typer.echo(f"largest difference from the model: {difference:.1e} in probability", err=True)
        if not difference < TOLERANCE:
            raise AsrError(f"{path} hears something else than {saved.path}", "Another version of onnxruntime may do.")
