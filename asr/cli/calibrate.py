"""`asr calibrate`: make the confidences of words mean what they say."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from asr.cli.search import (
    Beam,
    Greedy,
    LanguageModel,
    LanguageWeight,
    Rescore,
    RescoreBonus,
    RescoreWeight,
    WordBonus,
)


def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model folder; its confidence.json is written.")],
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="Speech with known texts, unseen in training.")],
    judge_on: Annotated[
        Path | None, typer.Option("--judge", metavar="MANIFEST", help="Other speech, to judge the result on.")
    ] = None,
    greedy: Greedy = False,
    beam: Beam = None,
    lm: LanguageModel = None,
    lm_weight: LanguageWeight = None,
    word_bonus: WordBonus = None,
    rescore: Rescore = None,
    rescore_weight: RescoreWeight = None,
    rescore_bonus: RescoreBonus = None,
    threads: Annotated[int | None, typer.Option(help="Processor threads.", min=1)] = None,
) -> None:
    """Fit the confidences of words to speech with known texts, for a model and the search it is used with."""
    from asr.corpus.manifest import read_manifest
    from asr.evaluation.calibration import calibrate as fit
    from asr.evaluation.calibration import judge
    from asr.transcription.loading import load_model
    from asr.transcription.searching import SearchOptions

    search = SearchOptions(greedy, beam, lm, lm_weight, word_bonus, (), rescore, rescore_weight, rescore_bonus)
    utterances = read_manifest(manifest)
    others = read_manifest(judge_on) if judge_on is not None else []
    recognizer = load_model(model, threads=threads, search=search)
    fit(recognizer, utterances).save(recognizer.model.path)
    if others:
        for name, value in asdict(judge(recognizer, others)).items():
            typer.echo(f"{name}: {value:.3f}" if isinstance(value, float) else f"{name}: {value}")
