"""The beam decoder: log-probabilities in, the best hypotheses out."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asr.decoding.config import DecodingConfig
from asr.decoding.hotwords import Hotword, HotwordStates, build_states, fit_to_alphabet
from asr.decoding.hypothesis import Hypothesis, spell
from asr.decoding.kernels.beam import Limits, search, trace
from asr.decoding.kernels.compiler import COMPILER
from asr.decoding.kernels.fusion import Fusion, Rules
from asr.decoding.lexicon_trie import LexiconTrie, build_trie
from asr.decoding.pieces import BOUNDARY, Pieces, alphabet_of, build_pieces
from asr.decoding.prior import without_prior
from asr.decoding.wording import PronunciationTable, Wording, spell_phrases
from asr.errors import UsageError
from asr.lm.lookup import lookup_arrays
from asr.lm.ngram import CONTROL_WORDS, UNKNOWN_ID
from asr.text.tokenizer import BLANK, WORD_START

if TYPE_CHECKING:
    from asr.lm.ngram import NgramModel


class BeamDecoder:
    """Prefix beam search over one tokenizer's pieces, with or without a language model of words and hotwords.

    `vocabulary` lists the pieces in the order of the model's outputs, `▁` marking where a word begins; the piece
    `blank` is the CTC blank. Pieces spell words as they are written, or by `pronunciations`: then nothing comes out but
    words of the language model and hotwords that have one. Instances hold no state between utterances and may be used
    from several threads.

    Raises `ModelError` when the language model's words need characters that the pieces cannot spell, and `UsageError`
    for such hotwords, for a closed vocabulary or pronunciations without a language model, and for a prior of other
    pieces.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        config: DecodingConfig | None = None,
        language_model: NgramModel | None = None,
        hotwords: Iterable[Hotword] = (),
        blank: int = BLANK,
        pronunciations: PronunciationTable | None = None,
    ) -> None:
        self.vocabulary = list(vocabulary)
        self.blank = blank
        self._model = language_model
        self.reads_phones = pronunciations is not None
        alphabet = alphabet_of(self.vocabulary, blank)
        phrases = fit_to_alphabet(hotwords, alphabet) if pronunciations is None else list(hotwords)
        spelled = phrases if pronunciations is None else spell_phrases(phrases, pronunciations)
        pieces, states = build_pieces(self.vocabulary, alphabet, blank), build_states(spelled, alphabet)
        self._pieces: Pieces = _read_only(pieces)
        self._ngrams = _read_only(lookup_arrays(language_model) if language_model else _no_ngrams())
        expected = _expected(language_model, phrases)
        self._trie: LexiconTrie = _read_only(_build_trie(language_model, expected, alphabet, pronunciations))
        self._wording: Wording | None = None
        if pronunciations is not None and language_model:
            self._wording = Wording(self._trie, alphabet, language_model, phrases, pronunciations)
        self._hotwords: HotwordStates = _read_only(states)
        self._most_earned = _most_earned(pieces, states)
        self._configure(config or DecodingConfig())

    def with_config(self, config: DecodingConfig) -> BeamDecoder:
        """The same decoder searching and weighing by `config`; shares all tables, so it costs nothing."""
        other = copy(self)
        other._configure(config)
        return other

    def _configure(self, config: DecodingConfig) -> None:
        closed = config.closed_vocabulary or self.reads_phones
        if closed and self._model is None:
            raise UsageError("a closed vocabulary needs a language model, whose words it is")
        if config.prior and len(config.prior) != len(self.vocabulary):
            raise UsageError(
                f"the prior is of {len(config.prior)} pieces, the model has {len(self.vocabulary)}",
                "Tune the search again with `asr lm tune`.",
            )
        self.config = config
        self._prior = np.array(config.prior, np.float32)
        rules = _rules(config, closed, self._model, self._trie, self._most_earned)
        self._fusion = Fusion(self._ngrams, self._trie, self._hotwords, rules)
        self._limits = Limits(int(config.beam_size), float(config.token_min_logp), float(config.beam_threshold))

    def decode(self, log_probs: NDArray[np.float32], nbest: int = 1) -> list[Hypothesis]:
        """The best `nbest` hypotheses, each of another text, best first, of `log_probs` `(T, V)`, natural log.

        There may be fewer; without frames there is one empty hypothesis. Raises `ValueError` for another shape or NaN.
        """
        log_probs = np.ascontiguousarray(log_probs, dtype=np.float32)
        if log_probs.ndim != 2 or log_probs.shape[1] != len(self.vocabulary):
            raise ValueError(f"log-probabilities must be (T, {len(self.vocabulary)}), not {log_probs.shape}")
        if np.isnan(log_probs.max(initial=-np.inf)):
            raise ValueError("log-probabilities contain NaN")
        if self.config.prior_weight and len(self._prior) and len(log_probs):
            log_probs = without_prior(log_probs, self._prior, self.config.prior_weight)
        COMPILER.announce()
        acoustic, language, nodes, history = search(log_probs, self.blank, self._pieces, self._fusion, self._limits)
        return [
            self._hypothesis(
                float(acoustic[rank]), float(language[rank]), *_trace(history, int(nodes[rank]), len(log_probs))
            )
            for rank in range(min(nbest, len(nodes)))
        ]

    def decode_batch(
        self, log_probs: NDArray[np.float32], lengths: Sequence[int], nbest: int = 1, threads: int | None = None
    ) -> list[list[Hypothesis]]:
        """`decode` each row of `log_probs` `(B, T, V)`, of which row `b` has `lengths[b]` valid frames, in parallel.

        `threads` is at most the number of cores by default.
        """
        return self.decode_many(
            [row[:length] for row, length in zip(log_probs, lengths, strict=True)], nbest=nbest, threads=threads
        )

    def decode_many(
        self, utterances: Sequence[NDArray[np.float32]], nbest: int = 1, threads: int | None = None
    ) -> list[list[Hypothesis]]:
        """`decode` utterances `(T, V)` of any lengths in parallel; the kernel leaves Python's lock alone."""
        threads = min(threads or os.cpu_count() or 1, len(utterances))
        if threads <= 1:
            return [self.decode(utterance, nbest) for utterance in utterances]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda utterance: self.decode(utterance, nbest), utterances))

    def _hypothesis(self, acoustic: float, language: float, tokens: list[int], frames: list[int]) -> Hypothesis:
        text = spell(self.vocabulary, tokens)
        if self._wording:
            text, whole = self._wording.words(text, self.config.lm_weight)
            if not whole:  # where nothing ends on a whole word the search takes the last one as far as it was heard
                tokens = self._without_last_word(tokens)
        return Hypothesis(
            tokens=tuple(tokens),
            frames=tuple(frames[: len(tokens)]),
            score=acoustic + language,
            acoustic=acoustic,
            language=language,
            text=text,
        )

    def _without_last_word(self, tokens: list[int]) -> list[int]:
        begins = [number for number, token in enumerate(tokens) if self.vocabulary[token].startswith(WORD_START)]
        return tokens[: begins[-1]] if begins else []


def _trace(history: NDArray[np.int32], node: int, frames: int) -> tuple[list[int], list[int]]:
    """The tokens that lead to `node` and the frames in which they begin; no more than one token begins in a frame."""
    path = np.empty((2, frames), np.int32)
    begin = trace(history, node, path[0], path[1])
    return path[0, begin:].tolist(), path[1, begin:].tolist()


def _rules(
    config: DecodingConfig, closed: bool, model: NgramModel | None, lexicon: LexiconTrie, most_earned: float
) -> Rules:
    weight, bonus = float(config.lm_weight), float(config.word_score)
    unknown = float(weight * model.log_prob[1 + UNKNOWN_ID] + config.unk_score) if model else 0.0
    best_word = max(unknown, weight * float(lexicon.best[0])) if model else 0.0
    return Rules(
        has_model=model is not None,
        closed=closed,
        end_of_sentence=bool(config.end_of_sentence),
        begin_state=model.begin_state() if model else 0,
        weight=weight,
        word_score=bonus,
        unk_score=float(config.unk_score),
        unk_char_score=float(config.unk_char_score),
        unk_lookahead=unknown,
        new_word_gain=max(0.0, bonus + best_word),
        hotword_gain=most_earned,
    )


def _expected(model: NgramModel | None, hotwords: Sequence[Hotword]) -> list[str]:
    """The words of the hotwords that the model lacks."""
    if model is None:
        return []
    return sorted({word for hotword in hotwords for word in hotword.phrase.split()} - model.vocabulary.keys())


def _build_trie(
    model: NgramModel | None,
    expected: Sequence[str],
    alphabet: Sequence[str],
    pronunciations: PronunciationTable | None,
) -> LexiconTrie:
    """The words that are known: those of the model, then the `expected`, which the model sees as `<unk>`."""
    if model is None:
        return build_trie([], [], np.zeros(0, np.float32), alphabet)
    words = [*model.words[CONTROL_WORDS:], *expected]
    ids = np.array([*range(CONTROL_WORDS, len(model.words)), *([UNKNOWN_ID] * len(expected))], np.int64)
    if pronunciations is not None:
        ways = [pronunciations.get(word, ()) for word in words]
        words, ids = list(chain.from_iterable(ways)), np.repeat(ids, list(map(len, ways)))
    return build_trie(words, ids, model.log_prob[1 + ids], alphabet)


def _most_earned(pieces: Pieces, states: HotwordStates) -> float:
    """The most that one piece can add to the score by hotwords; no bound where a piece may end a word and go on."""
    for start, end in zip(pieces.start[1].tolist(), pieces.end.tolist(), strict=True):
        if BOUNDARY in pieces.letters[start:end]:
            return math.inf
    step = (states.earned + states.held)[states.next] - states.held[:, None]
    return float(max(0.0, step.max()) * (pieces.end - pieces.start[0]).max())


def _no_ngrams() -> tuple[NDArray[Any], ...]:
    """The arrays of a model without words, of the types of `lookup_arrays`."""
    ints, floats = np.zeros(1, np.int32), np.zeros(1, np.float32)
    return ints, floats, floats, ints, ints, ints


def _read_only(arrays: Any) -> Any:
    """The same tuple with arrays that cannot be written: one type for the compiler, mapped from a file or not."""
    views = [np.ascontiguousarray(array).view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return type(arrays)(*views) if hasattr(arrays, "_fields") else tuple(views)
