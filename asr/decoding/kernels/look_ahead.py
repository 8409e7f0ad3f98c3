"""What the word before says of the word that begins: look-ahead by bigrams.

Ortmanns, Ney and Eiden, "Language-model look-ahead for large vocabulary speech recognition", 1996; that a back-off
model needs only its listed bigrams for it: Nolden, Ney and Schlüter, "Exploiting sparseness of backing-off language
models for efficient look-ahead in LVCSR", 2011.

The table holds the first letters of a word alone (most often they are phones). Deeper within it the context goes on
being worth what it was there, until a single word is left, whose own probability is then known in the highest order.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.decoding.kernels import inner, kernel
from asr.decoding.lexicon_trie import ROOT, LexiconTrie
from asr.lm.lookup import Ngrams

DEPTH = 2  # letters; a table of 3 is larger and saves no more errors
NO_WORD = -1  # in place of a word's id: none, or one that is not known
_UNSEEN = -2

Array = NDArray[Any]


class LookAhead(NamedTuple):
    """For `W` words, and the `N` nodes of a lexicon, of which `S` are at most `DEPTH` letters deep."""

    only: Array  # (N,) int32, the word that alone is left in or below a node, or NO_WORD
    first: Array  # (W + 1,) int32; the beginnings of what is listed to follow word w are in `first[w] : first[w + 1]`:
    node: Array  # int32, below S, sorted; ROOT first
    log_prob: Array  # float32, of the likeliest bigram that begins so, natural log


def build_look_ahead(ngrams: Ngrams, words: int, lexicon: LexiconTrie) -> LookAhead:
    """The table of a model of `words` words, whose ids the lexicon has."""
    nodes = len(lexicon.letter)
    parent = np.zeros(nodes, np.int32)
    parent[1:] = np.repeat(np.arange(nodes), np.diff(lexicon.first_child))
    only = np.full(nodes, _UNSEEN, np.int32)
    find_only(parent, lexicon.first_word, lexicon.word, only)

    second = lexicon.first_child[lexicon.first_child[ROOT]]
    shallow = int(lexicon.first_child[second]) if second < nodes else nodes
    beginning = np.arange(nodes, dtype=np.int32)
    while (deep := beginning >= shallow).any():
        beginning[deep] = parent[beginning[deep]]
    by_word = np.argsort(lexicon.word, kind="stable")
    beginnings = np.repeat(beginning, np.diff(lexicon.first_word))[by_word]
    first_beginning = np.searchsorted(lexicon.word[by_word], np.arange(words + 1)).astype(np.int32)

    # A word without bigrams needs no room, one with many as much as there are nodes. What is never written is free.
    bigrams = np.diff(ngrams[3][1 : words + 2], append=ngrams[3][-1:])[:words]
    spellings = int(np.diff(first_beginning).max(initial=0))
    room = int(np.minimum((DEPTH + 1) * spellings * bigrams, shallow).sum())
    first, node, log_prob = np.zeros(words + 1, np.int32), np.empty(room, np.int32), np.empty(room, np.float32)
    best, seen = np.full(shallow, -np.inf, np.float32), np.empty(shallow, np.int32)
    size = list_beginnings(ngrams, parent, first_beginning, beginnings, first, node, log_prob, best, seen)
    return LookAhead(only, first, node[:size].copy(), log_prob[:size].copy())


@kernel
def find_only(parent: Array, first_word: Array, word: Array, only: Array) -> None:
    """Fill `LookAhead.only`; nodes stand behind their parents."""
    for node in range(len(parent) - 1, ROOT, -1):
        for at in range(first_word[node], first_word[node + 1]):
            if only[node] == _UNSEEN:
                only[node] = word[at]
            elif only[node] != word[at]:
                only[node] = NO_WORD
        above = parent[node]
        if only[above] == _UNSEEN:
            only[above] = only[node]
        elif only[above] != only[node]:
            only[above] = NO_WORD
    only[ROOT] = NO_WORD


@kernel
def list_beginnings(
    ngrams: Ngrams,
    parent: Array,
    first_beginning: Array,
    beginnings: Array,
    first: Array,
    node: Array,
    log_prob: Array,
    best: Array,
    seen: Array,
) -> int:
    """Fill the rest of `LookAhead` and return its size.

    Word `w` begins as the nodes `beginnings[first_beginning[w] : first_beginning[w + 1]]`. `best` and `seen` are
    scratch of (S,), the first -inf.
    """
    word, bigram_log_prob, _, first_child, _ = ngrams
    size = 0
    for context in range(len(first) - 1):
        found = np.int64(0)  # see `asr.nn.numba_cache.constant`
        if context + 2 < len(first_child):
            for bigram in range(first_child[1 + context], first_child[2 + context]):
                value = bigram_log_prob[bigram]
                for at in range(first_beginning[word[bigram]], first_beginning[word[bigram] + 1]):
                    here = beginnings[at]
                    while value > best[here]:  # else all above it has as good a one already
                        if best[here] == -np.inf:
                            seen[found] = here
                            found += 1
                        best[here] = value
                        here = parent[here]
        sort(seen, found, best)
        for at in range(found):
            node[size], log_prob[size] = seen[at], best[seen[at]]
            best[seen[at]] = -np.inf
            size += 1
        first[context + 1] = size
    return size


@inner
def sort(seen: Array, found: int, best: Array) -> None:
    """Sort the first `found` of the nodes that were seen: many by looking at all that there are, few by insertion."""
    if found > len(best) // 16:
        found = 0
        for here in range(len(best)):
            if best[here] > -np.inf:
                seen[found] = here
                found += 1
        return
    for at in range(1, found):
        here = seen[at]
        while at > 0 and seen[at - 1] > here:
            seen[at] = seen[at - 1]
            at -= 1
        seen[at] = here
