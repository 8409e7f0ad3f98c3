"""The beam decoder: log-probabilities in, the best hypotheses out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from asr.decoding.config import DecodingConfig
from asr.decoding.greedy import Hypothesis, spell
from asr.decoding.hotwords import Hotword, HotwordStates, PronunciationTable, build_states, fit_to_alphabet
from asr.decoding.kernels import COMPILER
from asr.decoding.kernels.beam import Limits, search, trace
from asr.decoding.kernels.fusion import Fusion, Memo, Rules
from asr.decoding.kernels.look_ahead import LookAhead, build_look_ahead
from asr.decoding.lexicon_trie import BOUNDARY, LexiconTrie, Pieces, alphabet_of, build_pieces, build_trie
from asr.errors import UsageError
from asr.lm.lookup import Ngrams, lookup_arrays, read_only
from asr.lm.ngram import CONTROL_WORDS, UNKNOWN_ID
from asr.nn.machine import processors
from asr.text.tokenizer import WORD_START

if TYPE_CHECKING:
    from asr.lm.ngram import NgramModel


class BeamDecoder:
    """Prefix beam search over one tokenizer's pieces, with or without a language model of words and hotwords.

    `vocabulary` lists the pieces in the order of the model's outputs, `▁` marking where a word begins; the first
    is the CTC blank. Pieces spell words as they are written, or, as phones, by `pronunciations`: then nothing
    comes out but words of the language model and hotwords that have one, and of those that sound alike each is a
    hypothesis of its own. Instances hold no state between utterances and may be used from several threads.

    Raises `ModelError` when the language model's words need characters that the pieces cannot spell, and `UsageError`
    for such hotwords, for a closed vocabulary or pronunciations without a language model, for phones with a boundary
    between words behind them, and for a prior of other pieces.
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        config: DecodingConfig | None = None,
        language_model: NgramModel | None = None,
        hotwords: Iterable[Hotword] = (),
        pronunciations: PronunciationTable | None = None,
    ) -> None:
        self.vocabulary = list(vocabulary)
        self._model = language_model
        self.reads_phones = pronunciations is not None
        alphabet = alphabet_of(self.vocabulary)
        phrases = fit_to_alphabet(hotwords, alphabet) if pronunciations is None else list(hotwords)
        pieces = build_pieces(self.vocabulary, alphabet)
        if self.reads_phones and _has_inner_boundary(pieces):
            raise UsageError("where words are spelled by phones, a token can only begin one")
        self._words: list[str] = []
        known, self._ngrams = 0, _no_ngrams()
        if language_model is not None:
            expected = {word for hotword in phrases for word in hotword.phrase.split()}
            self._words = [*language_model.words, *sorted(expected - language_model.vocabulary.keys())]
            known, self._ngrams = len(language_model.words), lookup_arrays(language_model)
        states = build_states(phrases, alphabet, self._words, pronunciations)
        self._pieces: Pieces = _read_only(pieces)
        trie = _build_trie(language_model, self._words, alphabet, pronunciations)
        self._trie: LexiconTrie = _read_only(trie)
        COMPILER.announce()
        self._look_ahead: LookAhead = _read_only(build_look_ahead(self._ngrams, known, self._trie))
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
        self._rules = _rules(config, closed, self.reads_phones, self._model, self._most_earned)
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
        fusion = Fusion(self._ngrams, self._trie, self._look_ahead, self._hotwords, self._rules, Memo.empty())
        texts, history = search(log_probs, self._pieces, fusion, self._limits)
        return [self._hypothesis(text, history, len(log_probs)) for text in texts[:nbest]]

    def decode_many(
        self, utterances: Sequence[NDArray[np.float32]], nbest: int = 1, threads: int | None = None
    ) -> list[list[Hypothesis]]:
        """`decode` utterances `(T, V)` of any lengths in parallel; the kernel leaves Python's lock alone.

        `threads` is at most the number of cores by default.
        """
        threads = min(threads or processors(), len(utterances))
        if threads <= 1:
            return [self.decode(utterance, nbest) for utterance in utterances]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda utterance: self.decode(utterance, nbest), utterances))

    def _hypothesis(self, text: Any, history: NDArray[np.int32], frames: int) -> Hypothesis:
        """One record of `asr.decoding.kernels.beam.TEXT` with its tokens, words and the frames of the tokens.

        No more than one token begins in a frame.
        """
        path = np.empty((3, frames), np.int32)
        tokens, begins, ends = path[:, trace(history, int(text["node"]), path) :].tolist()
        spelled = spell(self.vocabulary, tokens)
        if self.reads_phones:
            words = [self._words[word] for word in (*ends, int(text["word"])) if word >= 0]
            if len(words) < len(spelled.split()):  # nothing ends on a whole word: the search took what is open as it is
                tokens = self._without_last_word(tokens)
            spelled = " ".join(words)
        acoustic, language = float(text["acoustic"]), float(text["language"])
        return Hypothesis(
            tokens=tuple(tokens),
            frames=tuple(begins[: len(tokens)]),
            score=acoustic + language,
            acoustic=acoustic,
            language=language,
            text=spelled,
        )

    def _without_last_word(self, tokens: list[int]) -> list[int]:
        begins = [number for number, token in enumerate(tokens) if self.vocabulary[token].startswith(WORD_START)]
        return tokens[: begins[-1]] if begins else []


RAREST = 1e-6
"""No piece is taken for rarer: one that was never heard would otherwise win everywhere."""


def measure_prior(log_probs: Iterable[NDArray[np.float32]]) -> NDArray[np.float64]:
    """The log-probability (V,) of each piece on average over the steps of utterances (T, V), natural log.

    Raises `ValueError` when there is no step.
    """
    total, steps = np.zeros(1), 0
    for each in log_probs:
        total = total + np.exp(each.astype(np.float64)).sum(axis=0)
        steps += len(each)
    if steps == 0:
        raise ValueError("no prior without speech")
    return np.log(np.maximum(total / steps, RAREST))


def without_prior(log_probs: NDArray[np.float32], prior: NDArray[np.float32], weight: float) -> NDArray[np.float32]:
    """Scores (T, V): log p(piece | sound) − `weight` · log p(piece), the latter being the prior (V,).

    CTC learns p(piece | sound), and in it p(piece): where the sound says little, the blank and the frequent pieces win.
    The language model knows better how frequent words are, and what both say would count twice. So hybrid recognizers
    get from posteriors to likelihoods (Bourlard and Morgan 1994) and Miao et al. 2015 do for CTC, whose prior includes
    the blank. Without a language model, frequent pieces are right to win.

    In each step the scores are moved so that the best is as high as the best was: what pruning compares with stays what
    it is, and to move all scores of a step changes no choice.
    """
    scores: NDArray[np.float32] = log_probs - np.float32(weight) * prior
    scores += log_probs.max(axis=1, keepdims=True) - scores.max(axis=1, keepdims=True)
    return scores


def _rules(config: DecodingConfig, closed: bool, phones: bool, model: NgramModel | None, most_earned: float) -> Rules:
    weight = float(config.lm_weight)
    return Rules(
        has_model=model is not None,
        closed=closed,
        phones=phones,
        known_words=len(model.words) if model else 0,
        end_of_sentence=bool(config.end_of_sentence),
        begin_state=model.begin_state() if model else 0,
        weight=weight,
        word_score=float(config.word_score),
        unk_score=float(config.unk_score),
        unk_char_score=float(config.unk_char_score),
        unk_lookahead=float(weight * model.log_prob[1 + UNKNOWN_ID] + config.unk_score) if model else 0.0,
        hotword_gain=most_earned,
    )


def _build_trie(
    model: NgramModel | None, words: Sequence[str], alphabet: Sequence[str], pronunciations: PronunciationTable | None
) -> LexiconTrie:
    """Of the `words`, named by their ids: those of the model, then others, which the model sees as `<unk>`."""
    if model is None:
        return build_trie([], [], np.zeros(0, np.float32), alphabet)
    ids = np.arange(CONTROL_WORDS, len(words))
    spelled = words[CONTROL_WORDS:]
    if pronunciations is not None:
        found = (pronunciations.get(word, ()) for word in spelled)
        ways = [ways if len(ways) < 2 else tuple(dict.fromkeys(ways)) for ways in found]
        spelled, ids = list(chain.from_iterable(ways)), np.repeat(ids, list(map(len, ways)))
    return build_trie(spelled, ids, model.log_prob[1 + np.where(ids < len(model.words), ids, UNKNOWN_ID)], alphabet)


def _has_inner_boundary(pieces: Pieces) -> bool:
    """Whether a piece may end a word behind its first letter."""
    starts, ends = pieces.start[1].tolist(), pieces.end.tolist()
    return any(BOUNDARY in pieces.letters[start:end] for start, end in zip(starts, ends, strict=True))


def _most_earned(pieces: Pieces, states: HotwordStates) -> float:
    """The most that one piece can add to the score by hotwords; no bound where a piece may end a word and go on."""
    if _has_inner_boundary(pieces):
        return math.inf
    worth = states.earned + states.held
    step = max(float(worth[following].max() - held) for following, held in zip(states.next, states.held, strict=True))
    return max(0.0, step) * float((pieces.end - pieces.start[0]).max())


def _no_ngrams() -> Ngrams:
    """The arrays of a model without words, of the types of `lookup_arrays`."""
    ints, floats = read_only(np.zeros(1, np.int32)), read_only(np.zeros(1, np.float32))
    return ints, floats, floats, ints, ints


def _read_only(arrays: Any) -> Any:
    """The same named tuple with arrays that cannot be written."""
    return type(arrays)(*map(read_only, arrays))
