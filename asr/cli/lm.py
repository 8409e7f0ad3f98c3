"""`asr lm`: language models from plain text."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asr.cli.help import GroupedCommand
from asr.cli.options import OF_MODEL, AnyDevice, Beam, Fast, ModelFolder, Quiet, Rescore, Threads, Views
from asr.cli.progress import shown
from asr.errors import UsageError

if TYPE_CHECKING:
    from asr.lm.ngram import NgramModel

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Texts = Annotated[
    list[Path],
    typer.Argument(metavar="TEXT", help="A sentence a line; plain, .gz or .bz2, or a manifest (.jsonl)."),
]
Outputs = Annotated[
    list[Path],
    typer.Option("-o", "--out", metavar="LM", help="File to write; .arpa, .arpa.gz: ARPA. Repeatable.", dir_okay=False),
]
Normalizer = Annotated[str, typer.Option("--normalizer", help="How texts are written: none, librispeech or ljspeech.")]
Threshold = Annotated[
    float | None,
    typer.Option("--prune", metavar="X", help="Leave out n-grams that raise the perplexity by less than this share."),
]
Size = Annotated[
    str | None, typer.Option("--size", metavar="SIZE", help="Prune until the binary form fits, for example 25MB.")
]
Model = Annotated[Path, typer.Argument(metavar="LM", help="A language model.")]


@app.command()
def train(
    texts: Texts,
    out: Outputs,
    order: Annotated[int, typer.Option("--order", help="Words in the longest n-grams, 1 to 6.")] = 3,
    vocabulary: Annotated[
        str | None,
        typer.Option(
            "--vocabulary", metavar="N|FILE", help="The N most frequent words, or those of a file (default: all)."
        ),
    ] = None,
    cutoffs: Annotated[
        str,
        typer.Option(
            "--cutoffs", metavar="2,3,…", help="Leave out n-grams seen so often or less, from order 2; + as for texts."
        ),
    ] = "",
    threshold: Threshold = None,
    size: Size = None,
    weights: Annotated[
        str, typer.Option("--weights", metavar="A,B,…", help="What each side of a + counts; they sum to one.")
    ] = "",
    weights_for: Annotated[
        list[Path] | None,
        typer.Option("--weights-for", metavar="TEXT", help="Or: find the weights that foretell this text best."),
    ] = None,
    normalizer: Normalizer = "librispeech",
    rnn: Annotated[bool, typer.Option("--rnn", hidden=True)] = False,
    validation: Annotated[list[Path] | None, typer.Option("--validation", hidden=True)] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", hidden=True)] = None,
    resume: Annotated[bool, typer.Option("--resume", hidden=True)] = False,
) -> None:
    """Train an n-gram model with interpolated modified Kneser-Ney smoothing.

    A lone + between texts parts them into kinds: each gives an n-gram model, and these are interpolated.
    """
    if rnn or validation or settings or resume:
        lists = [("train", texts)] + ([("validation", validation)] if validation else [])
        named = [f"{name}=[{', '.join(map(str, paths))}]" for name, paths in lists]
        command = ["asr", "train", "CONFIG.yaml", *named, f"output={out[0]}", *(settings or [])]
        raise UsageError(
            "recurrent language models are trained by `asr train`",
            f"With `task: rnn_lm` in CONFIG.yaml: {shlex.join(command)}{' --resume' if resume else ''}",
        )
    from asr.lm.build import NgramConfig, build_ngram, parse_cutoffs, parse_size, parse_vocabulary, parse_weights

    most, words = parse_vocabulary(vocabulary, normalizer)
    config = NgramConfig(
        order=order,
        vocabulary=most,
        cutoffs=parse_cutoffs(cutoffs),
        threshold=threshold,
        size=parse_size(size) if size else None,
        words=words,
        weights=parse_weights(weights),
        weights_for=weights_for or [],
    )
    _write(build_ngram(_sources(texts), config, normalizer, note=_note), out)


@app.command()
def convert(model: Model, out: Outputs, threshold: Threshold = None, size: Size = None) -> None:
    """Turn a model of any toolkit (ARPA) into the binary form, or back, and prune it on the way."""
    from asr.lm.build import describe_ngrams, parse_size, shrink
    from asr.lm.load import load_language_model

    loaded = load_language_model(model)
    _note(describe_ngrams(loaded))
    _write(shrink(loaded, threshold, parse_size(size) if size else None, note=_note), out)


@app.command()
def perplexity(model: Model, texts: Texts, normalizer: Normalizer = "librispeech") -> None:
    """Measure how well a language model foretells a text."""
    from asr.lm.text import read_sentences
    from asr.text.normalize import get_normalizer

    normalize = get_normalizer(normalizer)
    if model.is_dir():
        from asr.lm.rnn import load_recurrent, word_perplexity

        recurrent = load_recurrent(model)
        sentences = [sentence for path in texts for sentence in read_sentences(path, normalize)]
        words = sum(len(sentence.split()) for sentence in sentences)
        typer.echo(f"{len(sentences):,} sentences, {words:,} words")
        typer.echo(f"perplexity {word_perplexity(recurrent.rescore(sentences), sentences):.2f} per word")
        return
    from asr.lm.load import load_language_model
    from asr.lm.perplexity import measure

    ngrams = load_language_model(model)
    result = measure(ngrams, (sentence for path in texts for sentence in read_sentences(path, normalize)))
    typer.echo(f"{result.sentences:,} sentences, {result.words:,} words, {result.unknown_rate:.2%} unknown")
    typer.echo(f"perplexity {result.perplexity:.2f}, with unknown words {result.perplexity_with_unknown:.2f}")


@app.command()
def sample(
    model: Model,
    count: Annotated[int, typer.Option("-n", "--count", help="How many sentences.")] = 5,
    seed: Annotated[int, typer.Option("--seed", help="The same seed writes the same.", min=0)] = 1,
    temperature: Annotated[float, typer.Option("--temperature", min=0.01, help="Below 1: likelier words.")] = 1.0,
) -> None:
    """Let a language model write sentences."""
    if model.is_dir():
        import torch

        from asr.lm.rnn import load_recurrent

        recurrent, generator = load_recurrent(model), torch.Generator().manual_seed(seed)
        for _ in range(count):
            typer.echo(recurrent.sample(generator, temperature))
        return
    import numpy as np

    from asr.lm.load import load_language_model
    from asr.lm.ngram import sample_sentence

    loaded, random = load_language_model(model), np.random.default_rng(seed)
    for _ in range(count):
        typer.echo(sample_sentence(loaded, random, temperature))


@app.command(cls=GroupedCommand)
def tune(
    model: ModelFolder,
    manifest: Annotated[Path, typer.Argument(metavar="MANIFEST", help="A development set, never the test set.")],
    lm: Annotated[Path, typer.Option("--lm", metavar="LM", help="Language model of words.")],
    rescore: Rescore = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for tuning.json, the picture and the emissions.")
    ] = None,
    utterances: Annotated[
        int | None, typer.Option(metavar="N", help="Tune on so many, evenly spread.", min=1, show_default="all")
    ] = None,
    fast: Fast = False,
    beam: Beam = None,
    views: Views = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--token-min-logp",
            metavar="X",
            help="Log-probability below which a piece is not tried.",
            show_default=OF_MODEL,
        ),
    ] = None,
    nbest: Annotated[
        int | None,
        typer.Option(metavar="N", help="Hypotheses that the recurrent model rescores.", min=1, show_default=OF_MODEL),
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
    from asr.corpus.manifest import read_manifest
    from asr.decoding import DecodingConfig
    from asr.evaluation import tuning
    from asr.evaluation.decode import evenly, manifest_emissions
    from asr.evaluation.evaluate import model_name
    from asr.io import write_text
    from asr.lm.load import load_language_model
    from asr.model.folder import ModelFolder, model_folder
    from asr.transcription import decoder as search
    from asr.transcription.recognizer import load_acoustic_model

    options = search.DecodeOptions(fast=fast, beam_size=beam, views=views, rescore=rescore)
    count = len(read_manifest(manifest))
    bundled = ModelFolder(model_folder(model)).is_bundled and not dry_run
    if bundled and out is None:
        raise UsageError(
            "the bundled model is not rewritten", "Give -o FOLDER: a tuned copy of the model will be FOLDER/model."
        )
    language_model = load_language_model(lm)
    recognizer = load_acoustic_model(model, device=device, threads=threads)
    saved = recognizer.model
    before = search.read_settings(saved.path)
    rescorer = search.rescorer_folder(saved.path, options)
    recurrent = search.load_rescorer(rescorer, saved.tokenizer.vocabulary) if rescorer is not None else None
    given: dict[str, Any] = {"beam_size": options.beam, "views": views, "token_min_logp": threshold, "nbest": nbest}
    settings = {name: value for name, value in given.items() if value is not None}
    # What is tuned begins afresh; what is neither given nor tuned stays as it was.
    settings |= {name: getattr(DecodingConfig, name) for name in ("unk_score", "unk_char_score")}
    folder = out or Path("reports") / f"{model_name(saved.path.resolve())}-{manifest.stem}-tuning"
    with shown(count, quiet) as advance:
        examples = manifest_emissions(recognizer, manifest, folder / "emissions.npz", advance)
    examples = evenly(examples, utterances) if utterances else examples
    # What a prior corrects is in the loss of CTC-CRF.
    settings["prior"] = () if saved.phone_ngram is not None else tuning.prior_of(examples)
    wanted = replace(before, **settings)
    decoder = search.make_decoder(saved, wanted.of_one_view(), language_model)
    with shown(tuning.settings_count(tuning.WEIGHTS, tuning.BONUSES), quiet) as advance:
        tuned = tuning.tune(examples, decoder, threads=threads, on_progress=advance)
    best, rescored = tuned.best, None
    if recurrent is not None:
        decoder = decoder.with_config(best)
        chunks = sum(len(each.chunks) for each in examples)
        with shown(len(tuning.NGRAM_SHARES) * chunks, quiet) as advance:
            rescored = tuning.tune_rescoring(examples, decoder, recurrent, threads=threads, on_progress=advance)
        best = rescored.best
    best = replace(best, beam_size=wanted.beam_size, views=wanted.views)

    description = {"model": str(saved.path), "manifest": str(manifest), "lm": str(lm), **tuning.describe_tuning(tuned)}
    description |= {"greedy_wer": tuned.greedy_wer, "best": asdict(best)}
    if rescored is not None:
        description |= {"rescore": str(rescorer), "rescoring": tuning.describe_tuning(rescored)}
    write_text(folder / "tuning.json", json.dumps(description, indent=1) + "\n")
    tuning.draw_heat_map(tuned, folder / "heat_map.svg")
    target = saved.folder.copy_to(folder / "model") if bundled else saved.folder
    if not dry_run:
        target.install(lm, rescorer)
        search.write_settings(target.path, best)
    if not quiet:
        greedy = f"{100 * tuned.greedy_wer:.2f} % greedy, " if tuned.greedy_wer is not None else ""
        print(f"WER {greedy}{100 * tuned.best_wer:.2f} % with {lm.name}")
        print(f"weight {best.lm_weight:g}, bonus {best.word_score:g}, prior {best.prior_weight:g}, ", end="")
        print(f"unknown word {best.unk_score:g} and {best.unk_char_score:g} a letter; ", end="")
        print(f"picture in {folder / 'heat_map.svg'}")
        if rescored is not None:
            print(f"WER {100 * rescored.best_wer:.2f} % rescored with {rescorer}: ", end="")
            print(f"weight {best.rescore_weight:g}, bonus {best.rescore_word_score:g}, ", end="")
            print(f"beside {lm.name} at {best.before_rescoring().lm_weight:g}")
        if not dry_run:
            print(f"settings written to {target.decoding}")


def _sources(texts: list[Path]) -> list[list[Path]]:
    """The texts between one lone + and the next."""
    sources: list[list[Path]] = [[]]
    for text in texts:
        if str(text) == "+":
            sources.append([])
        else:
            sources[-1].append(text)
    if not all(sources):
        raise UsageError("a + stands between texts")
    return sources


def _write(model: NgramModel, paths: list[Path]) -> None:
    from asr.lm.build import write_model

    for path in paths:
        write_model(model, path)
        _note(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


def _note(text: str) -> None:
    typer.echo(text, err=True)
