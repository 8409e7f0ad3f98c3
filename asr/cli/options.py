"""The options that several commands have, and those that say how to search: the same for every one that decodes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

if TYPE_CHECKING:
    from asr.transcription.decoder import DecodeOptions

OF_MODEL = "the model's"  # the default of settings that a model brings

Model = Annotated[
    str | None, typer.Option("-m", "--model", metavar="MODEL", help="Model folder; the bundled one if not given.")
]
ModelFolder = Annotated[str, typer.Argument(metavar="MODEL", help="Model folder, or `default`, the bundled model.")]
AnyDevice = Annotated[str, typer.Option("--device", help="Where the network runs: auto, cpu or cuda.")]
Device = Annotated[Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where the network runs.")]
Precision = Literal["auto", "float32", "bfloat16", "int8"]
Threads = Annotated[
    int | None, typer.Option("--threads", metavar="N", help="Processor threads.", min=1, show_default="all")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no summary.")]
EmbedAudio = Annotated[bool, typer.Option("--embed-audio", help="Put the audio into the page.")]
Fast = Annotated[
    bool,
    typer.Option(
        "--fast", help="A narrower beam and no rescoring: most of the accuracy in three quarters of the time."
    ),
]
Beam = Annotated[
    int | None,
    typer.Option(
        "--beam", metavar="N", help="Beam search that keeps this many hypotheses.", min=1, show_default=OF_MODEL
    ),
]
Views = Annotated[
    int | None,
    typer.Option(
        "--views",
        metavar="N",
        help="Hear the sound so often, fractions of a step apart: fewer errors, more time.",
        min=1,
        max=4,
        show_default=OF_MODEL,
    ),
]
Rescore = Annotated[
    str | None,
    typer.Option(
        "--rescore",
        metavar="FOLDER|none",
        help="Recurrent model that rescores the beam's best hypotheses.",
        show_default=OF_MODEL,
    ),
]
Adapt = Annotated[
    bool,
    typer.Option("--adapt", help="Get used to the voices and the room first: fewer errors where somebody speaks long."),
]
Hotwords = Annotated[
    list[str] | None,
    typer.Option(
        "--hotword", help="A word or phrase to expect, or @FILE with one a line; repeatable.", metavar="WORD[=BOOST]"
    ),
]


@dataclass(frozen=True)
class DecodeArguments:
    """How to search, as it is said on the command line; the fields are those of `DecodeOptions`."""

    greedy: Annotated[
        bool,
        typer.Option(
            "--greedy",
            help="No language model: about every second word is wrong. For measuring; for speed take --fast.",
        ),
    ] = False
    fast: Fast = False
    beam_size: Beam = None
    views: Views = None
    lm: Annotated[
        str | None, typer.Option("--lm", metavar="PATH|none", help="Language model.", show_default=OF_MODEL)
    ] = None
    lm_weight: Annotated[
        float | None,
        typer.Option("--lm-weight", metavar="A", help="Weight of the language model.", show_default=OF_MODEL),
    ] = None
    word_score: Annotated[
        float | None, typer.Option("--word-bonus", metavar="B", help="Added for every word.", show_default=OF_MODEL)
    ] = None
    hotwords: Hotwords = None
    rescore: Rescore = None
    rescore_weight: Annotated[
        float | None,
        typer.Option("--rescore-weight", metavar="A", help="Weight of the recurrent model.", show_default=OF_MODEL),
    ] = None
    rescore_word_score: Annotated[
        float | None,
        typer.Option("--rescore-bonus", metavar="B", help="Added for every word beside it.", show_default=OF_MODEL),
    ] = None

    def decode_options(self) -> DecodeOptions:
        """For `make_decode`. Raises `UsageError` for options that contradict each other."""
        from asr.transcription.decoder import DecodeOptions

        return DecodeOptions(**vars(self) | {"hotwords": self.hotwords or ()})


def search_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the fields of `DecodeArguments` as options, in place of its parameter `search` of that type."""
    hints = get_type_hints(DecodeArguments, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(field.name, keyword, default=field.default, annotation=hints[field.name])
        for field in fields(DecodeArguments)
    ]
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == "search":
            parameters += options
        else:
            parameters.append(parameter.replace(kind=keyword))

    @wraps(command)
    def run(**given: Any) -> None:
        search = DecodeArguments(**{option.name: given.pop(option.name) for option in options})
        command(**given, search=search)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": None}
    del run.__wrapped__
    return run
