"""`asr transcribe`: recordings to text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from asr.cli.options import Adapt, DecodeArguments, Device, Model, Precision, Threads, search_options
from asr.errors import UsageError

if TYPE_CHECKING:
    from asr.transcription.result import Failure, Transcript


class Format(Enum):
    """Output formats. An option that may be given several times takes no `Literal`."""

    txt = "txt"
    json = "json"
    srt = "srt"
    vtt = "vtt"
    tsv = "tsv"
    ctm = "ctm"
    all = "all"


LetterCase = Literal["sentence", "lower", "upper"]


@search_options
def transcribe(
    inputs: Annotated[
        list[str], typer.Argument(help="Recordings, folders, patterns, or - for standard input.", metavar="INPUT")
    ],
    model: Model = None,
    formats: Annotated[
        list[Format] | None,
        typer.Option(
            "-f",
            "--format",
            metavar="txt|json|srt|vtt|tsv|ctm|all",
            help="Output format; may be given several times.",
            show_default="txt",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Folder for the outputs, which mirrors the inputs' tree."),
    ] = None,
    recursive: Annotated[bool, typer.Option("-r", "--recursive", help="Look into folders within folders.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Leave out recordings whose outputs are there: go on after a stop.")
    ] = False,
    search: DecodeArguments = DecodeArguments(),
    adapt: Adapt = False,
    channel: Annotated[
        str,
        typer.Option(
            "--channel",
            metavar="N|mix|split",
            help="A channel counted from 1, mix (their mean), or split (each for itself).",
        ),
    ] = "mix",
    case: Annotated[
        LetterCase | None, typer.Option("--case", help="Letter case. By default sentence; in ctm the model's own.")
    ] = None,
    words: Annotated[
        bool,
        typer.Option("--words", help="Order what split channels say by the times of words, without punctuation too."),
    ] = False,
    punctuation: Annotated[
        bool, typer.Option("--punctuation/--no-punctuation", help="Punctuation and capitals; a ctm never has them.")
    ] = True,
    numbers: Annotated[bool, typer.Option("--numbers", help="Figures in place of number words; not in a ctm.")] = False,
    device: Device = "auto",
    threads: Threads = None,
    precision: Annotated[
        Precision,
        typer.Option("--precision", help="Arithmetic of the network; auto takes what this processor was built for."),
    ] = "auto",
    engine: Annotated[
        Literal["local", "ray"], typer.Option("--engine", help="local, or ray to spread the files over a Ray cluster.")
    ] = "local",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress, notices or summary.")] = False,
) -> None:
    """Transcribe recordings.

    One recording to a terminal prints its text and nothing else. A recording that cannot be read is named and stops
    no other; the exit code is then 1.
    """
    forms = list(dict.fromkeys(form.value for form in formats or [Format.txt]))
    if Format.all.value in forms:
        forms = [form.value for form in Format if form is not Format.all]
    chosen = _channel(channel)
    note = _say_nothing if quiet else _tell
    if skip_existing and output is None:
        raise UsageError("--skip-existing needs -o: without it nothing is kept")
    if engine == "ray" and precision in ("bfloat16", "int8"):
        raise UsageError("--engine ray computes in float32, which is the same on all machines")
    if engine == "ray" and adapt:
        raise UsageError("--engine ray spreads the files over machines, and --adapt hears them together")
    form = output.suffix.lstrip(".") if output is not None and not output.is_dir() else ""
    if form in Format.__members__.keys() - {"all"}:
        raise UsageError(f"-o takes a folder, and {output} is named like a file", f"For one file: -f {form} > {output}")
    if output is None and len(forms) > 1:
        raise UsageError("several formats need -o, a folder to write them to")

    from asr.transcription.outputs import OutputFolder, Printer, Summary, collect, deliver, describe_failure

    options = search.decode_options()

    found, missing = collect(inputs, recursive)
    summary = Summary(failures=list(missing))
    for failure in missing:
        _tell(describe_failure(failure))
    target: OutputFolder | Printer
    if output is None:
        names = [*(each.name for each in found), *(failure.name for failure in missing)]
        target = Printer(forms[0], names, case, sys.stdout)
    else:
        target = OutputFolder(output, forms, found, case)
        target.prepare()
        if skip_existing:
            rest = [each for each in found if not target.is_complete(each.name)]
            summary.skipped, found = len(found) - len(rest), rest
    if found:
        from asr.cli.progress import shown
        from asr.transcription.outputs import seconds_of
        from asr.transcription.readable import Readable
        from asr.transcription.reader import Request, read_whole

        # What is to be heard twice must not be gone after the first time.
        requests = [Request(read_whole(each.audio) if adapt else each.audio, each.name, chosen) for each in found]
        # Pauses between words tell more of sentences than the words do.
        wants_words = punctuation or forms != ["txt"] or (words and chosen == "split")
        live = isinstance(target, Printer) and target.is_live and engine == "local" and chosen != "split"
        show = target.show if isinstance(target, Printer) else _say_nothing
        readable = Readable(model, punctuation and forms != ["ctm"], numbers, show)
        total = cache(lambda: seconds_of(requests))
        recognizer = None
        if engine == "local":
            from asr.nn.precision import bfloat16_is_fast
            from asr.transcription.recognizer import load_model

            recognizer = load_model(model, device=device, threads=threads, search=options, precision=precision)
            if precision == "bfloat16" and not bfloat16_is_fast(recognizer.device):
                note("this processor was not built for bfloat16: float32 is several times as fast")
            if adapt:
                from asr.transcription import adaptation

                note("getting used to the voices")
                with shown(lambda: adaptation.seconds_to_hear(total()), quiet, "s") as advance:
                    recognizer = adaptation.adapt(recognizer, adaptation.spread(requests), on_progress=advance)
        with shown(total, quiet or live, "s") as advance:
            outcomes: Iterator[Transcript | Failure]
            if recognizer is None:
                from asr.transcription.ray_engine import transcribe_with_ray

                outcomes = transcribe_with_ray(
                    requests, model, words=wants_words, device=device, search=options, threads=threads or 1
                )
            else:
                outcomes = recognizer.transcribe_many(
                    requests,
                    words=wants_words,
                    in_order=isinstance(target, Printer) and not sys.stdout.isatty(),
                    on_progress=advance,
                    on_segment=readable.feed if live else None,
                )
            try:
                deliver(readable.transcripts(outcomes), target.write, _tell, note, summary)
            except KeyboardInterrupt:
                readable.finish()
                _tell(f"stopped after {summary}")
                raise
    several = summary.files + summary.skipped + len(summary.failures) > 1
    if summary.failures or (several and sys.stderr.isatty()):
        note(str(summary))
    if summary.failures:
        raise typer.Exit(1)


def _channel(text: str) -> int | str:
    if text in ("mix", "split"):
        return text
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UsageError(f"--channel must be a number from 1, mix or split, not {text!r}")


def _tell(text: str) -> None:
    print(f"asr: {text}", file=sys.stderr)


def _say_nothing(said: object) -> None:
    """What -q makes of a message, and transcripts that go to files of a segment."""
