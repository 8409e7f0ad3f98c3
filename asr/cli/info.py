"""`asr info`: what a model, a recording or a manifest is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.errors import UsageError


def info(
    things: Annotated[
        list[str],
        typer.Argument(help="Model folders (or default), recordings, manifests.", metavar="MODEL|AUDIO|MANIFEST"),
    ],
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE.png", help="Draw a recording's waveform and mel spectrogram."),
    ] = None,
) -> None:
    """Say what a model, a recording or a manifest is and holds."""
    if picture is not None and len(things) != 1:
        raise UsageError("--picture is of one recording")
    for number, thing in enumerate(things):
        if number:
            typer.echo()
        typer.echo(thing)
        for name, value in facts(thing):
            typer.echo(f"  {name:<16}{value}")
    if picture is not None:
        from asr.io import write_whole
        from asr.transcription.picture import draw_recording

        drawn = draw_recording(things[0])
        with write_whole(picture, "wb") as file:
            file.write(drawn)


def facts(thing: str) -> list[tuple[str, str]]:
    """Name and value of each fact about the model, manifest or recording `thing`."""
    path = Path(thing)
    if thing == "default" or path.is_dir():
        from asr.model.bundle import describe_model

        return describe_model(thing)
    if path.suffix == ".jsonl":
        from asr.corpus.manifest import describe_utterances, read_manifest

        return describe_utterances(read_manifest(path))
    from asr.audio.stream import probe_audio

    return probe_audio(path).rows()
