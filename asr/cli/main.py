"""The `asr` command: one thin file per subcommand, gathered here.

Nothing heavy is imported at the door: a command's module imports torch, librosa or matplotlib inside its function,
so that `asr --help` and every usage error answer at once.
"""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from asr.cli import (
    align,
    average,
    calibrate,
    evaluate,
    export,
    info,
    lexicon,
    lm,
    prepare,
    score,
    serve,
    train,
    transcribe,
)
from asr.cli.help import GroupedCommand
from asr.errors import AsrError
from asr.former_names import modern_options

app = typer.Typer(
    name="asr",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def show_version(wanted: bool) -> None:
    """What `asr --version` does."""
    if wanted:
        from asr import __version__

        typer.echo(f"asr {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Transcribe recordings, train recurrent speech recognizers, and read honest WER reports."""


app.command("transcribe", cls=GroupedCommand)(transcribe.transcribe)
app.command("align")(align.align)
app.add_typer(
    prepare.app, name="prepare", help="Make manifests of a corpus: LibriSpeech, LJSpeech, your own folder, Kaldi."
)
app.command("train")(train.train)
app.command("average")(average.average)
app.command("export")(export.export)
app.command("evaluate", cls=GroupedCommand)(evaluate.evaluate)
app.command("calibrate")(calibrate.calibrate)
app.command("info")(info.info)
app.command("score", cls=GroupedCommand)(score.score)
app.command("serve", cls=GroupedCommand)(serve.serve)
app.add_typer(lm.app, name="lm", help="Language models: train, measure, tune, sample.")
app.add_typer(lexicon.app, name="lexicon")


def command() -> None:
    """The `asr` command: a process of its own, which ends with it."""
    # Torch, the tables of a search and the alignments of a large corpus are many objects that stay: to look for garbage
    # among them after every few hundred new ones, as Python does, costs half a second.
    gc.set_threshold(100_000, 20, 50)
    try:
        run()
    except SystemExit as leaving:
        _leave(leaving)


def run() -> None:
    """Do what the command line says. Ends in `SystemExit`."""
    with plain_errors():
        app(args=modern_options(sys.argv[1:]))


def _leave(leaving: SystemExit) -> None:
    """End the process as `leaving` wants, without taking torch's thousand modules apart: that costs half a second.

    What asked to be done at the end is done, and what was printed arrives. Where it cannot, Python's own end says so.
    """
    if not isinstance(leaving.code, int | None):
        raise leaving
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        raise leaving from None
    os._exit(leaving.code or 0)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn the project's own errors into one message on standard error and an exit code."""
    try:
        yield
    except AsrError as error:
        print(f"asr: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"asr: {error.filename or 'the output'}: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("asr: interrupted", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    command()
