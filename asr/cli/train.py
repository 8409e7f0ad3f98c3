"""`asr train`: from a configuration to a model, whatever its task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from asr.errors import UsageError


def train(
    config: Annotated[Path, typer.Argument(help="YAML file of the experiment.", metavar="CONFIG.yaml")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings that replace the file's.", metavar="key.sub=value")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in the output folder stopped.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print configuration, data, sizes and expected time; train nothing.")
    ] = False,
    overfit: Annotated[
        int | None,
        typer.Option("--overfit", metavar="N", help="Learn N utterances by heart, to prove that all works.", min=1),
    ] = None,
) -> None:
    """Train what the configuration's `task` says: acoustic (default), rnn_lm, g2p or punctuation."""
    if dry_run and overfit:
        raise UsageError("--dry-run trains nothing, and --overfit learns by heart", "Give one of them.")

    from asr.training import run

    experiment = run.read_experiment(config, overrides or [])
    if dry_run:
        for line in run.dry_run(experiment):
            typer.echo(line)
    elif overfit:
        wer, updates = run.overfit(experiment, overfit)
        typer.echo(f"{overfit} utterances after {updates} updates: WER {wer:.1%}")
        if wer > 0:
            raise typer.Exit(1)
    else:
        run.run_task(experiment, resume)
        typer.echo(experiment.output / "best")
