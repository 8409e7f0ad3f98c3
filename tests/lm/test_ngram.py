"""The trie: scores worked out by hand, the compiled walk equal to the plain one, and samples of what it says."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.lm import lookup
from asr.lm.arpa import NgramTable, build_model, row_keys
from asr.lm.kneser_ney import train_ngram
from asr.lm.ngram import ROOT, NgramModel, distribution, sample_sentence
from asr.lm.text import tokenize

WORDS = ["<unk>", "<s>", "</s>", "a", "b"]


def table(*rows: tuple[tuple[int, ...], float, float]) -> NgramTable:
    """Rows of (word ids, probability, log back-off)."""
    return NgramTable(
        np.array([row[0] for row in rows], np.int32),
        np.log(np.array([row[1] for row in rows])).astype(np.float32),
        np.array([row[2] for row in rows], np.float32),
    )


@pytest.fixture(scope="module")
def trigram() -> NgramModel:
    unigrams = [((0,), 0.1, 0.0), ((1,), 1e-9, -0.1), ((2,), 0.2, 0.0), ((3,), 0.3, -0.2), ((4,), 0.4, -0.3)]
    # (a b) is missing: it is the suffix of (<s> a b) and the prefix of (a b </s>).
    return build_model(
        WORDS,
        [table(*unigrams), table(((1, 3), 0.5, -0.5)), table(((1, 3, 4), 0.7, 0.0), ((3, 4, 2), 0.8, 0.0))],
    )


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("a b", math.log(0.5 * 0.7 * 0.8)),
        ("b a", -0.1 + math.log(0.4) - 0.3 + math.log(0.3) - 0.2 + math.log(0.2)),
        ("a a", math.log(0.5) - 0.5 - 0.2 + math.log(0.3) - 0.2 + math.log(0.2)),
        ("zebra", -0.1 + math.log(0.1) + math.log(0.2)),
        ("", -0.1 + math.log(0.2)),
    ],
)
def test_a_sentence_scores_as_worked_out_by_hand(trigram: NgramModel, sentence: str, expected: float) -> None:
    assert trigram.score_sentence(sentence.split()) == pytest.approx(expected, abs=1e-6)


def test_a_sentence_may_stay_open(trigram: NgramModel) -> None:
    assert trigram.score_sentence(["a", "b"], end=False) == pytest.approx(math.log(0.5 * 0.7), abs=1e-6)


def test_missing_ngrams_are_repaired_without_changing_a_score(trigram: NgramModel) -> None:
    assert trigram.counts == [5, 3, 2]
    state = trigram.score(ROOT, 3)[1]
    # log p(b | a) by backing off; as float32
    assert trigram.score(state, 4)[0] == pytest.approx(-0.2 + math.log(0.4), abs=1e-6)
    assert trigram.score(state, 2)[0] == pytest.approx(-0.2 + math.log(0.2), abs=1e-6)


def test_states_remember_only_what_can_matter(trigram: NgramModel) -> None:
    assert trigram.score(ROOT, 0)[1] == ROOT  # <unk> is no context here
    assert trigram.score(ROOT, 2)[1] == ROOT
    assert trigram.score(ROOT, 3)[1] == 1 + 3


def random_model(seed: int, n_words: int, order: int) -> NgramModel:
    """A model with random rows: not normalized, closed or sorted, as files may be."""
    rng = np.random.default_rng(seed)
    tables = []
    for n in range(1, order + 1):
        ids = np.array(list(product(range(n_words), repeat=n)), np.int32)
        ids = ids if n == 1 else ids[rng.random(len(ids)) < 0.2]
        ids = rng.permutation(ids)
        backoff = -rng.random(len(ids)) * (rng.random(len(ids)) < 0.7) * (n < order)
        tables.append(NgramTable(ids, -5 * rng.random(len(ids)).astype(np.float32), backoff.astype(np.float32)))
    return build_model(["<unk>", "<s>", "</s>", *(f"w{i:02}" for i in range(n_words - 3))], tables)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n_words=st.integers(3, 6), order=st.integers(1, 4))
def test_the_walk_equals_the_definition(seed: int, n_words: int, order: int) -> None:
    model = random_model(seed, n_words, order)
    listed = ngrams_of(model)

    def definition(history: tuple[int, ...], word: int) -> float:
        if (*history, word) in listed:
            return listed[(*history, word)][0]
        backoff = listed[history][1] if history in listed else 0.0
        return backoff + definition(history[1:], word)

    ids = np.random.default_rng(seed).integers(0, n_words, 40)
    state, compiled_state = ROOT, ROOT
    arrays = lookup.lookup_arrays(model)
    for position, word in enumerate(ids.tolist()):
        expected = definition(tuple(ids[max(0, position - order + 1) : position].tolist()), word)
        plain, state = model.score(state, word)
        compiled, compiled_state = lookup.score(arrays, compiled_state, word)
        assert plain == pytest.approx(expected, abs=1e-4)
        assert compiled == pytest.approx(plain, abs=1e-5)
        assert compiled_state == state


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n_words=st.integers(3, 6), order=st.integers(2, 4))
def test_every_prefix_and_suffix_is_listed(seed: int, n_words: int, order: int) -> None:
    model = random_model(seed, n_words, order)
    listed = ngrams_of(model)
    assert len(listed) == len(model.word)
    assert all(ngram[:-1] in listed and ngram[1:] in listed for ngram in listed if ngram)
    nodes = {ngram: node for ngram, (_, _, node) in listed.items()}
    assert all(model.suffix[node] == nodes[ngram[1:]] for ngram, node in nodes.items() if ngram)


def ngrams_of(model: NgramModel) -> dict[tuple[int, ...], tuple[float, float, int]]:
    """N-gram → (log-probability, back-off, node), by walking down the trie."""
    found, open_nodes = {}, [(ROOT, ())]
    while open_nodes:
        node, ngram = open_nodes.pop()
        found[ngram] = (float(model.log_prob[node]), float(model.backoff[node]), node)
        if len(ngram) < model.order:
            for child in range(model.first_child[node], model.first_child[node + 1]):
                open_nodes.append((child, (*ngram, int(model.word[child]))))
    return found


@given(n_words=st.sampled_from([3, 5000, 1 << 20, (1 << 31) - 1]), columns=st.integers(1, 6), seed=st.integers(0, 99))
def test_row_keys_sort_like_rows(n_words: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = rng.integers(0, n_words, 4)
    first, second = pool[rng.integers(0, 4, (30, columns))], pool[rng.integers(0, 4, (20, columns))]
    keys = np.concatenate(row_keys(n_words, first, second)).tolist()
    rows = [tuple(row) for row in np.concatenate([first, second]).tolist()]
    ranks = {row: rank for rank, row in enumerate(sorted(set(rows)))}
    key_ranks = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    assert [ranks[row] for row in rows] == [key_ranks[key] for key in keys]


SENTENCES = ["the lamp burned low", "the wind went round the house", "she closed the door", "the door closed"]


def model() -> NgramModel:
    return train_ngram(tokenize(SENTENCES), order=3).model


def test_the_distribution_is_that_of_the_walk() -> None:
    lm = model()
    for state in range(len(lm.word)):
        if lm.state(state) == state:
            walked = [lm.score(state, word)[0] for word in range(len(lm.words))]
            np.testing.assert_allclose(distribution(lm, state), walked, atol=1e-6)


def test_the_same_seed_writes_the_same() -> None:
    lm = model()
    first, second, other = (sample_sentence(lm, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == second != other


def test_a_cold_model_writes_the_likeliest_sentence() -> None:
    lm = model()
    assert sample_sentence(lm, np.random.default_rng(0), temperature=1e-4).startswith("the ")
    assert set(sample_sentence(lm, np.random.default_rng(3)).split()) <= set(lm.words[3:])
