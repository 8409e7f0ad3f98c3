"""Which search reads the network's output: greedy, or a beam with language models and hotwords."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from asr.config import validate
from asr.decoding import DecodingConfig, Hypothesis, greedy
from asr.errors import ModelError, UsageError
from asr.files import write_text

if TYPE_CHECKING:
    from asr.decoding.beam import BeamDecoder
    from asr.decoding.hotwords import Hotword
    from asr.language.ngram import NgramModel
    from asr.language.recurrent import RecurrentModel
    from asr.model.saved import SavedModel


class Decode(Protocol):
    """From log-probabilities (B, T, V), natural log, and the valid steps of each to its best reading.

    They are those of phones where the search `reads_phones`. With `posteriors` a search that knows other readings says
    how probable each word is.
    """

    def __call__(
        self, log_probs: npt.NDArray[np.float32], lengths: list[int], posteriors: bool = False
    ) -> list[Hypothesis]:
        """One reading for each of the B rows."""


SETTINGS = "decoding.json"
"""In a model folder: the beam's settings, tuned for the model and its language models (`DecodingConfig`'s fields)."""

RECURRENT = "rnn"
"""In a model folder: the recurrent language model that judges the best readings, a folder."""


@dataclass(frozen=True)
class SearchOptions:
    """How to search; what is None is the model's own choice.

    A model folder with a language model (`lm.*`) is searched with it, one without greedily. `lm` is the path of
    another language model, or "none"; `hotwords` are `WORD`, `WORD=BOOST` or `@FILE` with one a line.
    `rescore` is the folder of a recurrent model that judges the beam's best readings, or "none"; without it that is
    the model's own (`rnn/`), if it has one and `lm` is not "none".
    """

    greedy: bool = False
    beam: int | None = None
    lm: str | Path | None = None
    lm_weight: float | None = None
    word_bonus: float | None = None
    hotwords: Sequence[str] = ()
    rescore: str | Path | None = None
    rescore_weight: float | None = None
    rescore_bonus: float | None = None

    def __post_init__(self) -> None:
        models = {self.lm, self.rescore} - {None, "none"}
        numbers = {self.beam, self.lm_weight, self.word_bonus, self.rescore_weight, self.rescore_bonus} - {None}
        if self.greedy and (models or numbers or self.hotwords):
            raise UsageError(
                "greedy search knows no beam, language model, rescoring or hotwords", "Leave --greedy out."
            )


def reads_phones(model: SavedModel, options: SearchOptions | None = None) -> bool:
    """Whether the search that `options` ask for reads phones: where the network hears them and words are known."""
    options = options or SearchOptions()
    return (
        model.pronunciations is not None and not options.greedy and _language_model(model.path, options.lm) is not None
    )


def make_decode(model: SavedModel, options: SearchOptions | None = None, threads: int | None = None) -> Decode:
    """The search that `options` ask for. Raises `UsageError`, or `ModelError` for a faulty language model."""
    options = options or SearchOptions()
    path, judge = _models(model.path, options)
    if _is_greedy(options, path, judge):
        return best_path

    from asr.decoding.hotwords import gather_hotwords
    from asr.decoding.posteriors import word_posteriors
    from asr.decoding.rescoring import rescore_nbest
    from asr.language.load import load_language_model

    config = _config(model.path, options)
    recurrent = load_judge(judge, model.tokenizer.vocabulary) if judge is not None else None
    language_model = load_language_model(path) if path is not None else None
    decoder = make_decoder(model, config, language_model, gather_hotwords(options.hotwords))

    def decode(log_probs: npt.NDArray[np.float32], lengths: list[int], posteriors: bool = False) -> list[Hypothesis]:
        nbests = decoder.decode_batch(log_probs, lengths, config.nbest if recurrent or posteriors else 1, threads)
        if recurrent:
            nbests = rescore_nbest(nbests, recurrent, config.rescore_weight, config.rescore_bonus)
        if not posteriors:
            return [best for best, *_ in nbests]
        return [replace(nbest[0], posteriors=tuple(word_posteriors(nbest))) for nbest in nbests]

    return decode


def make_decoder(
    model: SavedModel, config: DecodingConfig, language_model: NgramModel | None, hotwords: Sequence[Hotword] = ()
) -> BeamDecoder:
    """The beam search over what the model writes, or, with a language model, over the phones where it hears them."""
    from asr.decoding.beam import BeamDecoder
    from asr.decoding.hotwords import fit_to_alphabet
    from asr.decoding.pieces import alphabet_of
    from asr.language.ngram import CONTROL_WORDS
    from asr.pronunciation.phones import VOCABULARY

    vocabulary = model.tokenizer.vocabulary
    if model.pronunciations is None or language_model is None:
        return BeamDecoder(vocabulary, config, language_model, hotwords)
    hotwords = fit_to_alphabet(hotwords, alphabet_of(vocabulary))
    expected = [word for hotword in hotwords for word in hotword.phrase.split()]
    spellings = model.pronunciations.of([*language_model.words[CONTROL_WORDS:], *expected])
    return BeamDecoder(VOCABULARY, config, language_model, hotwords, spellings=spellings)


def best_path(log_probs: npt.NDArray[np.float32], lengths: list[int], posteriors: bool = False) -> list[Hypothesis]:
    """Greedy search as a `Decode`; it knows one reading only, and nothing of how probable its words are."""
    del posteriors
    return greedy(log_probs, lengths)


def recurrent_model(folder: Path, options: SearchOptions) -> Path | None:
    """The recurrent model that judges the readings of the model in `folder`, if any.

    Raises `UsageError` for weights of one that there is not.
    """
    own = folder / RECURRENT
    judge: Path | None = own if own.is_dir() and options.lm != "none" and not options.greedy else None
    if options.rescore is not None:
        judge = Path(options.rescore) if options.rescore != "none" else None
    if judge is None and (options.rescore_weight is not None or options.rescore_bonus is not None):
        raise UsageError("there is no recurrent model to weigh", "Name one with --rescore FOLDER.")
    return judge


def load_judge(folder: Path, vocabulary: Sequence[str]) -> RecurrentModel:
    """A recurrent model that judges what the pieces of `vocabulary` spell.

    Raises `ModelError` for a faulty one, and for one that lacks some of their letters: a text that it cannot read
    would otherwise end a run that has long begun.
    """
    from asr.decoding.pieces import alphabet_of
    from asr.language.recurrent import load_recurrent

    judge = load_recurrent(folder)
    if unreadable := judge.unreadable(alphabet_of(vocabulary)):
        raise ModelError(
            f"the recurrent model {folder} cannot read what the acoustic model writes: {' '.join(unreadable)}",
            "Train it on texts with these letters, with the acoustic model's normaliser.",
        )
    return judge


def read_settings(folder: Path) -> DecodingConfig:
    """The settings in a model folder; the defaults where there are none. Raises `ModelError` for damaged ones."""
    path = folder / SETTINGS
    if not path.is_file():
        return DecodingConfig()
    try:
        return validate(DecodingConfig, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, UsageError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error


def write_settings(folder: Path, config: DecodingConfig) -> None:
    """Keep settings in a model folder, a line each."""
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in asdict(config).items())
    write_text(folder / SETTINGS, "{\n" + ",\n".join(lines) + "\n}\n")


def describe_search(folder: Path, options: SearchOptions | None = None) -> dict[str, Any]:
    """What `make_decode` would search with, as plain data for a report."""
    options = options or SearchOptions()
    path, judge = _models(folder, options)
    if _is_greedy(options, path, judge):
        return {"search": "greedy"}
    settings = asdict(_config(folder, options))
    del settings["prior"]  # hundreds of numbers, which the model's fingerprint stands for
    judging = {key: settings.pop(key) for key in ("nbest", "rescore_weight", "rescore_bonus")}
    settings |= {"language_model": str(path) if path is not None else None, "hotwords": list(options.hotwords)}
    if judge is not None:
        settings |= {"rescore": str(judge), **judging}
    elif (folder / RECURRENT).is_dir():
        settings["rescore"] = "none"
    return {"search": "beam", **settings}


def _models(folder: Path, options: SearchOptions) -> tuple[Path | None, Path | None]:
    """The language model and the recurrent one. Raises `UsageError` for weights of one that there is not."""
    path, judge = _language_model(folder, options.lm), recurrent_model(folder, options)
    bonus = options.word_bonus if _is_greedy(options, path, judge) else None
    if path is None and (options.lm_weight is not None or bonus is not None):
        raise UsageError("there is no language model to weigh", "Name one with --lm.")
    return path, judge


def _is_greedy(options: SearchOptions, *models: Path | None) -> bool:
    return options.greedy or (not any(models) and options.beam is None and not options.hotwords)


def _config(folder: Path, options: SearchOptions) -> DecodingConfig:
    names = ("beam", "lm_weight", "word_bonus", "rescore_weight", "rescore_bonus")
    given: dict[str, Any] = {name: getattr(options, name) for name in names}
    config = read_settings(folder)
    if _language_model(folder, options.lm) is None:
        # All are there to balance a language model.
        config = replace(config, prior=(), prior_weight=0.0, word_bonus=0.0)
    return replace(config, **{name: value for name, value in given.items() if value is not None})


def _language_model(folder: Path, wanted: str | Path | None) -> Path | None:
    if wanted == "none":
        return None
    if wanted is not None:
        return Path(wanted)
    return next(iter(sorted(folder.glob("lm.*"))), None)
