"""`asr scribe`: a model learns from texts how words are written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def scribe(
    config: Annotated[Path, typer.Argument(help="YAML file of the run.", metavar="CONFIG.yaml")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings that replace the file's.", metavar="[key.sub=value]...")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in the output folder stopped.")] = False,
) -> None:
    """Teach a model that hears phones to write: from texts, as they would sound to it."""
    from asr.writing.training import learn_to_write, read_writing

    typer.echo(learn_to_write(read_writing(config, overrides or []), resume))
