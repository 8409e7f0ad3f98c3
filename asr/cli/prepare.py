"""`asr prepare`: from a corpus on disk to manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from asr.corpus.manifest import Utterance
    from asr.corpus.preparation import Preparation

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Root = Annotated[Path, typer.Option("--root", help="Folder of the corpus.", show_default=False)]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for the manifests.", show_default=False)]


@app.command()
def librispeech(
    root: Root,
    out: Out,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="dev-clean, train-clean-5 …; repeatable (default: all found).")
    ] = None,
) -> None:
    """LibriSpeech or mini LibriSpeech: one manifest per part, with speaker, chapter, gender and level."""
    from asr.corpus.librispeech import prepare_librispeech

    _report(prepare_librispeech(root, part or [], out, track=_track))


@app.command()
def folder(
    root: Root,
    out: Out,
    name: Annotated[str, typer.Option("--name", help="Manifest name (default: the folder's).")] = "",
    speaker: Annotated[str | None, typer.Option("--speaker", help="The one voice of the folder.")] = None,
    speaker_from: Annotated[
        str | None,
        typer.Option("--speaker-from", metavar="REGEX", help="Finds the speaker in the relative path (one group)."),
    ] = None,
    normaliser: Annotated[
        str, typer.Option("--normaliser", help="How texts are written: none, librispeech or ljspeech.")
    ] = "librispeech",
) -> None:
    """Your own recordings: a .txt beside each, or a transcripts.tsv of path, tab and text."""
    from asr.corpus.folder import prepare_folder

    _report(
        [
            prepare_folder(
                root, out, name=name, normaliser=normaliser, speaker=speaker, speaker_from=speaker_from, track=_track
            )
        ]
    )


def _report(preparations: Iterable[Preparation]) -> None:
    """One line per manifest on standard output, losses on standard error; exit code 1 if anything was lost."""
    lost = 0
    for done in preparations:
        facts = [f"{done.utterances:,} utterances", f"{done.duration / 3600:.2f} h", f"{done.words:,} words"]
        facts += [f"{done.speakers:,} speakers"] if done.speakers else []
        facts += [done.completeness] if done.completeness else []
        print(f"{done.manifest}: {', '.join(facts)}", flush=True)
        for problem in done.problems:
            typer.echo(f"skipped {problem}", err=True)
        lost += len(done.problems)
    if lost:
        typer.echo(f"{lost:,} skipped, see above", err=True)
        raise typer.Exit(1)


def _track(utterances: Iterable[Utterance], total: int) -> Iterator[Utterance]:
    """A progress bar on a terminal's standard error, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(
        utterances, "measuring", total=total, console=console, disable=not console.is_terminal, transient=True
    )
