"""`asr average`: one model from the last ones of a run, or from several models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def average(
    folders: Annotated[
        list[str],
        typer.Argument(help="Output folder of `asr train`; or several models of the same sizes.", metavar="EXP_DIR"),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model folder to write.")],
    last: Annotated[int, typer.Option(help="Average this many last epochs; 1 takes the best epoch alone.", min=1)] = 1,
    full: Annotated[bool, typer.Option("--full", help="Keep 32-bit weights instead of 16-bit ones.")] = False,
) -> None:
    """Average the last epochs of a run, or several models, into one of half precision.

    Each epoch's model is already a moving average of its run's weights, so that the best epoch alone is the default.
    Of several, each is a model folder, "default" for the bundled model, or a run, which stands for its best epoch; all
    must descend from the same model.
    """
    from asr.errors import UsageError
    from asr.model.bundle import average_models, last_models
    from asr.model.folder import model_folder

    if len(folders) == 1:
        chosen = last_models(model_folder(folders[0]), last)
    elif last == 1:
        chosen = [folder / "best" if (folder / "best").is_dir() else folder for folder in map(model_folder, folders)]
    else:
        raise UsageError("--last is for the epochs of one run", "Name several models, or one run and --last.")
    average_models(chosen, output, half=not full)
    names = [folder.name for folder in chosen] if len(folders) == 1 else folders
    typer.echo(f"{output}: {', '.join(names)}")
