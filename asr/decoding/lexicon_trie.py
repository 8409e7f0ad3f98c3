"""Pieces as letters, and the known words as a trie of letters.

Different pieces may spell the same text (`▁TH` `E` and `▁THE`). The search merges hypotheses by their text, so it must
know a text cheaply: by a polynomial hash modulo 2^64 over random letter values, which a whole piece extends in one
step. Among 10^5 texts some two collide with a probability of about 10^-10.

The trie tells the search what half a word may become: `best` is scored ahead as soon as letters are read, so that
pruning sees the language model before the word ends, and is taken back when the word completes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr.errors import ModelError
from asr.nn.numba_cache import constant
from asr.text.tokenizer import BLANK, WORD_START

BOUNDARY = 0  # the letter between two words
ROOT = constant(0)  # node of the trie: no letter of a word has been read
_BASE = 0x9E3779B97F4A7C15  # odd, so that multiplying by it loses nothing
_WORD = (1 << 64) - 1
_CONTROL = re.compile(r"<[^<>]*>")  # `<unk>`, `<blank>`, …: names of pieces, not letters to spell

Array = NDArray[Any]


class Pieces(NamedTuple):
    """`V` pieces. Row 0 holds the whole piece, row 1 what is left of it where a boundary already stands."""

    letters: Array  # int16, the letters of all pieces one after the other
    start: Array  # (2, V) int32, where the letters of each piece begin
    end: Array  # (V,) int32, where they end
    hash: Array  # (2, V) uint64
    power: Array  # (2, V) uint64, _BASE to the number of letters
    boundary: Array  # (2,) uint64, hash and power of a boundary alone
    has_letters: Array  # (V,) bool, false for the blank and for control pieces, which never come out


def alphabet_of(vocabulary: Sequence[str]) -> list[str]:
    """The characters that the pieces can spell, sorted, without the word start."""
    return sorted({letter for piece in _spelled(vocabulary) for letter in piece} - {WORD_START})


def build_pieces(vocabulary: Sequence[str], alphabet: Sequence[str]) -> Pieces:
    """Tables for the kernels; letter `1 + i` is `alphabet[i]`, letter 0 the boundary between words."""
    letter_of = {letter: index for index, letter in enumerate(alphabet, start=1)} | {WORD_START: BOUNDARY}
    values = np.random.default_rng(0).integers(1, 1 << 63, size=len(alphabet) + 1, dtype=np.uint64).tolist()
    spelled = [[letter_of[letter] for letter in piece] for piece in _spelled(vocabulary)]
    tails = [letters[1:] if letters[:1] == [BOUNDARY] else letters for letters in spelled]
    end = np.cumsum([len(letters) for letters in spelled], dtype=np.int32)
    forms = [[_hash_of(letters, values) for letters in form] for form in (spelled, tails)]
    return Pieces(
        letters=np.array([letter for letters in spelled for letter in letters], np.int16),
        start=np.array([end - [len(letters) for letters in form] for form in (spelled, tails)], np.int32),
        end=end,
        hash=np.array([[code for code, _ in form] for form in forms], np.uint64),
        power=np.array([[power for _, power in form] for form in forms], np.uint64),
        boundary=np.array(_hash_of([BOUNDARY], values), np.uint64),
        has_letters=np.array([bool(letters) for letters in spelled], np.bool_),
    )


def _hash_of(letters: Sequence[int], values: Sequence[int]) -> tuple[int, int]:
    code, power = 0, 1
    for letter in letters:
        code, power = (code * _BASE + values[letter]) & _WORD, (power * _BASE) & _WORD
    return code, power


def _spelled(vocabulary: Sequence[str]) -> list[str]:
    """Each piece with its blanks as single `▁`; empty for the blank token and for control pieces."""
    return [
        "" if index == BLANK or _CONTROL.fullmatch(piece) else re.sub(rf"[\s{WORD_START}]+", WORD_START, piece)
        for index, piece in enumerate(vocabulary)
    ]


class LexiconTrie(NamedTuple):
    """`N` nodes, breadth first. The children of node `i` are `first_child[i] : first_child[i + 1]`, by letter."""

    letter: Array  # (N,) int16
    first_child: Array  # (N + 1,) int32
    first_word: Array  # (N + 1,) int32, `word[first_word[i] : first_word[i + 1]]` end in node i
    word: Array  # int32, ids; several in one node are spelled alike (homophones, where words are spelled by phones)
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
