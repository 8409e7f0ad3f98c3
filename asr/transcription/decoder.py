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
from asr.io import write_text
from asr.model.folder import ModelFolder

if TYPE_CHECKING:
    from asr.decoding.beam_search import BeamDecoder
    from asr.decoding.hotwords import Hotword
    from asr.lm.ngram import NgramModel
    from asr.lm.rnn import RecurrentModel
    from asr.model.bundle import SavedModel
    from asr.nn.precision import Arithmetic
    from asr.transcription.confidence import Search


Floats = npt.NDArray[np.float32]


class Decode(Protocol):
    """From views of B utterances, each with natural log-probabilities (T, V) of all, to the best hypothesis of each.

    They are those of phones where the search reads these (`SearchPlan.decodes_phones`). Each view is searched for
    itself, and the best hypothesis of all wins. With `posteriors` it says how probable each word is, where it knows
    others.
    """

    def __call__(self, views: Sequence[Sequence[Floats]], posteriors: bool = False) -> list[Hypothesis]:
        """One hypothesis for each of the B utterances."""


FAST_BEAM = 100
"""Prefixes that a fast search keeps: the knee of the curve of word error rate over time (docs/transcribing.md)."""


@dataclass(frozen=True)
class DecodeOptions:
    """How to search; what is None is the model's own choice.

    A model folder with a language model (`lm.*`) is searched with it, one without greedily. `fast` does so with a
    narrow beam and without rescoring. `lm` is the path of another language model, or "none"; `hotwords` are `WORD`,
    `WORD=BOOST` or `@FILE` with one a line.
    `rescore` is the folder of a recurrent model that rescores the beam's best hypotheses, or "none"; without it that is
    the model's own (`rnn/`), if it has one and `lm` is not "none". `views` of the sound, begun fractions of a step
    apart, share the beam, and the best hypothesis of all wins; a fast search has one unless they are given.
    """

    greedy: bool = False
    fast: bool = False
    beam_size: int | None = None
    views: int | None = None
    lm: str | Path | None = None
    lm_weight: float | None = None
    word_score: float | None = None
    hotwords: Sequence[str] = ()
    rescore: str | Path | None = None
    rescore_weight: float | None = None
    rescore_word_score: float | None = None

    def __post_init__(self) -> None:
        if isinstance(self.hotwords, str):  # a sequence of texts as well: its letters
            raise UsageError(f"hotwords must be a list, not the text {self.hotwords!r}", f"Give [{self.hotwords!r}].")
        models = {self.lm, self.rescore} - {None, "none"}
        weights = {self.lm_weight, self.word_score, self.rescore_weight, self.rescore_word_score}
        numbers = (weights | {self.views, self.beam_size}) - {None}
        rescoring = self.rescore not in (None, "none") or {self.rescore_weight, self.rescore_word_score} != {None}
        if self.fast and (self.greedy or self.beam_size is not None or rescoring):
            raise UsageError(
                f"a fast search is one with a beam of {FAST_BEAM} and no rescoring",
                "Leave out --fast, or --greedy, --beam and all of --rescore.",
            )
        if self.greedy and (models or numbers or self.hotwords):
            raise UsageError(
                "greedy search knows no views, beam, language model, rescoring or hotwords", "Leave --greedy out."
            )

    @property
    def beam(self) -> int | None:
        """Prefixes to keep; None where that is the model's choice."""
        return FAST_BEAM if self.fast else self.beam_size


@dataclass(frozen=True)
class SearchPlan:
    """What `DecodeOptions` come to in a model folder (see `plan_search`)."""

    language_model: Path | None
    rescorer: Path | None
    """The folder of the recurrent model that has the last word."""
    config: DecodingConfig | None
    """Settings of the beam search; None for a greedy one."""
    hotwords: tuple[str, ...]
    calibration: Search | None
    """Which calibration of confidences belongs to it; None where none does: a beam without language model."""

    @property
    def views(self) -> int:
        """How many views of the sound it reads."""
        return 1 if self.config is None else self.config.views

    def decodes_phones(self, model: SavedModel) -> bool:
        """Whether it reads phones: where the network hears them and words are known."""
        return model.lexicon is not None and self.config is not None and self.language_model is not None


def plan_search(folder: Path, options: DecodeOptions | None = None) -> SearchPlan:
    """What to search with in the model folder.

    Raises `UsageError` for weights of a model that there is not, `ModelError` for damaged settings.
    """
    options = options or DecodeOptions()
    path, rescorer = _language_model(folder, options.lm), rescorer_folder(folder, options)
    beam = options.beam_size is not None or options.views is not None or bool(options.hotwords)
    greedy = options.greedy or not (path or rescorer or beam)
    if path is None and (options.lm_weight is not None or (greedy and options.word_score is not None)):
        raise UsageError("there is no language model to weigh", "Name one with --lm.")
    if greedy:
        return SearchPlan(None, None, None, (), "greedy")
    calibration: Search | None = None if path is None else "fast" if options.fast else "beam"
    return SearchPlan(path, rescorer, _config(folder, options, path, rescorer), tuple(options.hotwords), calibration)


def make_decode(
    model: SavedModel, plan: SearchPlan, threads: int | None = None, precision: Arithmetic = "float32"
) -> Decode:
    """The search that is planned, rescoring in `precision`.

    Raises `UsageError` for faulty hotwords, `ModelError` for a faulty language model.
    """
    config, rescorer = plan.config, plan.rescorer
    if config is None:
        return best_path

    from asr.decoding.hotwords import gather_hotwords
    from asr.decoding.rescoring import merge_nbests, rescore_nbest, word_posteriors
    from asr.lm.load import load_language_model

    recurrent = load_rescorer(rescorer, model.tokenizer.vocabulary, precision) if rescorer is not None else None
    language_model = load_language_model(plan.language_model) if plan.language_model is not None else None
    decoder = make_decoder(model, config.of_one_view(), language_model, gather_hotwords(plan.hotwords))

    def decode(views: Sequence[Sequence[Floats]], posteriors: bool = False) -> list[Hypothesis]:
        count = config.nbest if recurrent or posteriors else 1
        nbests, *others = (decoder.decode_many(view, count, threads) for view in views)
        if others:
            nbests = [merge_nbests(lists, count) for lists in zip(nbests, *others, strict=True)]
        if recurrent:
            nbests = rescore_nbest(
                nbests, recurrent, config.rescore_weight, config.rescore_word_score, config.nbest_threshold
            )
        if not posteriors:
            return [best for best, *_ in nbests]
        return [replace(nbest[0], posteriors=tuple(word_posteriors(nbest))) for nbest in nbests]

    return decode


def make_decoder(
    model: SavedModel, config: DecodingConfig, language_model: NgramModel | None, hotwords: Sequence[Hotword] = ()
) -> BeamDecoder:
    """The beam search over what the model writes, or, with a language model, over the phones where it hears them."""
    from asr.decoding.beam_search import BeamDecoder
    from asr.decoding.hotwords import fit_to_alphabet
    from asr.decoding.lexicon_trie import alphabet_of
    from asr.lexicon.phones import VOCABULARY
    from asr.lm.ngram import CONTROL_WORDS

    vocabulary = model.tokenizer.vocabulary
    if model.lexicon is None or language_model is None:
        return BeamDecoder(vocabulary, config, language_model, hotwords)
    hotwords = fit_to_alphabet(hotwords, alphabet_of(vocabulary))
    expected = [word for hotword in hotwords for word in hotword.phrase.split()]
    pronunciations = model.lexicon.lookup([*language_model.words[CONTROL_WORDS:], *expected])
    return BeamDecoder(VOCABULARY, config, language_model, hotwords, pronunciations=pronunciations)


def best_path(views: Sequence[Sequence[Floats]], posteriors: bool = False) -> list[Hypothesis]:
    """Greedy search as a `Decode`; it knows one hypothesis of one view, and nothing of how probable its words are."""
    del posteriors
    return [greedy(log_probs[None], [len(log_probs)])[0] for log_probs in views[0]]


def rescorer_folder(folder: Path, options: DecodeOptions) -> Path | None:
    """The recurrent model that rescores the hypotheses of the model in `folder`, if any.

    Raises `UsageError` for weights of one that there is not.
    """
    own = ModelFolder(folder).rescorer
    rescorer = own if options.lm != "none" and not options.greedy and not options.fast else None
    if options.rescore is not None:
        rescorer = Path(options.rescore) if options.rescore != "none" else None
    if rescorer is None and (options.rescore_weight is not None or options.rescore_word_score is not None):
        raise UsageError("there is no recurrent model to weigh", "Name one with --rescore FOLDER.")
    return rescorer


def load_rescorer(folder: Path, vocabulary: Sequence[str], precision: Arithmetic = "float32") -> RecurrentModel:
    """A recurrent model that rescores what the pieces of `vocabulary` spell, in bfloat16 only where that is fast.

    Raises `ModelError` for a faulty one, and for one that lacks some of their letters: a text that it cannot read
    would otherwise end a run that has long begun.
    """
    import torch

    from asr.decoding.lexicon_trie import alphabet_of
    from asr.lm.rnn import load_recurrent
    from asr.nn.precision import chosen

    rescorer = load_recurrent(folder)
    if unreadable := rescorer.unreadable(alphabet_of(vocabulary)):
        raise ModelError(
            f"the recurrent model {folder} cannot read what the acoustic model writes: {' '.join(unreadable)}",
            "Train it on texts with these letters, with the acoustic model's normalizer.",
        )
    # It stays on the CPU, whatever device the network has.
    dtype = chosen("float32" if precision == "float32" else "auto", torch.device("cpu"))
    return replace(rescorer, dtype=dtype, int8=precision == "int8")


def read_settings(folder: Path) -> DecodingConfig:
    """The settings in a model folder; the defaults where there are none. Raises `ModelError` for damaged ones."""
    path = ModelFolder(folder).decoding
    if not path.is_file():
        return DecodingConfig()
    try:
        return validate(DecodingConfig, json.loads(path.read_text(encoding="utf-8")), str(path))
    except (OSError, ValueError, UsageError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error


def write_settings(folder: Path, config: DecodingConfig) -> None:
    """Keep settings in a model folder, a line each."""
    lines = (f" {json.dumps(key)}: {json.dumps(value)}" for key, value in asdict(config).items())
    write_text(ModelFolder(folder).decoding, "{\n" + ",\n".join(lines) + "\n}\n")


def describe_search(folder: Path, options: DecodeOptions | None = None) -> dict[str, Any]:
    """What is searched with, as plain data for a report."""
    plan = plan_search(folder, options)
    if plan.config is None:
        return {"search": "greedy"}
    settings = asdict(plan.config)
    del settings["rescored_lm_weight"]  # is in lm_weight where it counts
    del settings["prior"]  # hundreds of numbers, which the model's fingerprint stands for
    rescoring = {key: settings.pop(key) for key in ("nbest", "nbest_threshold", "rescore_weight", "rescore_word_score")}
    settings |= {"language_model": str(plan.language_model) if plan.language_model is not None else None}
    settings |= {"hotwords": list(plan.hotwords)}
    if plan.rescorer is not None:
        settings |= {"rescore": str(plan.rescorer), **rescoring}
    elif ModelFolder(folder).rescorer is not None:
        settings["rescore"] = "none"
    return {"search": "beam", **settings}


def _config(folder: Path, options: DecodeOptions, path: Path | None, rescorer: Path | None) -> DecodingConfig:
    names = ("views", "lm_weight", "word_score", "rescore_weight", "rescore_word_score")
    given: dict[str, Any] = {"beam_size": options.beam} | {name: getattr(options, name) for name in names}
    config = read_settings(folder)
    if options.fast:
        config = replace(config, views=1)
    if rescorer is not None:
        config = config.before_rescoring()
    if path is None:
        # All are there to balance a language model.
        config = replace(config, prior=(), prior_weight=0.0, word_score=0.0)
    return replace(config, **{name: value for name, value in given.items() if value is not None})


def _language_model(folder: Path, wanted: str | Path | None) -> Path | None:
    if wanted == "none":
        return None
    if wanted is not None:
        return Path(wanted)
    return ModelFolder(folder).language_model
