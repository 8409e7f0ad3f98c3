"""The options that say how to search, the same for every command that decodes."""

from __future__ import annotations

from typing import Annotated

import typer

Greedy = Annotated[bool, typer.Option("--greedy", help="The quickest search, without a language model.")]
Beam = Annotated[int | None, typer.Option("--beam", help="Beam search that keeps this many hypotheses.", min=1)]
LanguageModel = Annotated[str | None, typer.Option("--lm", help="Language model, or none; by default the model's own.")]
LanguageWeight = Annotated[float | None, typer.Option("--lm-weight", help="Weight of the language model.")]
WordBonus = Annotated[float | None, typer.Option("--word-bonus", help="Added for every word.")]
Rescore = Annotated[
    str | None,
    typer.Option(
        "--rescore",
        metavar="FOLDER",
        help="Recurrent model that rescores the beam's best hypotheses, or none; by default the model's own.",
    ),
]
RescoreWeight = Annotated[float | None, typer.Option("--rescore-weight", help="Weight of the recurrent model.")]
RescoreBonus = Annotated[float | None, typer.Option("--rescore-bonus", help="Added for every word beside it.")]
Hotwords = Annotated[
    list[str] | None,
    typer.Option(
        "--hotword", help="A word or phrase to expect, or @FILE with one a line; repeatable.", metavar="WORD[=BOOST]"
    ),
]
