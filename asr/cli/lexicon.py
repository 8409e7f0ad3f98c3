"""`asr lexicon`: how words are spoken."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def lexicon() -> None:
    """How words are spoken: build a lexicon."""


@app.command()
def build(
    output: Annotated[Path, typer.Option("-o", "--out", metavar="FOLDER", help="Folder to write lexicon/ into.")],
    words: Annotated[
        list[Path] | None,
        typer.Option(
            "--words",
            metavar="FILE",
            help="Language model, manifest or text whose words are listed; several may follow.",
        ),
    ] = None,
    g2p: Annotated[
        Path | None,
        typer.Option(
            "--g2p",
            metavar="FILE|EXP",
            help="G2P model for words that CMUdict lacks: a file, or a run of `asr train` with `task: g2p`.",
            show_default="the bundled model's",
        ),
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Write the lexicon of the words of some files, or of all of CMUdict; words that it lacks are predicted."""
    from asr.lexicon.lexicon import build_lexicon, find_g2p
    from asr.lm.load import read_words
    from asr.model.folder import model_folder

    files = [*(words or []), *(more or [])]  # `--words A B` gives B to the second
    wanted = [word for path in files for word in read_words(path)] if files else None
    for line in build_lexicon(find_g2p(g2p or model_folder()), wanted, output):
        typer.echo(line)
