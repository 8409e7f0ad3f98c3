"""`asr calibrate`: make the confidences of words mean what they say."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import SearchOptions, search_options
from asr.errors import UsageError


@search_options
def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder; its confidence.json is written.")],
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="Speech with known texts, unseen in training.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Calibrate a copy of the model, in this new folder.")
    ] = None,
    report_on: Annotated[
        Path | None, typer.Option("--report-on", metavar="MANIFEST", help="Other speech, to report the quality on.")
    ] = None,
    search: SearchOptions = SearchOptions(),
    threads: Annotated[int | None, typer.Option(help="Processor threads.", min=1)] = None,
) -> None:
    """Fit the confidences of words to speech with known texts, for a model and the search it is used with."""
    from asr.corpus.manifest import read_manifest
    from asr.evaluation.calibration import calibrate as fit
    from asr.evaluation.calibration import measure_quality
    from asr.model.bundle import ModelFolder, model_folder
    from asr.transcription.recognizer import load_model

    options = search.decode_options()
    if out is None and ModelFolder(model_folder(model)).is_bundled:
        raise UsageError("the bundled model is not rewritten", "Give -o FOLDER, for a calibrated copy of it.")
    utterances = read_manifest(manifest)
    others = read_manifest(report_on) if report_on is not None else []
    recognizer = load_model(model, threads=threads, search=options)
    target = recognizer.model.folder.copy_to(out) if out is not None else recognizer.model.folder
    fit(recognizer, utterances).save(target.path)
    if others:
        for name, value in asdict(measure_quality(recognizer, others)).items():
            typer.echo(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
