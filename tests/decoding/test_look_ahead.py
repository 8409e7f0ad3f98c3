"""The table of look-ahead beside a plain reading of the model and the lexicon."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.decoding.kernels.look_ahead import DEPTH, NO_WORD, build_look_ahead
from asr.decoding.lexicon_trie import LexiconTrie, build_trie
from asr.lm.lookup import lookup_arrays
from asr.lm.ngram import CONTROL_WORDS, NgramModel
from tests.lm.test_ngram import random_model

ALPHABET = ["A", "B", "C"]


def spelled(lexicon: LexiconTrie) -> list[str]:
    """What each node of the trie spells."""
    texts = [""] * len(lexicon.letter)
    for node in range(len(texts)):
        for child in range(lexicon.first_child[node], lexicon.first_child[node + 1]):
            texts[child] = texts[node] + ALPHABET[lexicon.letter[child] - 1]
    return texts


def bigrams(model: NgramModel, context: int) -> dict[int, float]:
    """The words listed after the word `context`, with their log-probabilities."""
    if model.order == 1:
        return {}
    children = slice(model.first_child[1 + context], model.first_child[2 + context])
    return dict(zip(model.word[children].tolist(), model.log_prob[children].tolist(), strict=True))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    n_words=st.integers(3, 30),
    order=st.integers(1, 3),
    spellings=st.lists(st.text(alphabet="ABC", min_size=1, max_size=4), min_size=60, max_size=60),
)
def test_it_holds_the_best_listed_bigram_of_every_beginning(seed, n_words, order, spellings):
    model = random_model(seed, n_words, order)
    words = len(model.words)
    ids = np.arange(CONTROL_WORDS, words).repeat(2)  # each is spelled in two ways, perhaps alike, perhaps like others
    spellings = spellings[: len(ids)]
    lexicon = build_trie(spellings, ids, model.log_prob[1 + ids], ALPHABET)
    table = build_look_ahead(lookup_arrays(model), words, lexicon)
    texts = spelled(lexicon)

    for node, text in enumerate(texts):
        below = {int(word) for word, way in zip(ids, spellings, strict=True) if way.startswith(text)}
        assert table.only[node] == (below.pop() if node and len(below) == 1 else NO_WORD)
    for context in range(words):
        expected: dict[str, float] = {}
        listed = bigrams(model, context)
        for word, way in zip(ids.tolist(), spellings, strict=True):
            for length in range(min(DEPTH, len(way)) + 1 if word in listed else 0):
                expected[way[:length]] = max(expected.get(way[:length], -np.inf), listed[word])
        part = slice(table.first[context], table.first[context + 1])
        nodes = table.node[part].tolist()
        assert nodes == sorted(nodes)
        assert dict(zip([texts[node] for node in nodes], table.log_prob[part].tolist(), strict=True)) == expected
