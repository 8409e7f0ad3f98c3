"""`asr lm tune`: how much the language models weigh, chosen on a development set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from asr.cli.options import AnyDevice, Beam, Fast, ModelFolder, Quiet, Rescore, Threads, Views
from asr.errors import UsageError


def tune(
    model: ModelFolder,
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="A development set, never the test set.")],
    lm: Annotated[Path, typer.Option("--lm", metavar="LM", help="Language model of words.", show_default=False)],
    rescore: Rescore = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for tuning.json, the picture and the emissions.")
    ] = None,
    utterances: Annotated[
        int | None, typer.Option(metavar="N", help="Tune on so many, evenly spread (default: all).", min=1)
    ] = None,
    fast: Fast = False,
    beam: Beam = None,
    views: Views = None,
    threshold: Annotated[
        float | None,
        typer.Option("--token-min-logp", help="Log-probability below which a piece is not tried.", show_default=False),
    ] = None,
    nbest: Annotated[
        int | None,
        typer.Option(metavar="N", help="Hypotheses that the recurrent model rescores.", min=1, show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Leave the model folder as it is.")] = False,
    device: AnyDevice = "auto",
    threads: Threads = None,
    quiet: Quiet = False,
) -> None:
    """Search language model weight, word bonus and the prior's weight for the lowest word error rate.

    With a recurrent model (--rescore), its weight and bonus follow, on the best hypotheses under the best settings.
    Where there are several views, all is tuned on the first of them. The best settings go into the model folder, with
    the language models that they were tuned for, so that `asr transcribe -m` needs nothing more. Of the bundled model
    a copy is made, -o/model.
    The folder -o (default reports/<model>-<manifest>-tuning) gets tuning.json and heat_map.svg; the network's output
    is kept there too, so that tuning again, with another language model, only decodes.
    """
    from dataclasses import asdict, replace

    from asr.cli.progress import shown
    from asr.corpus.manifest import read_manifest
    from asr.decoding import DecodingConfig
    from asr.evaluation.emissions import evenly, manifest_emissions
    from asr.evaluation.evaluate import model_name
    from asr.evaluation.tuning import (
        BONUSES,
        NGRAM_SHARES,
        WEIGHTS,
        describe_tuning,
        draw_heat_map,
        prior_of,
        settings_count,
        tune_rescoring,
    )
    from asr.evaluation.tuning import tune as search
    from asr.io import write_text
    from asr.lm.load import load_language_model
    from asr.model.folder import ModelFolder, model_folder
    from asr.transcription.decoder import (
        DecodeOptions,
        load_rescorer,
        make_decoder,
        read_settings,
        rescorer_folder,
        write_settings,
    )
    from asr.transcription.recognizer import load_acoustic_model

    options = DecodeOptions(fast=fast, beam_size=beam, views=views, rescore=rescore)
    count = len(read_manifest(manifest))
    bundled = ModelFolder(model_folder(model)).is_bundled and not dry_run
    if bundled and out is None:
        raise UsageError(
            "the bundled model is not rewritten", "Give -o FOLDER: a tuned copy of the model will be FOLDER/model."
        )
    language_model = load_language_model(lm)
    recognizer = load_acoustic_model(model, device=device, threads=threads)
    saved = recognizer.model
    before = read_settings(saved.path)
    rescorer = rescorer_folder(saved.path, options)
    recurrent = load_rescorer(rescorer, saved.tokenizer.vocabulary) if rescorer is not None else None
    given: dict[str, Any] = {"beam_size": options.beam, "views": views, "token_min_logp": threshold, "nbest": nbest}
    settings = {name: value for name, value in given.items() if value is not None}
    # What is tuned begins afresh; what is neither given nor tuned stays as it was.
    settings |= {name: getattr(DecodingConfig, name) for name in ("unk_score", "unk_char_score")}
    folder = out or Path("reports") / f"{model_name(saved.path.resolve())}-{manifest.stem}-tuning"
    with shown(count, quiet) as advance:
        examples = manifest_emissions(recognizer, manifest, folder / "emissions.npz", advance)
    examples = evenly(examples, utterances) if utterances else examples
    # What a prior corrects is in the loss of CTC-CRF.
    settings["prior"] = () if saved.phone_ngram is not None else prior_of(examples)
    wanted = replace(before, **settings)
    decoder = make_decoder(saved, wanted.of_one_view(), language_model)
    with shown(settings_count(WEIGHTS, BONUSES), quiet) as advance:
        tuning = search(examples, decoder, threads=threads, on_progress=advance)
    best, rescored = tuning.best, None
    if recurrent is not None:
        decoder = decoder.with_config(best)
        chunks = sum(len(each.chunks) for each in examples)
        with shown(len(NGRAM_SHARES) * chunks, quiet) as advance:
            rescored = tune_rescoring(examples, decoder, recurrent, threads=threads, on_progress=advance)
        best = rescored.best
    best = replace(best, beam_size=wanted.beam_size, views=wanted.views)

    description = {"model": str(saved.path), "manifest": str(manifest), "lm": str(lm), **describe_tuning(tuning)}
    description |= {"greedy_wer": tuning.greedy_wer, "best": asdict(best)}
    if rescored is not None:
        description |= {"rescore": str(rescorer), "rescoring": describe_tuning(rescored)}
    write_text(folder / "tuning.json", json.dumps(description, indent=1) + "\n")
    draw_heat_map(tuning, folder / "heat_map.svg")
    tuned = saved.folder.copy_to(folder / "model") if bundled else saved.folder
    if not dry_run:
        tuned.install(lm, rescorer)
        write_settings(tuned.path, best)
    if not quiet:
        greedy = f"{100 * tuning.greedy_wer:.2f} % greedy, " if tuning.greedy_wer is not None else ""
        print(f"WER {greedy}{100 * tuning.best_wer:.2f} % with {lm.name}")
        print(f"weight {best.lm_weight:g}, bonus {best.word_score:g}, prior {best.prior_weight:g}, ", end="")
        print(f"unknown word {best.unk_score:g} and {best.unk_char_score:g} a letter; ", end="")
        print(f"picture in {folder / 'heat_map.svg'}")
        if rescored is not None:
            print(f"WER {100 * rescored.best_wer:.2f} % rescored with {rescorer}: ", end="")
            print(f"weight {best.rescore_weight:g}, bonus {best.rescore_word_score:g}, ", end="")
            print(f"beside {lm.name} at {best.before_rescoring().lm_weight:g}")
        if not dry_run:
            print(f"settings written to {tuned.decoding}")
