"""`asr score`: a WER report from references and hypotheses, and the comparison of systems."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from asr.cli.options import EmbedAudio

Format = Literal["auto", "trn", "kaldi", "tsv", "csv", "jsonl", "json", "ctm", "stm", "srt", "vtt", "plain"]
Reference = Annotated[
    Path,
    typer.Argument(
        metavar="REF", help="References: trn, Kaldi text, TSV, CSV, JSONL, JSON, CTM, STM, SRT, VTT or plain."
    ),
]
Hypotheses = Annotated[
    list[Path], typer.Argument(metavar="HYP", help="Hypotheses of the system to be scored, or of several systems.")
]
Names = Annotated[list[str] | None, typer.Option("--name", help="What to call a system; once for each, in order.")]
Against = Annotated[Path | None, typer.Option(metavar="HYP2", help="Another system's hypotheses to compare with.")]
Speaker = Annotated[str | None, typer.Option(metavar="REGEX", help=r"Speaker from the id: its first group, '^(\d+)-'.")]
Vocabulary = Annotated[
    Path | None, typer.Option(help="Known words (any text, or a manifest): errors on others are shown.")
]


def score(
    reference: Reference,
    hypotheses: Hypotheses,
    against: Against = None,
    name: Names = None,
    by: Annotated[
        list[str] | None, typer.Option(help="Break down by speaker, duration, any field; repeatable.")
    ] = None,
    worst: Annotated[int, typer.Option(help="Print so many of the worst utterances.", min=0, max=20)] = 0,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON; - is standard output.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained HTML page.")] = None,
    embed_audio: EmbedAudio = False,
    csv: Annotated[Path | None, typer.Option(help="Write one row per utterance.")] = None,
    pra: Annotated[Path | None, typer.Option(help="Write alignments as sclite prints them.")] = None,
    sys_table: Annotated[Path | None, typer.Option("--sys", help="Write the table by speaker as sclite does.")] = None,
    missing: Annotated[
        Literal["error", "delete", "skip"],
        typer.Option(help="A reference without a hypothesis: refuse, count its words as deleted, leave out."),
    ] = "error",
    normalizer: Annotated[
        list[str] | None,
        typer.Option(help="Applied to both sides: none, librispeech, ljspeech, whisper; given twice, in turn."),
    ] = None,
    aligner: Annotated[
        Literal["levenshtein", "nist"],
        typer.Option(help="Fewest errors, or sclite's costs 4/3/3 and its folding of letter case."),
    ] = "levenshtein",
    case_sensitive: Annotated[
        bool, typer.Option("-s", "--case-sensitive", help="With nist: A is not a, as sclite -s has it.")
    ] = False,
    tags: Annotated[
        Literal["skip", "keep"],
        typer.Option(help="What nobody speaks ([noise], <unk>): leave out and say so, or keep as words."),
    ] = "skip",
    speaker_from: Speaker = None,
    vocabulary: Vocabulary = None,
    reference_format: Annotated[Format, typer.Option(help="How REF is written.")] = "auto",
    hypothesis_format: Annotated[Format, typer.Option(help="How all HYP are written.")] = "auto",
    encoding: Annotated[str | None, typer.Option(help="Text encoding, where it is not UTF-8 or UTF-16.")] = None,
) -> None:
    """Score hypotheses against references: error rates, how sure they are, and where it hurts.

    Several HYP are compared with each other: a table of systems, and which differences chance explains.

    Exit code 1 when ids are missing, extra or doubled (unless --missing allows it) or a file cannot be read.
    """
    from asr.errors import UsageError
    from asr.scoring.files import board_of_files, report_on_files
    from asr.scoring.views import render, write_board, write_report
    from asr.scoring.views.data import render_board_json
    from asr.scoring.views.terminal import print_board, print_report

    if embed_audio and html is None:
        raise UsageError("--embed-audio needs --html FILE")
    options: dict[str, Any] = {
        "names": name or (),
        "by": by or (),
        "missing": missing,
        "normalizer": normalizer or "none",
        "aligner": aligner,
        "case_sensitive": case_sensitive,
        "tags": tags,
        "speaker_from": speaker_from,
        "reference_format": reference_format,
        "hypothesis_format": hypothesis_format,
        "encoding": encoding,
    }
    to_stdout = str(json) == "-"
    files = {"html": html, "json": None if to_stdout else json}
    of_one = {"csv": csv, "pra": pra, "sys": sys_table}
    for form, path in (files | of_one).items():
        if str(path) == "-":
            raise UsageError(f"--{form} - : only --json goes to standard output", f"Name a file: --{form} FILE.")
    if len(hypotheses) > 1:
        others = {"--against": against, "--vocabulary": vocabulary, "--csv": csv, "--pra": pra, "--sys": sys_table}
        for option, value in (others | {"--worst": worst or None}).items():
            if value is not None:
                raise UsageError(f"{option} is for one system", "Give one HYP.")
        board = board_of_files(reference, hypotheses, **options)
        for form, path in files.items():
            if path is not None:
                write_board(board, path, form, embed_audio=embed_audio)
        _print_json(render_board_json(board)) if to_stdout else print_board(board, by=tuple(by or ()))
        return
    report = report_on_files(reference, hypotheses[0], against=against, vocabulary=vocabulary, **options)
    for form, path in (files | of_one).items():
        if path is not None:
            write_report(report, path, form, embed_audio=embed_audio)
    _print_json(render(report, "json", Path())) if to_stdout else print_report(report, by=tuple(by or ()), worst=worst)


def _print_json(text: str) -> None:
    """JSON is UTF-8, whatever the terminal or the pipe is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    sys.stdout.buffer.flush()
