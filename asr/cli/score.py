"""`asr score`: a WER report from references and hypotheses, and the comparison of two systems."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Missing(str, Enum):
    """What becomes of a reference without a hypothesis."""

    error = "error"
    delete = "delete"
    skip = "skip"


class Aligner(str, Enum):
    """Which alignment counts the errors."""

    levenshtein = "levenshtein"
    nist = "nist"


class Format(str, Enum):
    """How a file of texts is written."""

    auto = "auto"
    trn = "trn"
    kaldi = "kaldi"
    tsv = "tsv"
    jsonl = "jsonl"
    ctm = "ctm"
    plain = "plain"


Reference = Annotated[
    Path, typer.Argument(metavar="REF", help="References: trn, Kaldi text, TSV, JSONL, CTM or plain.")
]
Hypothesis = Annotated[Path, typer.Argument(metavar="HYP", help="Hypotheses of the system to be scored.")]
Against = Annotated[Path | None, typer.Option(metavar="HYP2", help="Another system's hypotheses to compare with.")]
Speaker = Annotated[str | None, typer.Option(metavar="REGEX", help=r"Speaker from the id: its first group, '^(\d+)-'.")]
Vocabulary = Annotated[
    Path | None, typer.Option(help="Known words (any text, or a manifest): errors on others are shown.")
]


def score(
    reference: Reference,
    hypothesis: Hypothesis,
    against: Against = None,
    by: Annotated[
        list[str] | None, typer.Option(help="Break down by speaker, duration, any field; repeatable.")
    ] = None,
    worst: Annotated[int, typer.Option(help="Print so many of the worst utterances.", min=0, max=20)] = 0,
    json: Annotated[Path | None, typer.Option(help="Write everything as JSON; - is standard output.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained HTML page.")] = None,
    embed_audio: Annotated[bool, typer.Option("--embed-audio", help="Put the audio into the page.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Write one row per utterance.")] = None,
    pra: Annotated[Path | None, typer.Option(help="Write alignments as sclite prints them.")] = None,
    sys_table: Annotated[Path | None, typer.Option("--sys", help="Write the table by speaker as sclite does.")] = None,
    missing: Annotated[
        Missing, typer.Option(help="A reference without a hypothesis: refuse, count its words as deleted, leave out.")
    ] = Missing.error,
    normalizer: Annotated[str, typer.Option(help="Applied to both sides: none, librispeech, ljspeech.")] = "none",
    aligner: Annotated[Aligner, typer.Option(help="Fewest errors, or sclite's costs 4/3/3.")] = Aligner.levenshtein,
    speaker_from: Speaker = None,
    vocabulary: Vocabulary = None,
    reference_format: Annotated[Format, typer.Option(help="How REF is written.")] = Format.auto,
    hypothesis_format: Annotated[Format, typer.Option(help="How HYP and HYP2 are written.")] = Format.auto,
    encoding: Annotated[str | None, typer.Option(help="Text encoding, where it is not UTF-8 or UTF-16.")] = None,
) -> None:
    """Score hypotheses against references: error rates, how sure they are, and where it hurts.

    Exit code 1 when ids are missing, extra or doubled (unless --missing allows it) or a file cannot be read.
    """
    from asr.errors import UsageError
    from asr.scoring.files import report_on_files
    from asr.scoring.views import render, write_report
    from asr.scoring.views.terminal import print_report

    if embed_audio and html is None:
        raise UsageError("--embed-audio needs --html FILE")
    report = report_on_files(
        reference,
        hypothesis,
        against=against,
        by=by or (),
        missing=missing.value,
        normalizer=normalizer,
        aligner=aligner.value,
        speaker_from=speaker_from,
        vocabulary=vocabulary,
        reference_format=reference_format.value,
        hypothesis_format=hypothesis_format.value,
        encoding=encoding,
    )
    to_stdout = str(json) == "-"
    files = {"html": html, "csv": csv, "pra": pra, "sys": sys_table, "json": None if to_stdout else json}
    for form, path in files.items():
        if path is not None:
            write_report(report, path, form, embed_audio=embed_audio)
    if to_stdout:
        print(render(report, "json", Path()), end="")
    else:
        print_report(report, by=tuple(by or ()), worst=worst)
