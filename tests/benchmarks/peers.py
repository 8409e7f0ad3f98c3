"""Beam decoders that people use, behind one signature: log-probabilities `(T, V)` in, text out.

Each maker raises `ImportError` where its package is absent. Weights are on natural logarithms as in our own
`DecodingConfig`; pruning is each package's default where it has one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.decoding import DecodingConfig, spell
from asr.lm.ngram import NgramModel

Decode = Callable[[NDArray[np.float32]], str]


@dataclass(frozen=True)
class Task:
    """What every decoder is given. Without a language model `model` and `arpa` are None.

    `arpa` is where the model's ARPA file belongs; `written_arpa` writes it there when the first peer asks for it.
    """

    vocabulary: list[str]
    config: DecodingConfig
    model: NgramModel | None = None
    arpa: Path | None = None
    encode: Callable[[str], Sequence[str]] | None = None  # a word to its pieces
    prior: tuple[float, ...] = ()  # what the network expects, measured on the speech that is tuned on

    def written_arpa(self) -> str:
        """The path of the ARPA file. Tens of millions of lines take minutes, which only peers are worth."""
        from asr.lm.arpa import write_arpa

        assert self.model is not None
        assert self.arpa is not None
        if not self.arpa.exists():
            write_arpa(self.model, self.arpa)
        return str(self.arpa)


def ours(task: Task) -> Decode:
    from asr.decoding.beam_search import BeamDecoder

    decoder = BeamDecoder(task.vocabulary, task.config, task.model)
    return lambda log_probs: decoder.decode(log_probs)[0].text


def ours_without_prior(task: Task) -> Decode:
    """With what the network expects taken away in part, which no other decoder does."""
    if task.model is None or not task.prior:
        raise NotImplementedError("needs a language model, and speech to tune on")
    return ours(replace(task, config=replace(task.config, prior=task.prior, prior_weight=0.5)))


def ctc_beam_decoder(task: Task) -> Decode:
    from ctc_beam_decoder import BeamSearchDecoder

    decoder = BeamSearchDecoder(_labels(task), **_kenlm(task))
    return lambda log_probs: decoder.decode(log_probs, beam_width=task.config.beam_size)


def pyctcdecode(task: Task) -> Decode:
    logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
    import pyctcdecode

    decoder = pyctcdecode.build_ctcdecoder(_labels(task), **_kenlm(task))
    return lambda log_probs: decoder.decode(log_probs, beam_width=task.config.beam_size)


def fast_ctc_decode(task: Task) -> Decode:
    from fast_ctc_decode import beam_search

    if task.model is not None:
        raise NotImplementedError("knows no language model")
    cut = min(math.exp(task.config.token_min_logp), 0.9 / len(task.vocabulary))
    pieces = ["", *task.vocabulary[1:]]

    def decode(log_probs: NDArray[np.float32]) -> str:
        text, _ = beam_search(np.exp(log_probs), pieces, beam_size=task.config.beam_size, beam_cut_threshold=cut)
        return str(spell([text], [0]))

    return decode


def flashlight(task: Task) -> Decode:
    """The lexicon decoder, as in torchaudio's `ctc_decoder`; its words are those of the language model."""
    from flashlight.lib.text.decoder import CriterionType, LexiconDecoder, LexiconDecoderOptions, SmearingMode, Trie
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import create_word_dict

    if task.model is None or task.encode is None:
        raise NotImplementedError("its lexicon decoder needs a language model")
    words = task.model.words[3:]
    dictionary = create_word_dict({word: [] for word in [*words, "<unk>"]})
    index = {piece: number for number, piece in enumerate(task.vocabulary)}
    model = KenLM(task.written_arpa(), dictionary)
    separator = index["▁"] if "▁" in index and "▁A" not in index and len(index) < 100 else -1
    trie, start = Trie(len(index), max(separator, 0)), model.start(False)
    for word in words:
        number = dictionary.get_index(word)
        _, score = model.score(start, number)
        pieces = [index[piece] for piece in task.encode(word)]
        trie.insert([*pieces, separator] if separator >= 0 else pieces, number, score)
    trie.smear(SmearingMode.MAX)
    config, log10 = task.config, math.log(10)
    options = LexiconDecoderOptions(
        config.beam_size,
        len(index),
        25.0,
        config.lm_weight * log10,
        config.word_score,
        -math.inf,
        0.0,
        True,
        CriterionType.CTC,
    )
    unknown = dictionary.get_index("<unk>")
    decoder = LexiconDecoder(options, trie, model, separator, 0, unknown, [], False)

    def decode(log_probs: NDArray[np.float32]) -> str:
        emissions = np.ascontiguousarray(log_probs, np.float32)
        found = decoder.decode(emissions.ctypes.data, *emissions.shape)
        return " ".join(dictionary.get_entry(word) for word in found[0].words if word >= 0) if found else ""

    return decode


MAKERS: dict[str, Callable[[Task], Decode]] = {
    "asr": ours,
    "asr less prior": ours_without_prior,
    "ctc-beam-decoder": ctc_beam_decoder,
    "pyctcdecode": pyctcdecode,
    "flashlight-text": flashlight,
    "fast-ctc-decode": fast_ctc_decode,
}


def _labels(task: Task) -> list[str]:
    """The vocabulary as pyctcdecode wants it: an empty blank, and for characters a real space."""
    characters = all(len(piece) == 1 for piece in task.vocabulary[1:])
    return ["", *(" " if characters and piece == "▁" else piece for piece in task.vocabulary[1:])]


def _kenlm(task: Task) -> dict[str, Any]:
    if task.model is None:
        return {}
    return {
        "kenlm_model_path": task.written_arpa(),
        "unigrams": task.model.words[3:],
        "alpha": task.config.lm_weight,
        "beta": task.config.word_score,
    }
