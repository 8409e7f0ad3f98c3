"""CTC prefix beam search as one compiled kernel.

Graves and Jaitly, "Towards end-to-end speech recognition with recurrent neural networks", 2014; Hannun et al.,
"First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs", 2014.

A prefix is a text together with the last token that spelled it. For each prefix the search carries two sums over all
alignments of the frames read so far: those that end in a blank and those that end in the token. The pair (text, last
token) is all that later frames can depend on, so merging by it loses nothing, also where many piece sequences spell the
same text. Sums are kept as plain probabilities, scaled so that the best prefix has 1: merging is then an addition, and
an `exp` is paid only where a new text is scored.

Where the tokens are phones, a text is its words and the phones of the one that is still open. At its end it goes on as
each word that sounds so, and pronunciations of one word meet. So every text that comes out, and each of its rivals that
sounds the same, has its own score: the sum over its pronunciations and their alignments, and what the language side
says of it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.decoding.hotwords import BETWEEN
from asr.decoding.kernels import inner, kernel
from asr.decoding.kernels.fusion import (
    MIX,
    Fusion,
    Rules,
    best_gain,
    finish_text,
    homophones,
    read_piece,
    word_of,
    words_at,
)
from asr.decoding.kernels.look_ahead import NO_WORD
from asr.decoding.lexicon_trie import ROOT, Pieces
from asr.text.tokenizer import BLANK

Array = NDArray[Any]

PREFIX = np.dtype(
    [
        ("key", np.uint64),  # hash of the text
        ("words", np.uint64),  # … of its whole words, where words are spelled by phones
        ("blank", np.float64),  # probability of its alignments that end in a blank (scaled)
        ("token", np.float64),  # … and of those that end in `last`
        ("share", np.float64),  # largest single contribution to it in this frame
        ("weight", np.float64),  # exp(language + ahead − reference)
        ("language", np.float64),  # what the language side says of the text, natural log
        ("ahead", np.float64),  # what it says ahead of words still open, taken back later
        ("expected", np.float64),  # … of which the language model alone says this
        ("gain", np.float64),  # what the open word gains by the one before it (`context_gain`)
        ("finished", np.float64),  # `language` with the open word complete as the likeliest homophone, valid if
        ("finished_state", np.int32),  # … the n-gram state after it is not -1
        ("finished_word", np.int32),  # … which is this one
        ("state", np.int32),  # of the n-gram model
        ("trie", np.int32),  # lexicon node of the open word
        ("length", np.int32),  # letters of the open word
        ("hot", np.int32),  # state of the hotword automaton
        ("last", np.int32),  # the token that it ends in, -1: none yet
        ("word", np.int32),  # the word that this token ended, or NO_WORD
        ("node", np.int32),  # in the history, -1: to be added
        ("parent", np.int32),  # node of the prefix that it grew from
    ],
    align=True,
)
TEXT = np.dtype(
    [
        ("key", np.uint64),  # hash of the text, a boundary at its end
        ("mass", np.float64),  # probability of all its alignments (scaled)
        ("share", np.float64),  # the largest of the prefixes that spell it
        ("acoustic", np.float64),  # the logarithm of `mass`, unscaled
        ("language", np.float64),  # what the language side says of it, natural log
        ("node", np.int32),  # in the history, of that prefix
        ("word", np.int32),  # the word that is open there, or NO_WORD
    ],
    align=True,
)
_FAR = 200.0  # nats between the best prefix's language score and the reference at which the weights are renewed
_NEGLIGIBLE = 0.01
"""Of the least that a new text must bring: less than that is not worth looking up which text it goes to."""
_TOKEN_MIX = np.uint64(0xA0761D6478BD642F)
_HALF = np.uint64(32)


class Limits(NamedTuple):
    """What the search may forget."""

    beam_size: int  # prefixes kept after each frame
    token_min_logp: float  # tokens less probable in a frame are not tried there (the best one always is)
    beam_threshold: float  # prefixes that score worse than the best by more than this, natural log, are dropped


class Candidates(NamedTuple):
    """The prefixes that one frame brings forth, found by text and last token through a table of open addressing."""

    records: Array  # PREFIX
    slots: Array  # int32, record number or -1; the size is a power of two
    taken: Array  # the slot of each record


class Workspace(NamedTuple):
    """All the memory of one search, allocated outside the kernel (see `asr.decoding.kernels`)."""

    tokens: Array  # (T · V,) int32, the tokens worth trying of all frames, one after the other …
    probs: Array  # (T · V,) float64, … and their probabilities
    begin: Array  # (T + 1,) int64, where each frame begins in them
    of_token: Array  # (V,) float64, probability in the current frame, 0 where not worth trying
    prefixes: Array  # (beam,) PREFIX
    candidates: Candidates
    scores: Array  # (3, C) float64: of the candidates; scratch; the most that each prefix can grow to
    history: Array  # (1 + T · beam, 4) int32: parent, token, frame, the word that ended with the token


def search(log_probs: Array, pieces: Pieces, fusion: Fusion, limits: Limits) -> tuple[Array, Array]:
    """Decode `(T, V)` float32 log-probabilities.

    Returns records of `TEXT`, best first, and the history that their nodes stand in: see `Workspace`.
    """
    frames, size = log_probs.shape
    tokens, probs = np.empty(frames * size, np.int32), np.empty(frames * size)
    begin = np.zeros(frames + 1, np.int64)
    widest = likely_tokens(log_probs, pieces.has_letters, limits.token_min_logp, tokens, probs, begin)
    most = int(np.diff(fusion.lexicon.first_word).max(initial=1))  # words that are spelled alike
    ending = int((pieces.start[0] != pieces.start[1]).sum())  # pieces that end a word
    room = limits.beam_size * (1 + widest + (most - 1) * min(widest, ending))
    space = Workspace(
        tokens,
        probs,
        begin,
        of_token=np.zeros(size),
        prefixes=np.zeros(limits.beam_size, PREFIX),
        candidates=Candidates(
            records=np.empty(room, PREFIX),
            slots=np.full(1 << (2 * room).bit_length(), -1, np.int32),
            taken=np.empty(room, np.int64),
        ),
        scores=np.empty((3, room)),
        history=np.empty((1 + frames * limits.beam_size, 4), np.int32),
    )
    count, scale = run(frames, pieces, fusion, limits, space)
    texts = np.zeros(count * most, TEXT)
    texts = texts[: finish(space.prefixes, count, pieces, fusion, texts)]
    texts["acoustic"] = np.log(texts["mass"]) + scale
    return texts[np.argsort(-(texts["acoustic"] + texts["language"]), kind="stable")], space.history


@kernel
def run(frames: int, pieces: Pieces, fusion: Fusion, limits: Limits, space: Workspace) -> tuple[int, float]:
    """Search through all frames. Returns the number of prefixes left and the log of their probabilities' scale."""
    prefixes, candidates, of_token = space.prefixes, space.candidates, space.of_token
    start(prefixes[0], fusion.rules)
    count = nodes = np.int64(1)  # see `asr.nn.numba_cache.constant`
    scale = reference = 0.0
    for time in range(frames):
        first, end = space.begin[time], space.begin[time + 1]
        tokens, probs = space.tokens[first:end], space.probs[first:end]
        if len(tokens) == 1 and tokens[0] == BLANK:
            scale += math.log(probs[0])
            rest(prefixes, count)
            continue
        for at in range(len(tokens)):
            of_token[tokens[at]] = probs[at]
        hold(space, count)
        found = grow(space, count, tokens, probs, limits, reference, pieces, fusion)
        for at in range(len(tokens)):
            of_token[tokens[at]] = 0.0
        for number in range(found):
            candidates.slots[candidates.taken[number]] = -1
        kept, nodes, leader = keep_best(space, found, limits, nodes, time)
        if kept == 0:  # a closed lexicon has no word for what is heard: as if the frame had not been
            continue
        count = kept
        scale += normalize(prefixes, count, leader)
        reference = renew_weights(prefixes, count, leader, reference)
    return count, scale


@kernel
def likely_tokens(
    log_probs: Array, has_letters: Array, threshold: float, tokens: Array, probs: Array, begin: Array
) -> int:
    """The tokens of each frame above the threshold, most probable first; the best one always is among them.

    Fills the `Workspace` arrays of these names. Returns the largest number of tokens in one frame.
    """
    frames, size = log_probs.shape
    total, widest = 0, 0
    for time in range(frames):
        first = total
        best, best_token = -np.inf, BLANK
        for token in range(size):
            value = log_probs[time, token]
            if (value < threshold and value <= best) or not (has_letters[token] or token == BLANK):
                continue
            if value > best:
                best, best_token = value, token
            if value < threshold or value == -np.inf:
                continue
            at = total
            while at > first and probs[at - 1] < value:
                tokens[at], probs[at] = tokens[at - 1], probs[at - 1]
                at -= 1
            tokens[at], probs[at] = token, value
            total += 1
        if total == first:
            tokens[total], probs[total] = best_token, best
            total += 1
        for at in range(first, total):
            probs[at] = math.exp(probs[at])
        begin[time + 1] = total
        widest = max(widest, total - first)
    return widest


@inner
def start(prefix: Any, rules: Rules) -> None:
    """The empty text before the first frame."""
    prefix.blank, prefix.weight = 1.0, 1.0
    prefix.last, prefix.finished_state, prefix.word = -1, -1, NO_WORD
    prefix.state, prefix.trie, prefix.hot = rules.begin_state, ROOT, BETWEEN


@inner
def rest(prefixes: Array, count: int) -> None:
    """A frame of nothing but blank: all alignments now end in one, and the order of the prefixes stays."""
    for index in range(count):
        prefixes[index].blank += prefixes[index].token
        prefixes[index].token = 0.0


@inner
def hold(space: Workspace, count: int) -> None:
    """Every prefix stays as it is, by a blank or by its last token held."""
    candidates, of_token = space.candidates, space.of_token
    for index in range(count):
        candidates.records[index] = space.prefixes[index]
        new = candidates.records[index]
        total = new.blank + new.token
        new.token = new.token * of_token[new.last] if new.last >= 0 else 0.0
        new.blank = total * of_token[BLANK]
        new.share = new.blank + new.token
        space.scores[0, index] = new.share * new.weight
        slot = find(candidates, new.key, new.last)
        candidates.slots[slot] = index
        candidates.taken[index] = slot


@inner
def grow(
    space: Workspace,
    count: int,
    tokens: Array,
    probs: Array,
    limits: Limits,
    reference: float,
    pieces: Pieces,
    fusion: Fusion,
) -> int:
    """Every prefix grows by every token, into a text that is there already or a new one. Returns how many there are.

    The most probable tokens come first, so that what they bring forth spares the search most of what follows: a new
    text is only looked at if it could still be among the best.
    """
    prefixes, candidates, scores = space.prefixes, space.candidates, space.scores
    found = count
    beginning = 0  # tokens that begin a word
    for at in range(len(tokens)):
        beginning += pieces.start[0, tokens[at]] != pieces.start[1, tokens[at]]
    for index in range(count):
        prefix = prefixes[index]
        scores[2, index] = prefix.weight * math.exp(best_gain(prefix, beginning > 0, fusion))
    floor, floor_of, negligible = 0.0, 0, 0.0
    for at in range(len(tokens)):
        piece, emitted = tokens[at], probs[at]
        if piece == BLANK:
            continue
        if found >= floor_of:  # scores only rise, so what was too little before is so still
            # Several prefixes may add up to one new text: what is a quarter as good as the worst kept is let in.
            floor = 0.25 * cutoff(scores, found, limits)
            floor_of = found + limits.beam_size // 4
            negligible = _NEGLIGIBLE * floor
        for index in range(count):
            prefix = prefixes[index]
            # A token that follows itself is a new one only after a blank.
            probability = emitted * (prefix.blank if piece == prefix.last else prefix.blank + prefix.token)
            if probability * scores[2, index] <= negligible:
                continue
            first, end = homophones(prefix, piece, pieces, fusion.lexicon)
            for entry in range(first, end):
                word = word_of(entry, fusion.lexicon)
                words, key = longer_text(prefix, piece, word, pieces, fusion.rules)
                slot = find(candidates, key, piece)
                if candidates.slots[slot] < 0:
                    new = candidates.records[found]
                    if probability * scores[2, index] < floor or not read_piece(
                        prefix, piece, word, pieces, fusion, new
                    ):
                        continue
                    new.weight = math.exp(new.language + new.ahead - reference)
                    if probability * new.weight < floor:
                        continue
                    new.key, new.words, new.last = key, words, piece
                    new.blank, new.token, new.share = 0.0, 0.0, 0.0
                    candidates.slots[slot] = found
                    candidates.taken[found] = slot
                    found += 1
                number = candidates.slots[slot]
                new = candidates.records[number]
                new.token += probability
                scores[0, number] = (new.blank + new.token) * new.weight
                if probability > new.share:  # the largest share says which tokens and frames spell the text
                    new.share, new.node, new.parent, new.word = probability, -1, prefix.node, word
    return found


@inner
def longer_text(prefix: Any, piece: int, word: int, pieces: Pieces, rules: Rules) -> tuple[int, int]:
    """The hashes of the whole words and of the text of `prefix` and `piece`, which ends the open word as `word`."""
    if word != NO_WORD and rules.phones:
        words = with_word(prefix.words, word)
        return words, words * pieces.power[1, piece] + pieces.hash[1, piece]
    at_boundary = 1 if prefix.trie == ROOT else 0
    return prefix.words, prefix.key * pieces.power[at_boundary, piece] + pieces.hash[at_boundary, piece]


@inner
def with_word(words: int, word: int) -> int:
    """The hash of `words` and one more."""
    value = np.uint64(word + 1) * _TOKEN_MIX
    mixed: int = words * MIX + (value ^ (value >> _HALF)) * MIX
    return mixed


@inner
def find(candidates: Candidates, key: int, last: int) -> int:
    """The slot of the text `key` with the last token `last`: where it stands, or the empty one where it would."""
    mask = len(candidates.slots) - 1
    mixed = (np.uint64(key) + np.uint64(last + 1) * _TOKEN_MIX) * MIX
    slot: int = np.int64(mixed >> _HALF) & mask
    while candidates.slots[slot] >= 0:
        record = candidates.records[candidates.slots[slot]]
        if record.key == key and record.last == last:
            break
        slot = (slot + 1) & mask
    return slot


@inner
def cutoff(scores: Array, found: int, limits: Limits) -> float:
    """The score below which a candidate will not be kept, rescoring by the first `found`."""
    floor = 0.0
    for index in range(found):
        floor = max(floor, scores[0, index])
        scores[1, index] = scores[0, index]
    floor *= math.exp(-limits.beam_threshold)
    if found > limits.beam_size:
        floor = max(floor, nth_largest(scores[1], found, limits.beam_size))
    return floor


@inner
def keep_best(space: Workspace, found: int, limits: Limits, nodes: int, time: int) -> tuple[int, int, int]:
    """Copy the best candidates into `prefixes` and note new ones in the history. Returns count, nodes, best one."""
    prefixes, scores, history = space.prefixes, space.scores, space.history
    floor = cutoff(scores, found, limits)
    count, leader, best = 0, 0, 0.0
    for index in range(found):
        score = scores[0, index]
        if score < floor or score == 0.0 or count == limits.beam_size:
            continue
        prefixes[count] = space.candidates.records[index]
        kept = prefixes[count]
        if kept.node < 0:
            history[nodes, 0], history[nodes, 1] = kept.parent, kept.last
            history[nodes, 2], history[nodes, 3] = time, kept.word
            kept.node = nodes
            nodes += 1
        if score > best:
            best, leader = score, count
        count += 1
    return count, nodes, leader


@inner
def nth_largest(values: Array, count: int, n: int) -> float:
    """The `n`-th largest of the first `count` values, which are reordered (Hoare's quickselect)."""
    low, high, target = 0, count - 1, n - 1
    while low < high:
        pivot = values[(low + high) >> 1]
        left, right = low, high
        while left <= right:
            while values[left] > pivot:
                left += 1
            while values[right] < pivot:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if target <= right:
            high = right
        elif target >= left:
            low = left
        else:
            break
    found: float = values[target]
    return found


@inner
def normalize(prefixes: Array, count: int, leader: int) -> float:
    """Scale all probabilities so that the leader's is 1. Returns the logarithm of what it was."""
    total = prefixes[leader].blank + prefixes[leader].token
    for index in range(count):
        prefixes[index].blank /= total
        prefixes[index].token /= total
    return math.log(total)


@inner
def renew_weights(prefixes: Array, count: int, leader: int, reference: float) -> float:
    """Keep weights within the range of numbers: a leader whose language score is far off is the new reference."""
    language: float = prefixes[leader].language + prefixes[leader].ahead
    if abs(language - reference) < _FAR:
        return reference
    for index in range(count):
        prefixes[index].weight = math.exp(prefixes[index].language + prefixes[index].ahead - language)
    return language


@kernel
def finish(prefixes: Array, count: int, pieces: Pieces, fusion: Fusion, texts: Array) -> int:
    """Complete open words and add up prefixes of the same text into records of `TEXT`. Returns how many there are."""
    found = 0
    for forgiving in (False, True):  # a closed lexicon may leave nothing that ends on a whole word: then take it open
        for index in range(count):
            prefix = prefixes[index]
            first, end = words_at(np.int64(prefix.trie), fusion.lexicon)
            for entry in range(first, end):
                word = word_of(entry, fusion.lexicon)
                key = whole_text(prefix, word, pieces, fusion.rules)
                at = 0
                while at < found and texts[at].key != key:
                    at += 1
                text = texts[at]
                if at == found:
                    text.language = finish_text(prefix, word, fusion, forgiving)
                    if text.language == -np.inf:
                        continue
                    text.key, text.mass, text.share = key, 0.0, -1.0
                    found += 1
                total = prefix.blank + prefix.token
                text.mass += total
                if total > text.share:
                    text.share, text.node, text.word = total, prefix.node, word
        if found > 0:
            break
    return found


@inner
def whole_text(prefix: Any, word: int, pieces: Pieces, rules: Rules) -> int:
    """The hash of the text of `prefix` with its open word complete as `word`."""
    key: int = prefix.key
    if rules.phones:
        key = prefix.words if word == NO_WORD else with_word(prefix.words, word)
    elif prefix.trie != ROOT:
        key = key * pieces.boundary[1] + pieces.boundary[0]
    return key


@kernel
def trace(history: Array, node: int, path: Array) -> int:
    """Write the token, frame and ended word (3, T) of each node that leads to `node` to the end of `path`.

    Returns where they begin.
    """
    length: int = path.shape[1]
    while node > 0:
        length -= 1
        for row in range(3):
            path[row, length] = history[node, 1 + row]
        node = history[node, 0]
    return length
