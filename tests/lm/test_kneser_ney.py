"""Training: a tiny text worked out by hand, and any text against a slow, plain form of the formulas."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import UsageError
from asr.lm.kneser_ney import FALLBACK, discounts_of, train_ngram
from asr.lm.ngram import BEGIN_ID, END_ID, NgramModel
from asr.lm.text import most_frequent, number_words, tokenize
from tests.lm.test_ngram import ngrams_of


def probabilities(model: NgramModel) -> dict[str, float]:
    """`context word` → p(word | context), and its back-off under `context word *`."""
    table = {}
    for ngram, (log_prob, backoff, _) in ngrams_of(model).items():
        text = " ".join(model.words[index] for index in ngram)
        table[text] = math.exp(log_prob)
        table[f"{text} *"] = math.exp(backoff)
    return table


def test_a_tiny_text_by_hand() -> None:
    """Bigrams `<s> a` 2, `a a` 1, `a b` 2, `b </s>` 2, too few for discounts of their own: 1/2, 1, 3/2 are taken.

    Unigrams count what stands before: a 2, b 1, </s> 1. γ = (1 + 1/2 + 1/2) / 4, over 4 words: 1/8 for each.
    """
    model = train_ngram(tokenize(["a a b", "a b"]), order=2).model
    expected = {
        "<unk>": 1 / 8,
        "a": (2 - 1) / 4 + 1 / 8,
        "b": (1 - 1 / 2) / 4 + 1 / 8,
        "</s>": (1 - 1 / 2) / 4 + 1 / 8,
        "<s> *": 1 / 2,
        "a *": (1 / 2 + 1) / 3,
        "b *": 1 / 2,
        "<s> a": (2 - 1) / 2 + 1 / 2 * 3 / 8,
        "a a": (1 - 1 / 2) / 3 + 1 / 2 * 3 / 8,
        "a b": (2 - 1) / 3 + 1 / 2 * 1 / 4,
        "b </s>": (2 - 1) / 2 + 1 / 2 * 1 / 4,
    }
    found = probabilities(model)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-7)
    assert model.counts == [5, 4]


def test_a_cutoff_moves_its_share_to_the_backoff() -> None:
    """Without `a a`, seen once: the back-off of `a` gets the whole count and `a b` stays as it was."""
    model = train_ngram(tokenize(["a a b", "a b"]), order=2, cutoffs=[1]).model
    found = probabilities(model)
    assert "a a" not in found
    assert found["a *"] == pytest.approx((1 + 1) / 3)
    assert found["a b"] == pytest.approx((2 - 1) / 3 + 2 / 3 * 1 / 4)


def test_discounts_by_hand() -> None:
    # n1 = 6, n2 = 2, n3 = 1, n4 = 1; Y = 6 / (6 + 4)
    assert discounts_of(np.array([1, 6, 2, 1, 1, 1])) == pytest.approx(
        (1 - 1.2 * 2 / 6, 2 - 1.8 * 1 / 2, 3 - 2.4 * 1 / 1)
    )
    assert discounts_of(np.array([0, 2, 1, 0, 0, 0])) == FALLBACK


def plain_kneser_ney(sentences: list[str], order: int, cutoffs: list[int]) -> dict[tuple[str, ...], float]:
    """p(last word | the words before) of every n-gram that the cut-offs keep, from the definition."""
    raw: Counter[tuple[str, ...]] = Counter()
    for sentence in sentences:
        words = ["<s>", *sentence.split(), "</s>"]
        for n in range(1, order + 1):
            raw.update(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    before = defaultdict(set)
    for ngram in raw:
        before[ngram[1:]].add(ngram[0])
    adjusted = {g: raw[g] if len(g) == order or g[0] == "<s>" else len(before[g]) for g in raw if g != ("<s>",)}
    of_order = {n: [count for ngram, count in adjusted.items() if len(ngram) == n] for n in range(1, order + 1)}
    discounts = {
        n: discounts_of(np.bincount(np.minimum(np.array(counts, int), 5), minlength=6))
        for n, counts in of_order.items()
    }
    kept = {g for g in adjusted if len(g) == 1 or raw[g] > cutoffs[len(g) - 2]}
    n_words = len({g for g in raw if len(g) == 1})  # with <unk>, without <s>

    def taken(ngram: tuple[str, ...]) -> float:
        count = adjusted[ngram]
        return discounts[len(ngram)][min(count, 3) - 1] if ngram in kept else count

    def prob(history: tuple[str, ...], word: str) -> float:
        followers = [g for g in adjusted if g[:-1] == history]
        total = sum(adjusted[g] for g in followers)
        shorter = prob(history[1:], word) if history else 1 / n_words
        if not total:
            return shorter
        own = adjusted.get((*history, word), 0)
        left = own - taken((*history, word)) if own else 0
        return left / total + sum(map(taken, followers)) / total * shorter

    return {g: prob(g[:-1], g[-1]) for g in kept}


cutoff_lists = st.lists(st.integers(0, 2), min_size=3, max_size=3).map(sorted)
texts = st.lists(st.lists(st.sampled_from("abcd"), max_size=8).map(" ".join), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(sentences=texts, order=st.integers(1, 4), cutoffs=cutoff_lists)
def test_any_text_gives_what_the_formulas_say(sentences: list[str], order: int, cutoffs: list[int]) -> None:
    model = train_ngram(tokenize(sentences), order, cutoffs[: order - 1]).model
    expected = plain_kneser_ney(sentences, order, cutoffs)
    for ngram, probability in expected.items():
        state = 0
        for index in model.word_ids(ngram[:-1]):
            state = model.score(state, index)[1]
        log_prob, _ = model.score(state, model.vocabulary[ngram[-1]])
        assert log_prob == pytest.approx(math.log(probability), abs=1e-5), ngram
    listed = {tuple(model.words[i] for i in g) for g in ngrams_of(model)} - {(), ("<s>",), ("<unk>",)}
    assert listed == set(expected)


def assert_sums_to_one(model: NgramModel) -> None:
    contexts = [node for ngram, (_, _, node) in ngrams_of(model).items() if len(ngram) < model.order]
    for node in contexts:
        if model.word[node] == END_ID:
            continue  # nothing follows the end of a sentence
        state = model.state(node)
        words = (word for word in range(len(model.words)) if word != BEGIN_ID)
        total = sum(math.exp(model.score(state, word)[0]) for word in words)
        assert total == pytest.approx(1, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(sentences=texts, order=st.integers(1, 4), cutoffs=cutoff_lists)
def test_probabilities_sum_to_one(sentences: list[str], order: int, cutoffs: list[int]) -> None:
    assert_sums_to_one(train_ngram(tokenize(sentences), order, cutoffs[: order - 1]).model)


def test_the_vocabulary_limit_makes_the_rest_unknown() -> None:
    sentences = ["b a c a", "a b d"]
    tokens = tokenize(sentences, most_frequent([number_words(sentences)], [1.0], limit=2))
    assert tokens.words == ["<unk>", "<s>", "</s>", "a", "b"]
    assert tokens.unknown == 2
    model = train_ngram(tokens, order=2).model
    # `<unk>` is learned as a word: it was seen after a and after b
    assert {"a <unk>", "b <unk>", "<unk> a", "<unk> </s>"} <= set(probabilities(model))
    assert_sums_to_one(model)


def test_a_vocabulary_limit_does_not_distort_the_discounts() -> None:
    """Counts of words 1, 1, 1, 1, 2, 2, 3, 4 give discounts; when the four rare ones are unknown they must not."""
    text = ["a"] * 4 + ["b"] * 3 + ["c", "d"] * 2 + ["e", "f", "g", "h"]
    assert train_ngram(tokenize(text), order=1).discounts[0] != FALLBACK
    frequent = tokenize(text, most_frequent([number_words(text)], [1.0], limit=4))
    assert train_ngram(frequent, order=1).discounts[0] == FALLBACK


@pytest.mark.parametrize("cutoffs", [[1], [1, 0], [0, 0, 0]])
def test_impossible_cutoffs_are_refused(cutoffs: list[int]) -> None:
    with pytest.raises(UsageError, match="cut-offs"):
        train_ngram(tokenize(["a b"]), order=3, cutoffs=cutoffs)


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(UsageError, match="no words"):
        train_ngram(tokenize([]), order=3)
