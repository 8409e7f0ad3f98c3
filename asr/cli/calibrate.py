"""`asr calibrate`: make the confidences of words mean what they say."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.options import Threads
from asr.errors import DataError, UsageError


def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder; its confidence.json is written.")],
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="Speech with known texts, unseen in training.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Calibrate a copy of the model, in this new folder.")
    ] = None,
    report_on: Annotated[
        Path | None, typer.Option("--report-on", metavar="MANIFEST", help="Other speech, to report the quality on.")
    ] = None,
    threads: Threads = None,
) -> None:
    """Fit the confidences of words to speech with known texts.

    Each way to search has a calibration of its own: the model's search, --fast, --greedy, and alignment.
    """
    from asr.corpus.manifest import read_manifest
    from asr.evaluation.calibration import calibrate_all
    from asr.model.folder import ModelFolder, model_folder
    from asr.transcription.confidence import save_calibrations

    folder = ModelFolder(model_folder(model))
    if out is None and folder.is_bundled:
        raise UsageError("the bundled model is not rewritten", "Give -o FOLDER, for a calibrated copy of it.")
    utterances = read_manifest(manifest)
    others = read_manifest(report_on) if report_on is not None else []
    if out is not None:
        folder.check_copy(out)  # told before the work, though the copy is made when that has succeeded
    if not utterances:
        raise DataError(f"{manifest} is empty")
    calibrations = {}
    for search, calibration, quality in calibrate_all(folder.path, utterances, others, threads):
        calibrations[search] = calibration
        if quality is not None:
            facts = (
                f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
                for name, value in asdict(quality).items()
            )
            typer.echo(f"{search}: {', '.join(facts)}")
    target = folder.copy_to(out) if out is not None else folder
    save_calibrations(target.path, calibrations)
