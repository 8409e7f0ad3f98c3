"""A recurrent language model: a GRU that foretells the next character or word piece of a sentence.

It has no vocabulary of words, so no word is unknown to it, and it remembers more than the few words of an n-gram.
Too slow for every step of a beam search, it rescores whole sentences: the n-best list of the decoder.

Token 0, the acoustic model's blank, stands for the sentence boundary: it is read first and foretold last.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from asr.config import validate
from asr.errors import DataError, ModelError, UsageError
from asr.former_names import modernize_keys
from asr.io import parse_json, write_text
from asr.lm.ngram import Ints
from asr.lm.rnn_network import BOUNDARY, PADDING, RecurrentConfig, RecurrentNetwork, Steps
from asr.text.normalize import get_normalizer
from asr.text.tokenizer import WORD_START, Tokenizer, load_tokenizer
from asr.weights import load_weights, write_weights

LONGEST_SAMPLE = 1000
NUMBERS_AT_ONCE = 1 << 24
"""Numbers of the output layer, or of the gates of a layer, in memory at once."""
MEMORY = 16
"""Tokens after which it does not matter how texts of an n-best list began."""
KIND = "recurrent language model"


def with_other_pieces(origin: RecurrentModel, tokenizer: Tokenizer, dropout: float) -> RecurrentNetwork:
    """The network of `origin` for the pieces of another tokenizer, to be trained further.

    A piece that both have keeps its embedding; another begins as the mean of those of the old pieces that spell it, as
    far as they do: characters that the old ones lack are passed over.
    """
    config = replace(origin.network.config, dropout=dropout)
    network = RecurrentNetwork(config, len(tokenizer.vocabulary))
    kept = origin.network.state_dict()
    embedding, bias = kept.pop("embedding.weight"), kept.pop("bias")
    network.load_state_dict(kept, strict=False)
    old = {piece: [index] for index, piece in enumerate(origin.tokenizer.vocabulary)}
    characters = set("".join(origin.tokenizer.vocabulary[1:])) - {WORD_START}
    with torch.no_grad():
        for index, piece in enumerate(tokenizer.vocabulary):
            spelled = old.get(piece) or origin.tokenizer.encode("".join(filter(characters.__contains__, piece)))
            if spelled:
                network.embedding.weight[index] = embedding[spelled].mean(0)
                network.bias[index] = bias[spelled].sum()  # log-odds of a piece: of all that it is made of
    return network


def widened(origin: RecurrentModel, units: int, dropout: float) -> RecurrentNetwork:
    """The network of `origin` with more units, to be trained further: it foretells the same at first.

    What was learned keeps its place among the first units; nothing listens to the new ones yet, which begin at random
    (that a larger network need not begin from nothing: Chen et al., "Net2Net", 2016). Raises `UsageError` for fewer
    units than it has.
    """
    old_units = origin.network.config.units
    if units < old_units:
        raise UsageError(f"the model to go on from has {old_units} units, more than {units}")
    network = RecurrentNetwork(
        replace(origin.network.config, units=units, dropout=dropout), len(origin.tokenizer.vocabulary)
    )
    new = network.state_dict()  # shares the memory of the parameters
    for name, learned in origin.network.state_dict().items():
        rows = new[name]
        if name.startswith("gru."):
            learned, rows = learned.unflatten(0, (3, -1)), rows.unflatten(0, (3, -1))  # the gates r, z, n
            rows = rows[:, :old_units]
        rows.zero_()
        rows[tuple(slice(size) for size in learned.shape)] = learned
    return network


def pad_sentences(sentences: Sequence[Sequence[int] | Ints]) -> tuple[Tensor, Tensor]:
    """What the network reads and what it shall foretell, both (B, U + 1): the boundary goes before and after.

    Shorter sentences are padded; their targets say so, and the network, which looks back only, never minds.
    """
    whole = [F.pad(torch.as_tensor(sentence, dtype=torch.long), (1, 1), value=BOUNDARY) for sentence in sentences]
    inputs = pad_sequence([each[:-1] for each in whole], batch_first=True, padding_value=BOUNDARY)
    return inputs, pad_sequence([each[1:] for each in whole], batch_first=True, padding_value=PADDING)


class _Tree:
    """What shall be read to score sentences: a node for each beginning, or for each last `MEMORY` tokens after it."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        """How many sentences each list has."""
        self._nodes: list[list[tuple[int, int]]] = [[(0, BOUNDARY)]]
        """Of each level its nodes: the place of the one before in the level before, and the token that is read."""
        self._edges: list[list[tuple[int, int, int]]] = [[]]
        """Of each level what is foretold there: the place of the node, the token, and the number of the sentence."""

    @property
    def sentences(self) -> int:
        return sum(self.sizes)

    def add(self, nbest: Sequence[Sequence[int]]) -> None:
        """Add the sentences of a list, the best first."""
        known: dict[tuple[int, ...], tuple[int, int]] = {}
        for sentence, tokens in enumerate(nbest, self.sentences):
            level = place = 0
            for end, token in enumerate([*tokens, BOUNDARY]):
                self._edges[level].append((place, token, sentence))
                if end < len(tokens):
                    # Shorter only at the beginning: there it is all that was said.
                    last = tuple(tokens[max(0, end + 1 - MEMORY) : end + 1])
                    level, place = known.get(last) or known.setdefault(last, self._grow(level + 1, place, token))
        self.sizes.append(len(nbest))

    def levels(self, device: torch.device) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
        """Of each level parents and tokens of its nodes, then nodes, tokens and sentences of what is foretold."""
        for nodes, edges in zip(self._nodes, self._edges, strict=True):
            parents, tokens = torch.tensor(nodes, device=device).T
            yield parents, tokens, *torch.tensor(edges, dtype=torch.long, device=device).view(-1, 3).T

    def _grow(self, level: int, parent: int, token: int) -> tuple[int, int]:
        if level == len(self._nodes):
            self._nodes.append([])
            self._edges.append([])
        self._nodes[level].append((parent, token))
        return level, len(self._nodes[level]) - 1


@dataclass(frozen=True, eq=False)
class RecurrentModel:
    """A network that learns no more, with its tokenizer and the name of the normalizer of its texts."""

    network: RecurrentNetwork
    tokenizer: Tokenizer
    normalizer: str
    dtype: torch.dtype = torch.float32
    """The arithmetic of the products of `rescore`."""
    int8: bool = False
    """Whether those with the states are of whole numbers."""

    @cached_property
    def _steps(self) -> Steps:
        return Steps(self.network.eval(), self.dtype, self.int8)

    def rescore(self, texts: Sequence[str]) -> list[float]:
        """Natural-log probability of each text as a whole sentence, its end included.

        A text is first written as the model's normalizer writes; an empty one is the sentence that ends at once. In
        float32 the result does not depend on which texts come together. Raises `DataError` naming characters that the
        normalizer cannot write or the tokenizer does not have.
        """
        return [score for (score,) in self.rescore_nbests([[text] for text in texts])]

    @torch.inference_mode()
    def rescore_nbests(self, nbests: Sequence[Sequence[str]]) -> list[list[float]]:
        """The same for the texts of n-best lists, which have most of their words in common.

        In a list, what several texts begin with is read once, and so is what follows wherever the last `MEMORY` tokens
        are the same again: the model then remembers the beginning of the first of these texts (the n-gram approximation
        of lattice rescoring, Liu et al. 2016, doi:10.1109/TASLP.2016.2558826). Other lists change nothing.
        """
        at_once = NUMBERS_AT_ONCE // max(len(self.tokenizer.vocabulary), 3 * self.network.config.units)
        scores: list[list[float]] = []
        tree = _Tree()
        for nbest in nbests:
            if tree.sentences and tree.sentences + len(nbest) > at_once:
                scores += self._score(tree)
                tree = _Tree()
            tree.add([self._encode(text) for text in nbest])
        return scores + self._score(tree)

    def _score(self, tree: _Tree) -> list[list[float]]:
        """The log-probabilities of the sentences in a tree, list by list: a step of the network for each level."""
        device = self.network.bias.device
        scores = torch.zeros(tree.sentences, device=device)
        states = self._steps.begin(1)
        for parents, tokens, nodes, follow, sentences in tree.levels(device):
            log_probs, states = self._steps.read(tokens, states[:, parents])
            scores.index_add_(0, sentences, log_probs[nodes, follow])
        return [part.tolist() for part in scores.split(tree.sizes)]

    def unreadable(self, letters: Sequence[str]) -> list[str]:
        """Those of `letters` that `rescore` would refuse inside a word."""
        # Between two others, for what a normalizer makes of an apostrophe depends on its neighbors.
        other = next(filter(str.isalpha, letters), "")
        return [letter for letter in letters if not self._reads(f"{other}{letter}{other}")]

    @torch.inference_mode()
    def sample(self, generator: torch.Generator, temperature: float = 1.0) -> str:
        """One sentence drawn from the model; cut after 1,000 tokens. Low temperatures write what is likely."""
        token, states = BOUNDARY, self._steps.begin(1)
        written: list[int] = []
        while len(written) < LONGEST_SAMPLE:
            log_probs, states = self._steps.read(torch.tensor([token]), states)
            chances = torch.softmax(log_probs[0] / temperature, 0)
            token = int(torch.multinomial(chances, 1, generator=generator))
            if token == BOUNDARY:
                break
            written.append(token)
        return self.tokenizer.decode(written)

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(get_normalizer(self.normalizer)(text))

    def _reads(self, text: str) -> bool:
        try:
            self._encode(text)
        except DataError:
            return False
        return True


def word_perplexity(log_probs: Sequence[float], sentences: Sequence[str]) -> float:
    """Perplexity of whole sentences per word, their ends counted as words: what an n-gram of words reports, too.

    Raises `DataError` when there are no sentences.
    """
    if not sentences:
        raise DataError("the text to measure on is empty")
    words = sum(len(sentence.split()) + 1 for sentence in sentences)
    return math.exp(-sum(log_probs) / words)


def save_recurrent(
    folder: Path | str,
    model: RecurrentModel,
    weights: dict[str, Tensor] | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """Write a folder with `config.json`, `model.safetensors` (float16) and the tokenizer.

    `weights` replaces the network's own (an average, for instance); `facts` of the training are for the reader.
    """
    folder = Path(folder)
    model.tokenizer.save(folder)
    write_weights(folder / "model.safetensors", model.network.state_dict() if weights is None else weights)
    description = {
        "kind": KIND,
        "network": asdict(model.network.config),
        "vocabulary": len(model.tokenizer.vocabulary),
        "normalizer": model.normalizer,
        "training": facts or {},
    }
    write_text(folder / "config.json", json.dumps(description, indent=1) + "\n")


def load_recurrent(folder: Path | str) -> RecurrentModel:
    """Load what `save_recurrent` wrote. Raises `ModelError` naming what is missing, torn or something else."""
    folder = Path(folder)
    try:
        description = modernize_keys(dict(parse_json((folder / "config.json").read_text(encoding="utf-8"))))
        if description.get("kind") != KIND:
            raise ModelError(
                f"{folder} is not a recurrent language model", "Train one with `asr train`, `task: rnn_lm`."
            )
        network = RecurrentNetwork(
            validate(RecurrentConfig, description["network"], str(folder)), description["vocabulary"]
        )
        normalizer = str(description["normalizer"])
        get_normalizer(normalizer)
    except FileNotFoundError as error:
        hint = "Train a recurrent language model with `asr train`, `task: rnn_lm`."
        if (folder / "best" / "config.json").is_file():
            hint = f"The model of that training is {folder / 'best'}."
        raise ModelError(f"{error.filename or folder} is missing", hint) from error
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, UsageError) as error:
        raise ModelError(f"the language model {folder} is damaged: {error}") from error
    load_weights(network, folder / "model.safetensors")
    tokenizer = load_tokenizer(folder)
    if len(tokenizer.vocabulary) != description["vocabulary"]:
        raise ModelError(f"the tokenizer in {folder} does not belong to the network beside it")
    return RecurrentModel(network.eval(), tokenizer, normalizer)
