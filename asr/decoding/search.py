"""CTC prefix beam search as one compiled kernel.

Graves and Jaitly, "Towards end-to-end speech recognition with recurrent neural networks", 2014; Hannun et al.,
"First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs", 2014.

A prefix is a text together with the last token that spelled it. For each prefix the search carries two sums over all
alignments of the frames read so far: those that end in a blank and those that end in the token. The pair (text, last
token) is all that later frames can depend on, so merging by it loses nothing, also where many piece sequences spell the
same text. Sums are kept as plain probabilities, scaled so that the best prefix has 1: merging is then an addition, and
an `exp` is paid only where a new text is scored.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.decoding.compiled import inner, kernel
from asr.decoding.fusion import Fusion, finish_text, read_piece
from asr.decoding.hotwords import BETWEEN
from asr.decoding.lexicon import ROOT
from asr.decoding.pieces import Pieces

Array = NDArray[Any]

PREFIX = np.dtype(
    [
        ("key", np.uint64),  # hash of the text
        ("blank", np.float64),  # probability of its alignments that end in a blank (scaled)
        ("token", np.float64),  # … and of those that end in `last`
        ("share", np.float64),  # largest single contribution to it in this frame
        ("weight", np.float64),  # exp(language + ahead − reference)
        ("language", np.float64),  # what the language side says of the text, natural log
        ("ahead", np.float64),  # what it says ahead of words still open, taken back later
        ("finished", np.float64),  # `language` with the open word completed, valid if
        ("finished_state", np.int32),  # … this n-gram state is not -1
        ("state", np.int32),  # of the n-gram model
        ("trie", np.int32),  # lexicon node of the open word
        ("hot", np.int32),  # state of the hotword automaton
        ("last", np.int32),  # the token that it ends in, -1: none yet
        ("node", np.int32),  # in the history, -1: to be added
        ("parent", np.int32),  # node of the prefix that it grew from
    ],
    align=True,
)
_FAR = 200.0  # nats between the best prefix's language score and the reference at which the weights are renewed
_MIX = np.uint64(0xD6E8FEB86659FD93)
_TOKEN_MIX = np.uint64(0xA0761D6478BD642F)
_HALF = np.uint64(32)


class Limits(NamedTuple):
    """What the search may forget."""

    beam: int  # prefixes kept after each frame
    threshold: float  # tokens with a smaller log-probability in a frame are not tried there (the best one always is)
    margin: float  # prefixes that score worse than the best by more than this, natural log, are dropped


class Candidates(NamedTuple):
    """The prefixes that one frame brings forth, found by text and last token through a table of open addressing."""

    records: Array  # PREFIX
    slots: Array  # int32, record number or -1; the size is a power of two
    taken: Array  # the slot of each record


class Frame(NamedTuple):
    """The tokens that are worth trying in one frame."""

    tokens: Array  # (K,) int32
    probs: Array  # (K,) float64
    of_token: Array  # (V,) float64, the same by token, 0 elsewhere


@kernel
def search(
    log_probs: Array, blank: int, pieces: Pieces, fusion: Fusion, limits: Limits
) -> tuple[Array, Array, Array, Array]:
    """Decode `(T, V)` float32 log-probabilities.

    Returns, best first, the log-probability of each text's alignments, its language score and the last node of its
    history; and the history itself, `(N, 3)`: parent, token, frame.
    """
    frames, size = log_probs.shape
    begin, tokens, probs, widest = likely_tokens(log_probs, pieces.spoken, blank, limits.threshold)
    of_token = np.zeros(size)
    room = limits.beam * (widest + 1)
    candidates = Candidates(np.zeros(room, PREFIX), np.full(table_size(room), -1, np.int32), np.empty(room, np.int64))
    scores = np.empty((2, room))
    history = np.empty((1 + frames * limits.beam, 3), np.int32)
    history[0] = -1
    nodes = 1
    prefixes = np.zeros(limits.beam, PREFIX)
    start(prefixes[0], fusion)
    count, scale, reference = 1, 0.0, 0.0
    for time in range(frames):
        here = slice(begin[time], begin[time + 1])
        frame = Frame(tokens[here], probs[here], of_token)
        if len(frame.tokens) == 1 and frame.tokens[0] == blank:
            scale += math.log(frame.probs[0])
            rest(prefixes, count)
            continue
        of_token[frame.tokens] = frame.probs
        floor = hold(prefixes, count, candidates, frame, blank) * math.exp(-limits.margin)
        found = grow(prefixes, count, candidates, frame, blank, floor, reference, pieces, fusion)
        of_token[frame.tokens] = 0.0
        candidates.slots[candidates.taken[:found]] = -1
        count, nodes, leader = keep_best(candidates, found, scores, prefixes, limits, history, nodes, time)
        scale += normalise(prefixes, count, leader)
        reference = renew_weights(prefixes, count, leader, reference)
    acoustic, language, node = finish(prefixes, count, scale, pieces, fusion)
    return acoustic, language, node, history[:nodes]


@inner
def likely_tokens(log_probs: Array, spoken: Array, blank: int, threshold: float) -> tuple[Array, Array, Array, int]:
    """The tokens of each frame above the threshold, its best one always among them.

    Returns where each frame begins `(T + 1,)`, the tokens and their probabilities one after the other, and the largest
    number in one frame. Pieces that are never spoken are left out.
    """
    frames, size = log_probs.shape
    begin = np.zeros(frames + 1, np.int64)
    tokens = np.empty(frames * size, np.int32)
    probs = np.empty(frames * size, np.float64)
    total, widest = 0, 0
    for time in range(frames):
        best, best_token = -np.inf, blank
        for token in range(size):
            value = log_probs[time, token]
            if value < best and value < threshold:
                continue
            if token != blank and not spoken[token]:
                continue
            if value > best:
                best, best_token = value, token
            if value >= threshold and value > -np.inf:
                tokens[total], probs[total] = token, math.exp(value)
                total += 1
        if total == begin[time]:
            tokens[total], probs[total] = best_token, math.exp(best)
            total += 1
        begin[time + 1] = total
        widest = max(widest, total - begin[time])
    return begin, tokens[:total], probs[:total], widest


@inner
def table_size(room: int) -> int:
    """The power of two that leaves at least half of the table empty."""
    size = 2
    while size < 2 * room:
        size *= 2
    return size


@inner
def start(prefix: Any, fusion: Fusion) -> None:
    """The empty text before the first frame."""
    prefix.blank, prefix.weight = 1.0, 1.0
    prefix.last, prefix.finished_state = -1, -1
    prefix.state, prefix.trie, prefix.hot = fusion.rules.begin_state, ROOT, BETWEEN


@inner
def rest(prefixes: Array, count: int) -> None:
    """A frame of nothing but blank: all alignments now end in one, and the order of the prefixes stays."""
    for index in range(count):
        prefixes[index].blank += prefixes[index].token
        prefixes[index].token = 0.0


@inner
def hold(prefixes: Array, count: int, candidates: Candidates, frame: Frame, blank: int) -> float:
    """Every prefix stays as it is, by a blank or by its last token held. Returns the best score."""
    best = 0.0
    for index in range(count):
        candidates.records[index] = prefixes[index]
        new = candidates.records[index]
        total = new.blank + new.token
        new.token = new.token * frame.of_token[new.last] if new.last >= 0 else 0.0
        new.blank = total * frame.of_token[blank]
        new.share = new.blank + new.token
        best = max(best, new.share * new.weight)
        slot = find(candidates, new.key, new.last)
        candidates.slots[slot] = index
        candidates.taken[index] = slot
    return best


@inner
def grow(
    prefixes: Array,
    count: int,
    candidates: Candidates,
    frame: Frame,
    blank: int,
    floor: float,
    reference: float,
    pieces: Pieces,
    fusion: Fusion,
) -> int:
    """Every prefix grows by every token, into a text that is there already or a new one. Returns how many there are."""
    found = count
    for index in range(count):
        prefix = prefixes[index]
        at_boundary = 1 if prefix.trie == ROOT else 0
        total = prefix.blank + prefix.token
        for at in range(len(frame.tokens)):
            piece = frame.tokens[at]
            if piece == blank:
                continue
            # A token that follows itself is a new one only after a blank.
            probability = (prefix.blank if piece == prefix.last else total) * frame.probs[at]
            if probability == 0.0:
                continue
            key = prefix.key * pieces.power[at_boundary, piece] + pieces.hash[at_boundary, piece]
            slot = find(candidates, key, piece)
            if candidates.slots[slot] < 0:
                new = candidates.records[found]
                if not read_piece(prefix, piece, pieces, fusion, new):
                    continue
                new.weight = math.exp(new.language + new.ahead - reference)
                if probability * new.weight < floor:
                    continue
                new.key, new.last = key, piece
                new.blank, new.token, new.share = 0.0, 0.0, 0.0
                candidates.slots[slot] = found
                candidates.taken[found] = slot
                found += 1
            new = candidates.records[candidates.slots[slot]]
            new.token += probability
            if probability > new.share:  # the largest share says which tokens and frames spell the text
                new.share, new.node, new.parent = probability, -1, prefix.node
    return found


@inner
def find(candidates: Candidates, key: int, last: int) -> int:
    """The slot of the text `key` with the last token `last`: where it stands, or the empty one where it would."""
    mask = len(candidates.slots) - 1
    mixed = (np.uint64(key) + np.uint64(last + 1) * _TOKEN_MIX) * _MIX
    slot: int = np.int64(mixed >> _HALF) & mask
    while candidates.slots[slot] >= 0:
        record = candidates.records[candidates.slots[slot]]
        if record.key == key and record.last == last:
            break
        slot = (slot + 1) & mask
    return slot


@inner
def keep_best(
    candidates: Candidates,
    found: int,
    scores: Array,
    prefixes: Array,
    limits: Limits,
    history: Array,
    nodes: int,
    time: int,
) -> tuple[int, int, int]:
    """Copy the best candidates into `prefixes` and note new ones in the history. Returns count, nodes, best one."""
    best = 0.0
    for index in range(found):
        record = candidates.records[index]
        scores[0, index] = (record.blank + record.token) * record.weight
        best = max(best, scores[0, index])
    floor = best * math.exp(-limits.margin)
    if found > limits.beam:
        scores[1, :found] = scores[0, :found]
        floor = max(floor, nth_largest(scores[1], found, limits.beam))
    count, leader = 0, 0
    for index in range(found):
        if scores[0, index] < floor or scores[0, index] == 0.0 or count == limits.beam:
            continue
        prefixes[count] = candidates.records[index]
        kept = prefixes[count]
        if kept.node < 0:
            history[nodes, 0], history[nodes, 1], history[nodes, 2] = kept.parent, kept.last, time
            kept.node = nodes
            nodes += 1
        if scores[0, index] == best:
            leader = count
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
def normalise(prefixes: Array, count: int, leader: int) -> float:
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


@inner
def finish(prefixes: Array, count: int, scale: float, pieces: Pieces, fusion: Fusion) -> tuple[Array, Array, Array]:
    """Complete open words, add up prefixes of the same text, and sort: acoustic, language, node, best first."""
    keys = np.empty(count, np.uint64)
    mass, share = np.zeros(count), np.zeros(count)
    language = np.empty(count)
    node = np.empty(count, np.int32)
    texts = 0
    for forgiving in (False, True):  # a closed lexicon may leave nothing that ends on a whole word: then take it open
        for index in range(count):
            prefix = prefixes[index]
            key = prefix.key
            if prefix.trie != ROOT:
                key = key * pieces.boundary[1] + pieces.boundary[0]
            text = 0
            while text < texts and keys[text] != key:
                text += 1
            if text == texts:
                language[text] = finish_text(prefix, fusion, forgiving)
                if language[text] == -np.inf:
                    continue
                keys[text], mass[text], share[text] = key, 0.0, -1.0
                texts += 1
            total = prefix.blank + prefix.token
            mass[text] += total
            if total > share[text]:
                share[text], node[text] = total, prefix.node
        if texts > 0:
            break
    acoustic = np.log(mass[:texts]) + scale
    order = np.argsort(-(acoustic + language[:texts]))
    return acoustic[order], language[:texts][order], node[:texts][order]


@kernel
def trace(history: Array, node: int) -> tuple[Array, Array]:
    """The tokens and their frames that lead to `node`."""
    length, at = 0, node
    while at > 0:
        length, at = length + 1, history[at, 0]
    tokens, frames = np.empty(length, np.int32), np.empty(length, np.int32)
    at = node
    while at > 0:
        length -= 1
        tokens[length], frames[length] = history[at, 1], history[at, 2]
        at = history[at, 0]
    return tokens, frames
