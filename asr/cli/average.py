"""`asr average`: one model from the last ones of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def average(
    experiment: Annotated[Path, typer.Argument(help="Output folder of `asr train`.", metavar="EXP_DIR")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model folder to write.")],
    last: Annotated[int, typer.Option(help="Average this many last epochs; 1 takes the best epoch alone.", min=1)] = 1,
    full: Annotated[bool, typer.Option("--full", help="Keep 32-bit weights instead of 16-bit ones.")] = False,
) -> None:
    """Average the last epochs of a run into one model of half precision.

    Each epoch's model is already a moving average of its run's weights, so that the best epoch alone is the default.
    """
    from asr.training.combine import average_models, last_models

    chosen = last_models(experiment, last)
    average_models(chosen, output, half=not full)
    typer.echo(f"{output}: {', '.join(folder.name for folder in chosen)}")
