"""A back-off n-gram language model of words, held as a forward trie in flat arrays.

Every n-gram is a node. Nodes are numbered order by order: node 0 is the root (the empty context), node `1 + w` is the
unigram of word `w`, then all bigrams, and so on. The children of a node lie together in the next order's block, sorted
by word, so a lookup is one binary search, and a whole model is five arrays that compiled kernels can walk
(`asr.lm.lookup`).

Reading a word `w` in the context `h` follows Katz (1987) as written down in every ARPA file:

    log p(w | h) = log_prob[h w]                     if the n-gram is listed,
                   backoff[h] + log p(w | h')        otherwise, where h' is h without its first word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
UNKNOWN_ID, BEGIN_ID, END_ID = 0, 1, 2
SPECIAL_WORDS = [UNKNOWN, BEGIN, END]
CONTROL_WORDS = len(SPECIAL_WORDS)
ROOT = 0

Ints = NDArray[np.int32]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NgramModel:
    """The trie. `N` nodes in all, of them `C` of an order below `order`; arrays that say `node` hold node numbers.

    A state is one of those `C`: the words that can still matter. The children of node `i` are the nodes
    `first_child[i] : first_child[i + 1]`.
    """

    order: int
    words: list[str]  # id → word: `<unk>`, `<s>`, `</s>`, then the others
    word: Ints  # (N,) last word of the n-gram, -1 at the root
    log_prob: Floats  # (N,) natural log of p(last word | the words before it)
    backoff: Floats  # (N,) natural log, 0 where the n-gram is no context
    first_child: Ints  # (C + 1,) node
    suffix: Ints  # (N,) node of the same n-gram without its first word

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Word → id."""
        return {word: index for index, word in enumerate(self.words)}

    @cached_property
    def blocks(self) -> list[slice]:
        """The nodes of each order: `blocks[n]` are the n-grams of n words, `blocks[0]` is the root alone."""
        starts = [0]
        for _ in range(self.order + 1):
            starts.append(int(self.first_child[starts[-1]]) if starts[-1] < len(self.first_child) else len(self.word))
        return [slice(start, end) for start, end in pairwise(starts)]

    @cached_property
    def parent(self) -> Ints:
        """(N,) the prefix node of every node; the root is its own."""
        children = np.diff(self.first_child)
        return np.concatenate([[0], np.repeat(np.arange(len(children)), children)]).astype(np.int32)

    @property
    def counts(self) -> list[int]:
        """The number of n-grams of orders 1, 2, …"""
        return [block.stop - block.start for block in self.blocks[1:]]

    def word_ids(self, words: Iterable[str]) -> list[int]:
        """The ids of `words`; a word outside the vocabulary becomes `<unk>`."""
        return [self.vocabulary.get(word, UNKNOWN_ID) for word in words]

    def begin_state(self) -> int:
        """The state at the start of a sentence, after `<s>`."""
        return self.state(1 + BEGIN_ID)

    def state(self, node: int) -> int:
        """The longest suffix of the n-gram `node` that is a context worth remembering.

        A node without children and with back-off 0 predicts exactly as its suffix does, so hypotheses that end in
        either may be merged; so do n-grams of the highest order, which are never contexts.
        """
        first, contexts = self.first_child, len(self.first_child) - 1
        while node >= contexts or (first[node + 1] == first[node] and self.backoff[node] == 0):
            node = int(self.suffix[node])
        return node

    def score(self, state: int, word: int) -> tuple[float, int]:
        """Natural-log probability of the word id `word` in `state`, and the state after it."""
        total = 0.0
        while state != ROOT:
            first, end = self.first_child[state], self.first_child[state + 1]
            node = int(first + np.searchsorted(self.word[first:end], word))
            if node < end and self.word[node] == word:
                return total + float(self.log_prob[node]), self.state(node)
            total += float(self.backoff[state])
            state = int(self.suffix[state])
        return total + float(self.log_prob[1 + word]), self.state(1 + word)

    def score_sentence(self, words: Sequence[str], *, end: bool = True) -> float:
        """Natural-log probability of a whole sentence from `<s>`, with `</s>` unless `end` is false."""
        state, total = self.begin_state(), 0.0
        for word in [*self.word_ids(words), *([END_ID] if end else [])]:
            log_prob, state = self.score(state, word)
            total += log_prob
        return total


def block_starts(counts: Sequence[int]) -> list[int]:
    """The first node of each order (0, 1, 2, …) and the total, for `counts` n-grams of orders 1, 2, …"""
    starts = [0, 1]
    for count in counts:
        starts.append(starts[-1] + count)
    return starts


def link(
    words: list[str], starts: Sequence[int], word: Ints, log_prob: Floats, backoff: Floats, parent: Ints, suffix: Ints
) -> NgramModel:
    """The trie of nodes that know their `parent` (N,), children of one parent side by side; what follows is derived."""
    first_child = (np.searchsorted(parent[1:], np.arange(starts[-2] + 1)) + 1).astype(np.int32)
    return NgramModel(
        order=len(starts) - 2,
        words=words,
        word=word,
        log_prob=log_prob,
        backoff=backoff,
        first_child=first_child,
        suffix=suffix,
    )


LONGEST = 200


def sample_sentence(model: NgramModel, generator: np.random.Generator, temperature: float = 1.0) -> str:
    """One sentence, without the unknown word; cut after 200 words. Low temperatures write what is likely."""
    state = model.begin_state()
    words: list[str] = []
    while len(words) < LONGEST:
        scores = distribution(model, state) / temperature
        scores[[UNKNOWN_ID, BEGIN_ID]] = -np.inf
        probabilities = np.exp(scores - scores.max())
        word = int(generator.choice(len(scores), p=probabilities / probabilities.sum()))
        if word == END_ID:
            break
        words.append(model.words[word])
        _, state = model.score(state, word)
    return " ".join(words)


def distribution(model: NgramModel, state: int) -> Doubles:
    """Natural-log probability (V,) of every word in `state`: the shortest context first, overwritten by longer ones."""
    contexts = []
    while state != ROOT:
        contexts.append(state)
        state = int(model.suffix[state])
    scores = model.log_prob[model.blocks[1]].astype(np.float64)
    for context in reversed(contexts):
        listed = slice(model.first_child[context], model.first_child[context + 1])
        scores += model.backoff[context]
        scores[model.word[listed]] = model.log_prob[listed]
    return scores
