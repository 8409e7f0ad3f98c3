"""`asr evaluate`: a recognizer's word error rate on a manifest, with a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import Adapt, AnyDevice, DecodeArguments, EmbedAudio, ModelFolder, Quiet, Threads, search_options
from asr.errors import UsageError


@search_options
def evaluate(
    model: ModelFolder,
    manifests: Annotated[list[Path], typer.Argument(metavar="MANIFEST", help="What `asr prepare` wrote.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Report folder (default: reports/<model>-<manifest>-<search>).")
    ] = None,
    search: DecodeArguments = DecodeArguments(),
    adapt: Adapt = False,
    normalizer: Annotated[str, typer.Option(help="Applied to both sides: none, librispeech, ljspeech.")] = "none",
    embed_audio: EmbedAudio = False,
    device: AnyDevice = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Decode manifests, score them, and write a report for each: hypotheses, report.html, report.json.

    With --adapt to each speaker of a manifest, by that speaker's own utterances. A run that was interrupted goes on
    where it was. Recordings that cannot be read count as deleted, are named, and make the exit code 1. With several
    manifests, -o holds a folder for each.
    """
    from asr.cli.progress import shown
    from asr.corpus.manifest import read_manifest
    from asr.evaluation.evaluate import default_folder, provenance, report_made_by
    from asr.evaluation.evaluate import evaluate as evaluate_manifest
    from asr.scoring.views.terminal import print_report
    from asr.transcription.decoder import describe_search
    from asr.transcription.recognizer import load_model

    options = search.decode_options()
    counts = [len(read_manifest(manifest)) for manifest in manifests]
    names = _names(manifests) if out is not None and len(manifests) > 1 else {}
    recognizer = load_model(model, device=device, threads=threads, search=options)
    decoding = describe_search(recognizer.model.path, options) | ({"adapted": "to each speaker"} if adapt else {})
    failed = False
    for manifest, count in zip(manifests, counts, strict=True):
        if out is None:
            folder = default_folder(recognizer.model.path.resolve(), manifest, decoding)
        else:
            folder = out / names[manifest] if names else out
            former = report_made_by(folder)
            if former not in (None, provenance(recognizer.model.path, manifest, decoding)):
                print(f"asr: {folder} held the report of another model, manifest or search: replaced", file=sys.stderr)
        with shown(count, quiet) as advance:
            evaluation = evaluate_manifest(
                recognizer,
                manifest,
                folder,
                decoding=decoding,
                normalizer=normalizer,
                embed_audio=embed_audio,
                on_progress=advance,
            )
        for identity, reason in evaluation.decoding.failures.items():
            print(f"asr: {identity}: {reason}", file=sys.stderr)
        failed = failed or bool(evaluation.decoding.failures)
        if not quiet:
            print_report(evaluation.report)
            speed = evaluation.decoding.real_time_factor
            print(f"real-time factor {speed:.4f}; report in {folder}" if speed else f"report in {folder}")
    if failed:
        raise typer.Exit(1)


def _names(manifests: list[Path]) -> dict[Path, str]:
    """The folder of each manifest under -o: its name, with that of its own folder where two are called alike."""
    stems = [manifest.stem for manifest in manifests]
    names = {each: each.stem for each in manifests}
    names |= {each: f"{each.resolve().parent.name}-{each.stem}" for each in manifests if stems.count(each.stem) > 1}
    if len(set(names.values())) < len(manifests):
        raise UsageError("two manifests are called alike, and so are their folders", "Evaluate them one by one.")
    return names
