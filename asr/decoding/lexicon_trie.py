"""The known words as a trie of letters, each node with the best word that can still come of it.

The trie tells the search what half a word may become: `best` is scored ahead as soon as letters are heard, so that
pruning sees the language model before the word ends, and is taken back when the word completes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.decoding.pieces import BOUNDARY
from asr.errors import ModelError

ROOT = 0  # no letter of a word has been heard

Array = NDArray[Any]


class LexiconTrie(NamedTuple):
    """`N` nodes, breadth first. The children of node `i` are `first_child[i] : first_child[i + 1]`, by letter."""

    letter: Array  # (N,) int16
    first_child: Array  # (N + 1,) int32
    first_word: Array  # (N + 1,) int32, `word[first_word[i] : first_word[i + 1]]` end in node i
    word: Array  # int32, ids; several in one node are spelled alike
    best: Array  # (N,) float32, largest log-probability of the words that begin so


def build_trie(
    words: Sequence[str], ids: Sequence[int] | Array, log_probs: Array, alphabet: Sequence[str]
) -> LexiconTrie:
    """The trie of `words` with their language model `ids` and unigram `log_probs` (natural log).

    Words that are spelled alike are all kept. Raises `ModelError` that names the characters missing in `alphabet`.
    """
    order, letters = _sorted_letters(words, alphabet)
    index = np.asarray(ids, np.int32)[order]
    value = np.asarray(log_probs, np.float32)[order]
    lengths = (letters != BOUNDARY).sum(axis=1)

    # `node` is the trie node of each word's first `depth` letters; words that share them are neighbors.
    node = np.zeros(len(letters), np.int64)
    layers = [np.zeros(1, np.int16)]
    parents = [np.zeros(1, np.int64)]
    word, ending, best = [], [np.zeros(1, np.int64)], [value.max(initial=-np.inf, keepdims=True)]
    total = 1
    for depth in range(letters.shape[1]):
        alive = lengths > depth
        node, letters, lengths, index, value = (part[alive] for part in (node, letters, lengths, index, value))
        column = letters[:, depth]
        begins = np.ones(len(node), np.bool_)
        begins[1:] = (node[1:] != node[:-1]) | (column[1:] != column[:-1])
        layers.append(column[begins])
        parents.append(node[begins])
        count = int(begins.sum())
        local = np.cumsum(begins) - 1
        ends = lengths == depth + 1
        word.append(index[ends])
        ending.append(np.bincount(local[ends], minlength=count))
        best.append(np.maximum.reduceat(value, np.flatnonzero(begins)))
        node = total + local
        total += count
    parent = np.concatenate(parents)
    first_child = 1 + np.searchsorted(parent[1:], np.arange(total + 1))
    return LexiconTrie(
        letter=np.concatenate(layers),
        first_child=first_child.astype(np.int32),
        first_word=np.cumsum(np.concatenate([[0], *ending])).astype(np.int32),
        word=np.concatenate([*word, index[:0]]),
        best=np.concatenate(best).astype(np.float32),
    )


def _sorted_letters(words: Sequence[str], alphabet: Sequence[str]) -> tuple[Array, Array]:
    """The sorting order of `words`, and in that order their letters `(W, longest)`, filled up with 0."""
    spelled = np.array(words, dtype=np.str_)
    codes = spelled.reshape(-1, 1).view(np.uint32)
    letter_of = np.full(1 + max([int(codes.max(initial=0)), *map(ord, alphabet)]), -1, np.int16)
    letter_of[0] = BOUNDARY  # beyond the end of a shorter word
    letter_of[[ord(letter) for letter in alphabet]] = np.arange(1, len(alphabet) + 1)
    letters = letter_of[codes]
    if (letters < 0).any():
        named = " ".join(sorted({chr(code) for code in codes[letters < 0].tolist()}))
        raise ModelError(
            f"the language model spells words with characters that the tokenizer lacks: {named}",
            "Use a language model trained on text in the tokenizer's own letters and letter case.",
        )
    order = np.argsort(spelled, kind="stable")  # linear where they are sorted already
    return order, letters[order]
