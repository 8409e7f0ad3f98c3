"""`asr align`: when each word of a known text is spoken."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from asr.cli.options import Model
from asr.errors import DataError, UsageError
from asr.io import is_file, write_text, write_whole

_FILE_NAME = re.compile(r"\S+\.(txt|text|trn|lab)", re.IGNORECASE)


def align(
    audio: Annotated[str, typer.Argument(help="The recording, or - for standard input.", metavar="AUDIO")],
    text: Annotated[str, typer.Argument(help="What is spoken in it, or a file that says it.", metavar="TEXT|FILE")],
    model: Model = None,
    channel: Annotated[
        int | None,
        typer.Option(
            "--channel", metavar="N", help="A channel, counted from 1.", min=1, show_default="the mean of all"
        ),
    ] = None,
    form: Annotated[
        Literal["json", "ctm", "textgrid", "png"], typer.Option("-f", "--format", help="Output format.")
    ] = "json",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write; printed if not given.")] = None,
) -> None:
    """Find the times of the words of a known text, one segment for each of its lines."""
    content = _read_text(text)

    if form == "png" and output is None:
        raise UsageError("a picture needs -o, a file to write it to")

    from asr.transcription.align import align_text
    from asr.transcription.recognizer import load_acoustic_model
    from asr.transcription.writers import FORMATS, as_textgrid

    recording: str | bytes = sys.stdin.buffer.read() if audio == "-" else audio
    transcript = align_text(load_acoustic_model(model), recording, content, channel or "mix")
    if output is not None and form == "png":
        from asr.transcription.picture import draw_recording

        picture = draw_recording(recording, transcript.words, channel or "mix")
        with write_whole(output, "wb") as file:
            file.write(picture)
        return
    rendered = as_textgrid(transcript) if form == "textgrid" else FORMATS[form](transcript)
    if output is None:
        typer.echo(rendered, nl=False)
    else:
        write_text(output, rendered)


def _read_text(text: str) -> str:
    """The text itself, or what is in the file of that name. Raises `DataError` for what can only be a file's name."""
    if not is_file(text):
        if _FILE_NAME.fullmatch(text):
            raise DataError(f"{text} does not exist", "Name a file, or give the text itself.")
        return text
    try:
        return Path(text).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{text} cannot be read: {error}") from error
