"""`asr lm`: language models from plain text."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr.cli import lm_tune
from asr.errors import UsageError

if TYPE_CHECKING:
    from asr.lm.ngram import NgramModel

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command()(lm_tune.tune)

Texts = Annotated[
    list[Path],
    typer.Argument(
        metavar="TEXT", help="A sentence a line; plain, .gz or .bz2, or a manifest (.jsonl).", show_default=False
    ),
]
Outputs = Annotated[
    list[Path],
    typer.Option(
        "-o", "--out", metavar="LM", help="File to write; .arpa, .arpa.gz: ARPA. Repeatable.", show_default=False
    ),
]
Normalizer = Annotated[str, typer.Option("--normalizer", help="How texts are written: none, librispeech or ljspeech.")]
Threshold = Annotated[
    float | None,
    typer.Option("--prune", metavar="X", help="Leave out n-grams that raise the perplexity by less than this share."),
]
Size = Annotated[
    str | None, typer.Option("--size", metavar="SIZE", help="Prune until the binary form fits, for example 25MB.")
]
Model = Annotated[Path, typer.Argument(metavar="LM", help="A language model.", show_default=False)]


@app.callback()
def lm() -> None:
    """Language models: train, measure, tune, sample."""


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
    seed: Annotated[int, typer.Option("--seed", help="The same seed writes the same.")] = 1,
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
