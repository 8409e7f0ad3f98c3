"""What the language side says of a text as letters arrive: n-gram model, word bonus, unknown words, hotwords.

    language(text) = Σ_words [ weight · log p(word | words before) + bonus ] + boosts of its hotwords
                     + Σ_unknown words [ unknown score + letters · unknown letter ]

Everything here is a function of the text alone, never of the pieces that spell it or of the frames: that is what allows
the search to merge alignments first and to weigh them afterwards. Where pieces are phones, one string of them may be
several words (homophones): a text then goes on as each of them, and the language model decides between the texts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.decoding.hotwords import HotwordStates
from asr.decoding.kernels import inner
from asr.decoding.kernels.look_ahead import DEPTH, NO_WORD, LookAhead
from asr.decoding.lexicon_trie import BOUNDARY, ROOT, LexiconTrie, Pieces
from asr.lm.lookup import Ngrams, search_children
from asr.lm.lookup import score as ngram_score
from asr.lm.ngram import END_ID, UNKNOWN_ID
from asr.nn.numba_cache import constant

STRANGE = constant(-1)  # lexicon node of a beginning that no known word has: nothing was found (`search_children`)
_UNKNOWN, _END = constant(UNKNOWN_ID), constant(END_ID)
FORBIDDEN = -float("inf")
MEMORY = 1 << 13
"""Questions whose answers are kept: what stays in a processor's second cache."""
MIX = np.uint64(0xD6E8FEB86659FD93)

Array = NDArray[Any]


class Rules(NamedTuple):
    """The numbers of the fusion, natural log."""

    has_model: bool
    closed: bool  # only words of the lexicon
    phones: bool  # words are spelled by phones: their letters do not tell them apart
    known_words: int  # ids from here on are words of the lexicon that the n-gram model takes for `<unk>`
    end_of_sentence: bool  # the text is a whole sentence: `</s>` is scored
    begin_state: int  # of the n-gram model
    weight: float
    word_score: float
    unk_score: float
    unk_char_score: float
    unk_lookahead: float  # what an unknown word costs at least: weight · log p(<unk>) + unknown score
    hotword_gain: float  # the most that the letters of one piece can earn


class Memo(NamedTuple):
    """Answers by a hash of the question, M of each kind: the same beginnings are asked for frame after frame."""

    gain_of: Array  # (M,) int64, a question of `context_gain`, 0: none yet …
    gain: Array  # (M,) float64, … and its answer
    score_of: Array  # (M,) int64, a question of `score_word` …
    score: Array  # (M,) float64, … and its answers
    after: Array  # (M,) int32

    @classmethod
    def empty(cls) -> Memo:
        """For one search."""
        return cls(*(np.zeros(MEMORY, kind) for kind in (np.int64, np.float64, np.int64, np.float64, np.int32)))


class Fusion(NamedTuple):
    """All that the language side knows. Without a language model (`rules.has_model`) its arrays are empty."""

    ngrams: Ngrams
    lexicon: LexiconTrie
    look_ahead: LookAhead
    hotwords: HotwordStates
    rules: Rules
    memo: Memo  # of one search


@inner
def homophones(prefix: Any, piece: int, pieces: Pieces, lexicon: LexiconTrie) -> tuple[int, int]:
    """Where in `lexicon.word` the words stand that the open word of `prefix` may be if `piece` ends it.

    (-1, 0), a single entry that is no word, where `piece` ends none or none that is known.
    """
    if prefix.trie == ROOT or pieces.start[0, piece] == pieces.start[1, piece]:
        return -1, 0
    return words_at(np.int64(prefix.trie), lexicon)


@inner
def words_at(trie: int, lexicon: LexiconTrie) -> tuple[int, int]:
    """Where in `lexicon.word` the words that end in a lexicon node stand; (-1, 0) where there are none."""
    if trie in (STRANGE, ROOT):
        return -1, 0
    first, end = lexicon.first_word[trie], lexicon.first_word[trie + 1]
    return (first, end) if first < end else (-1, 0)


@inner
def word_of(entry: int, lexicon: LexiconTrie) -> int:
    """The id of an entry of `homophones`."""
    word: int = lexicon.word[entry] if entry >= 0 else NO_WORD
    return word


@inner
def read_piece(prefix: Any, piece: int, word: int, pieces: Pieces, fusion: Fusion, new: Any) -> bool:
    """Set in `new` what the language side knows after `prefix` and `piece`; false where the lexicon forbids the text.

    `prefix` and `new` are records of `asr.decoding.kernels.beam.PREFIX`; where `piece` ends the open word of `prefix`,
    that is `word` (of `homophones`).
    """
    language, state, trie, hot = prefix.language, prefix.state, np.int64(prefix.trie), prefix.hot
    length, gain = np.int64(prefix.length), prefix.gain
    first = pieces.start[1 if trie == ROOT else 0, piece]
    for position in range(first, pieces.end[piece]):
        letter = pieces.letters[position]
        if letter == BOUNDARY:
            if position == first:
                language, state = finish_own_word(prefix, word, fusion)
                letter = end_letter(word, fusion.hotwords)
            else:
                inner_word = word_of(words_at(trie, fusion.lexicon)[0], fusion.lexicon)
                language, state = finish_word(language, state, length, inner_word, fusion)
            trie, length = ROOT, 0
        else:
            trie = next_node(fusion.lexicon, trie, letter)
            length += 1
            if length <= DEPTH:
                gain = context_gain(state, trie, fusion)
        if language == FORBIDDEN or (fusion.rules.closed and trie == STRANGE):
            return False
        hot = fusion.hotwords.next[hot, letter]
        language += fusion.hotwords.earned[hot]
    new.language, new.state, new.trie, new.hot, new.length, new.gain = language, state, trie, hot, length, gain
    new.expected = look_ahead(state, trie, length, gain, fusion)
    new.ahead = new.expected + fusion.hotwords.held[hot]
    new.finished_state = -1
    return True


@inner
def end_letter(word: int, hotwords: HotwordStates) -> int:
    """What the hotwords read where `word` ends."""
    letter: int = hotwords.end_letter[word] if word >= 0 else BOUNDARY
    return letter


@inner
def finish_own_word(prefix: Any, word: int, fusion: Fusion) -> tuple[float, int]:
    """`finish_word` for `word` at the end of `prefix`; of the likeliest it is computed once, for many pieces ask."""
    likeliest_end(prefix, fusion)
    if word == prefix.finished_word:
        return prefix.finished, prefix.finished_state
    return finish_word(prefix.language, prefix.state, np.int64(prefix.length), word, fusion)


@inner
def likeliest_end(prefix: Any, fusion: Fusion) -> float:
    """The language score of `prefix` with its open word complete, as the likeliest of its homophones."""
    if prefix.finished_state < 0:
        first, end = words_at(np.int64(prefix.trie), fusion.lexicon)
        for entry in range(first, end):
            word = word_of(entry, fusion.lexicon)
            language, state = finish_word(prefix.language, prefix.state, np.int64(prefix.length), word, fusion)
            if entry == first or language > prefix.finished:
                prefix.finished, prefix.finished_state, prefix.finished_word = language, state, word
    finished: float = prefix.finished
    return finished


@inner
def finish_word(language: float, state: int, length: int, word: int, fusion: Fusion) -> tuple[float, int]:
    """The language score and n-gram state once `word`, of `length` letters, is complete."""
    rules = fusion.rules
    language += rules.word_score
    if not rules.has_model:
        return language, state
    if word == NO_WORD:
        if rules.closed:
            return FORBIDDEN, state
        language += rules.unk_score + length * rules.unk_char_score
        word = _UNKNOWN
    log_prob, after = score_word(state, word, fusion)
    return language + rules.weight * log_prob, after


@inner
def finish_text(prefix: Any, word: int, fusion: Fusion, forgiving: bool) -> float:
    """The language score of `prefix` as a whole text that ends in `word`; `FORBIDDEN` where the lexicon has none.

    If `forgiving`, such a word counts as unknown.
    """
    language: float = prefix.language
    state = prefix.state
    if prefix.trie != ROOT:
        language, state = finish_own_word(prefix, word, fusion)
        if language == FORBIDDEN and forgiving:
            log_prob, state = score_word(prefix.state, _UNKNOWN, fusion)
            rules = fusion.rules
            unknown = rules.unk_score + prefix.length * rules.unk_char_score
            language = prefix.language + rules.word_score + unknown + rules.weight * log_prob
        language += fusion.hotwords.earned[fusion.hotwords.next[prefix.hot, end_letter(word, fusion.hotwords)]]
    if fusion.rules.has_model and fusion.rules.end_of_sentence:
        log_prob, state = score_word(state, _END, fusion)
        language += fusion.rules.weight * log_prob
    return language


@inner
def score_word(state: int, word: int, fusion: Fusion) -> tuple[float, int]:
    """Natural-log probability of `word` in `state` and the state after it."""
    if word >= fusion.rules.known_words:
        word = _UNKNOWN
    memo = fusion.memo
    question = np.int64(state) * fusion.rules.known_words + word + 1
    slot = place(question)
    if memo.score_of[slot] != question:
        memo.score_of[slot] = question
        memo.score[slot], memo.after[slot] = ngram_score(fusion.ngrams, state, word)
    return memo.score[slot], memo.after[slot]


@inner
def place(question: int) -> int:
    """Where in `Memo` the answer to a question stands."""
    mixed: int = np.int64((np.uint64(question) * MIX) >> np.uint64(32)) & (MEMORY - 1)
    return mixed


@inner
def context_gain(state: int, trie: int, fusion: Fusion) -> float:
    """What the words that begin as a lexicon node gain by the word before them, the last one of `state`."""
    if not fusion.rules.has_model or trie == STRANGE or state == ROOT:
        return 0.0
    table = fusion.look_ahead
    word, _, backoff, _, _ = fusion.ngrams
    context = word[state]
    memo = fusion.memo
    question = np.int64(context) * len(fusion.lexicon.letter) + trie + 1
    slot = place(question)
    if memo.gain_of[slot] != question:
        gain: float = backoff[1 + context]
        listed = search_children(table.node, table.first, context, trie)
        if listed >= 0:
            gain = max(gain, table.log_prob[listed] - fusion.lexicon.best[trie])
        memo.gain_of[slot], memo.gain[slot] = question, gain
    answer: float = memo.gain[slot]
    return answer


@inner
def look_ahead(state: int, trie: int, length: int, gain: float, fusion: Fusion) -> float:
    """What the open word is expected to add: 0 between words. `gain` is that of its beginning (`context_gain`)."""
    rules = fusion.rules
    if trie == ROOT:
        return 0.0
    if not rules.has_model:
        return rules.word_score
    if trie == STRANGE:
        return rules.word_score + rules.unk_lookahead + length * rules.unk_char_score
    only = np.int64(fusion.look_ahead.only[trie])
    log_prob: float = fusion.lexicon.best[trie] + gain if only == NO_WORD else score_word(state, only, fusion)[0]
    return rules.word_score + rules.weight * log_prob


@inner
def best_gain(prefix: Any, begins_word: bool, fusion: Fusion) -> float:
    """What one more piece is expected to add at most to `language + ahead` of `prefix`.

    Within a word nothing is, for `ahead` was what its beginning promised, unless an unknown word is cheaper. More than
    that, and so no bound, it is where the single word that is left proves better in the highest order.
    A piece that begins a word (only if `begins_word`) turns what was expected of the open one into what it is worth.
    """
    rules = fusion.rules
    if prefix.trie == ROOT:
        return new_word(prefix.state, fusion) + rules.hotword_gain
    gain = 0.0
    if rules.has_model and not rules.closed:
        gain = max(gain, look_ahead(prefix.state, STRANGE, np.int64(prefix.length), 0.0, fusion) - prefix.expected)
    if begins_word:
        worth = likeliest_end(prefix, fusion) - prefix.language
        gain = max(gain, worth - prefix.expected + new_word(prefix.finished_state, fusion))
    return gain + rules.hotword_gain


@inner
def new_word(state: int, fusion: Fusion) -> float:
    """The most that a word is expected to add that begins in `state`."""
    rules = fusion.rules
    best = 0.0
    if rules.has_model:
        best = rules.weight * (fusion.lexicon.best[ROOT] + context_gain(state, ROOT, fusion))
        if not rules.closed:
            best = max(best, rules.unk_lookahead)
    return max(0.0, rules.word_score + best)


@inner
def next_node(lexicon: LexiconTrie, node: int, letter: int) -> int:
    """The child of a lexicon node by its letter, or `STRANGE`."""
    return STRANGE if node == STRANGE else search_children(lexicon.letter, lexicon.first_child, node, letter)
