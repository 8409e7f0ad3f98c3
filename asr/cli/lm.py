"""`asr lm`: language models from plain text."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def lm() -> None:
    """Language models: train, measure, tune, sample."""
