"""The options that say how to search, the same for every command that decodes."""

from __future__ import annotations

from typing import Annotated

import typer

Greedy = Annotated[bool, typer.Option("--greedy", help="The quickest search, without a language model.")]
Beam = Annotated[int | None, typer.Option("--beam", help="Beam search that keeps this many readings.", min=1)]
LanguageModel = Annotated[str | None, typer.Option("--lm", help="Language model, or none; by default the model's own.")]
LanguageWeight = Annotated[float | None, typer.Option("--lm-weight", help="Weight of the language model.")]
WordBonus = Annotated[float | None, typer.Option("--word-bonus", help="Added for every word.")]
Hotwords = Annotated[
    list[str] | None,
    typer.Option(
        "--hotword", help="A word or phrase to expect, or @FILE with one a line; repeatable.", metavar="WORD[=BOOST]"
    ),
]
