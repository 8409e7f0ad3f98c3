"""`asr prepare`: from a corpus on disk, or fetched, to manifests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli.progress import shown

if TYPE_CHECKING:
    from asr.corpus.download import Report
    from asr.corpus.manifest import Utterance
    from asr.corpus.prepare import Preparation

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Root = Annotated[Path, typer.Option("--root", help="Folder of the corpus.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for the manifests.")]
Name = Annotated[str, typer.Option("--name", help="Manifest name (default: the folder's).")]
Download = Annotated[bool, typer.Option("--download", help="Fetch what is not in --root yet (resumable, checked).")]
Normalize = Annotated[str, typer.Option("--normalize", help="How texts are written: none, librispeech, ljspeech.")]


@app.command()
def librispeech(
    root: Root,
    out: Out,
    part: Annotated[
        list[str] | None, typer.Option("--part", help="dev-clean, train-clean-5 …; repeatable (default: all found).")
    ] = None,
    download: Download = False,
    mirror: Annotated[str, typer.Option("--mirror", help="Another address for --download.")] = "",
) -> None:
    """LibriSpeech or mini LibriSpeech: a manifest per part, with speaker, chapter, gender and level.

    A complete dev-clean-2 is also divided by speaker into dev-clean-2-tune and dev-clean-2-report.
    """
    from asr.corpus.librispeech import MIRROR, download_librispeech, prepare_librispeech

    if download:
        with _bytes_bar() as report:
            download_librispeech(root, part or [], mirror=mirror or MIRROR, report=report)
    _conclude(prepare_librispeech(root, part or [], out, track=_track))


@app.command()
def ljspeech(root: Root, out: Out, download: Download = False) -> None:
    """LJSpeech: a manifest of all, and two divisions into train, dev and test: by clips, and by whole chapters."""
    from asr.corpus.ljspeech import download_ljspeech, prepare_ljspeech

    if download:
        with _bytes_bar() as report:
            download_ljspeech(root, report=report)
    _conclude(prepare_ljspeech(root, out, track=_track))


@app.command()
def folder(
    root: Root,
    out: Out,
    name: Name = "",
    speaker: Annotated[str | None, typer.Option("--speaker", help="The one voice of the folder.")] = None,
    speaker_from: Annotated[
        str | None,
        typer.Option("--speaker-from", metavar="REGEX", help="Finds the speaker in the relative path (one group)."),
    ] = None,
    normalize: Normalize = "librispeech",
) -> None:
    """Your own recordings: a .txt beside each, or a transcripts.tsv of path, tab and text."""
    from asr.corpus.folder import prepare_folder

    _conclude(
        [
            prepare_folder(
                root, out, name=name, normalizer=normalize, speaker=speaker, speaker_from=speaker_from, track=_track
            )
        ]
    )


@app.command()
def kaldi(root: Root, out: Out, name: Name = "", normalize: Normalize = "none") -> None:
    """A Kaldi data directory: wav.scp, text, utt2spk, segments."""
    from asr.corpus.kaldi import prepare_kaldi

    _conclude([prepare_kaldi(root, out, name=name, normalizer=normalize, track=_track)])


@app.command()
def kaldi_export(
    manifest: Annotated[Path, typer.Argument()],
    out: Annotated[Path, typer.Option("-o", "--out", help="The data directory to write.")],
) -> None:
    """The other way: a manifest as a Kaldi data directory."""
    from asr.corpus.kaldi import export_kaldi
    from asr.corpus.manifest import read_manifest

    utterances = read_manifest(manifest)
    export_kaldi(utterances, out)
    print(f"{out}: {len(utterances):,} utterances")


def _conclude(preparations: Iterable[Preparation]) -> None:
    """One line per manifest on standard output, losses on standard error; exit code 1 if anything was lost."""
    lost = 0
    for done in preparations:
        facts = [_count(done.utterances, "utterance"), f"{done.duration / 3600:.2f} h", _count(done.words, "word")]
        facts += [_count(done.speakers, "speaker")] if done.speakers else []
        facts += [done.completeness] if done.completeness else []
        print(f"{done.manifest}: {', '.join(facts)}", flush=True)
        for problem in done.problems:
            typer.echo(f"skipped {problem}", err=True)
        lost += len(done.problems)
    if lost:
        typer.echo(f"{lost:,} skipped, see above", err=True)
        raise typer.Exit(1)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _track(utterances: Iterable[Utterance], total: int) -> Iterator[Utterance]:
    with shown(total) as advance:
        for utterance in utterances:
            yield utterance
            advance(1)


@contextmanager
def _bytes_bar() -> Iterator[Report]:
    """A progress bar of bytes for each step of a download, on a terminal only."""
    from rich import progress
    from rich.console import Console

    columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn())
    speeds = (progress.TransferSpeedColumn(), progress.TimeRemainingColumn())
    console = Console(stderr=True)
    tasks: dict[str, progress.TaskID] = {}
    with progress.Progress(*columns, *speeds, console=console, disable=not console.is_terminal, transient=True) as bar:

        def report(step: str, done: int, total: int | None) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task(step, total=total)
            bar.update(tasks[step], completed=done, total=total)

        yield report
