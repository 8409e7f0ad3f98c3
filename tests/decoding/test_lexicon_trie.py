from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding.lexicon_trie import LexiconTrie, build_trie
from asr.errors import ModelError

ALPHABET = ["'", "A", "B", "C", "É"]
words_of_alphabet = st.text(alphabet="".join(ALPHABET), min_size=1, max_size=6)


def walk(lexicon: LexiconTrie, prefix: str) -> int | None:
    """The node of `prefix`, found without the kernel's search."""
    node = 0
    for letter in prefix:
        children = range(lexicon.first_child[node], lexicon.first_child[node + 1])
        found = [child for child in children if lexicon.letter[child] == 1 + ALPHABET.index(letter)]
        if not found:
            return None
        [node] = found
    return node


def ending(lexicon: LexiconTrie, node: int) -> list[int]:
    return lexicon.word[lexicon.first_word[node] : lexicon.first_word[node + 1]].tolist()


@given(st.lists(words_of_alphabet, max_size=30, unique=True), st.randoms(use_true_random=False))
def test_every_word_and_the_best_continuation_of_every_beginning_is_found(words, random):
    log_probs = np.array([-random.uniform(0, 9) for _ in words], np.float32)
    lexicon = build_trie(words, range(3, 3 + len(words)), log_probs, ALPHABET)
    beginnings = {word[:length] for word in words for length in range(len(word) + 1)} | {""}
    assert len(lexicon.letter) == len(beginnings)
    for beginning in beginnings:
        node = walk(lexicon, beginning)
        assert ending(lexicon, node) == ([3 + words.index(beginning)] if beginning in words else [])
        following = [value for word, value in zip(words, log_probs, strict=True) if word.startswith(beginning)]
        assert lexicon.best[node] == max(following, default=-np.inf)


def test_words_that_are_spelled_alike_end_in_one_node():
    lexicon = build_trie(["A", "AB", "A"], [7, 5, 3], np.array([-1.0, -2.0, -0.5], np.float32), ALPHABET)
    assert ending(lexicon, walk(lexicon, "A")) == [7, 3]
    assert ending(lexicon, walk(lexicon, "AB")) == [5]
    assert lexicon.best[walk(lexicon, "A")] == -0.5


def test_characters_that_the_tokenizer_lacks_are_named():
    with pytest.raises(ModelError, match="lacks: D ß"):
        build_trie(["AB", "DAß"], [3, 4], np.zeros(2, np.float32), ALPHABET)
