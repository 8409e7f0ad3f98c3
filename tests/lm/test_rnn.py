"""The recurrent model: what it foretells is a distribution, and batching never changes a score."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch

from asr.errors import DataError, ModelError, UsageError
from asr.lm.rnn import (
    RecurrentModel,
    load_recurrent,
    pad_sentences,
    save_recurrent,
    widened,
    with_other_pieces,
    word_perplexity,
)
from asr.lm.rnn_network import BOUNDARY, RecurrentConfig, RecurrentNetwork, Steps
from asr.nn.precision import int8_is_fast
from asr.text.tokenizer import CharacterTokenizer

TEXT = ["ab", "ba", "abba", "a b", "b a a"]


@pytest.fixture
def model() -> RecurrentModel:
    torch.manual_seed(0)
    tokenizer = CharacterTokenizer(["a", "b"])
    return RecurrentModel(RecurrentNetwork(RecurrentConfig(8, 16, 2, 0.5), 4), tokenizer, "none")


def test_what_begins_alike_is_scored_as_by_itself(model: RecurrentModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.lm.rnn.NUMBERS_AT_ONCE", 144)  # three sentences at a time
    texts = ["abba", "abba b", "ab", "", "a b a", "abba b a", "b", "abba"]
    sentences = [model.tokenizer.encode(text) for text in texts]
    model.network.eval()
    losses = [-float(model.network.losses(*pad_sentences([sentence])).detach()) for sentence in sentences]
    assert model.rescore(texts) == pytest.approx(losses, abs=1e-4)
    assert model.rescore_nbests([texts[:5], texts[5:]]) == [
        pytest.approx(losses[:5], abs=1e-4),
        pytest.approx(losses[5:], abs=1e-4),
    ]


def test_texts_of_a_list_that_go_on_alike_are_read_once(model: RecurrentModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand: behind its first two tokens the second text is what the first one has made of the same two."""
    monkeypatch.setattr("asr.lm.rnn.MEMORY", 2)
    tokens = [model.tokenizer.encode(text) for text in ("aab", "bab")]
    steps = Steps(model.network.eval())
    read: list[int] = []
    plain_read = Steps.read

    def counted(self: Steps, tokens: torch.Tensor, states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        read.append(len(tokens))
        return plain_read(self, tokens, states)

    def after(*tokens: int) -> torch.Tensor:
        states = steps.begin(1)
        for token in (BOUNDARY, *tokens):
            log_probs, states = steps.read(torch.tensor([token]), states)
        return log_probs[0]

    first, second = tokens
    wanted = sum(float(after(*second[:end])[second[end]]) for end in range(len(second) - 1))
    # "ab", the last two tokens of both, stands for all of the first.
    wanted += float(after(*second[:-1])[second[-1]]) + float(after(*first)[BOUNDARY])
    exact = model.rescore(["aab"])
    monkeypatch.setattr(Steps, "read", counted)
    scores = model.rescore_nbests([["aab", "bab"], ["bab"]])
    assert read == [1, 3, 3, 2]
    assert scores[0] == pytest.approx([exact[0], wanted], abs=1e-4)
    assert scores[1] == pytest.approx(model.rescore(["bab"]), abs=1e-4)


def test_padding_puts_the_boundary_before_and_after() -> None:
    inputs, targets = pad_sentences([[3, 2], [], [2, 2, 3]])
    assert inputs.tolist() == [[0, 3, 2, 0], [0, 0, 0, 0], [0, 2, 2, 3]]
    assert targets.tolist() == [[3, 2, 0, -1], [0, -1, -1, -1], [2, 2, 3, 0]]


def test_all_sentences_up_to_a_length_and_all_longer_ones_share_probability_one(model: RecurrentModel) -> None:
    """Over the tokens ▁, a, b: p(ends within 4 tokens) from whole sentences equals 1 - p(4 tokens and no end yet)."""
    model.network.eval().requires_grad_(False)
    ended = 0.0
    for length in range(4):
        sentences = list(product([1, 2, 3], repeat=length))
        ended += float(torch.exp(-model.network.losses(*pad_sentences(sentences))).sum())
    unfinished = 0.0
    for sentence in product([1, 2, 3], repeat=4):
        scores = model.network(torch.tensor([[BOUNDARY, *sentence[:-1]]]))
        chosen = torch.log_softmax(scores[0], -1)[range(4), sentence]
        unfinished += float(torch.exp(chosen.sum()))
    assert ended + unfinished == pytest.approx(1, abs=1e-5)


def test_a_long_text_is_read_in_parts_that_fit_into_memory(
    model: RecurrentModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a few letters, what is known of each sentence takes more than the scores of what comes next."""
    sizes = []
    plain_read = Steps.read
    monkeypatch.setattr("asr.lm.rnn.NUMBERS_AT_ONCE", 480)
    monkeypatch.setattr(Steps, "read", lambda steps, *state: sizes.append(len(state[0])) or plain_read(steps, *state))
    model.rescore(["ab"] * 95)
    assert max(sizes) == 10
    assert sum(sizes) == 10 + 2 * 95  # what begins them is one for each part


def test_a_score_does_not_depend_on_its_companions(model: RecurrentModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("asr.lm.rnn.NUMBERS_AT_ONCE", 96)  # two sentences
    alone = [model.rescore([text])[0] for text in TEXT]
    assert model.rescore(TEXT) == pytest.approx(alone, abs=1e-4)
    lists = [TEXT, [], TEXT[:1]]
    scores = model.rescore_nbests(lists)
    assert scores == [pytest.approx(alone, abs=1e-4), [], pytest.approx(alone[:1], abs=1e-4)]
    assert model.rescore([]) == []
    twice = [*TEXT, TEXT[0], f"{TEXT[0]} {TEXT[1]}"]
    assert model.rescore(twice)[: len(TEXT)] == pytest.approx(alone, abs=1e-4)
    inputs, targets = pad_sentences([model.tokenizer.encode(text) for text in TEXT])
    with torch.inference_mode():
        whole = (-model.network.losses(inputs, targets)).tolist()
    assert model.rescore(TEXT) == pytest.approx(whole, abs=1e-4)
    assert model.rescore([""])[0] < 0


def test_whole_sentences_are_read_as_by_pytorch(model: RecurrentModel) -> None:
    """Losses and gradients of our recurrence are those of `nn.GRU`."""
    network = model.network.eval()
    inputs, targets = pad_sentences([[3, 2, 1, 2], [], [2, 2, 3]])
    scores = network.score(network.project(network.gru(network.embedding(inputs))[0]))
    each = torch.nn.functional.cross_entropy(scores.transpose(1, 2), targets, ignore_index=-1, reduction="none")
    ours, theirs = network.losses(inputs, targets), each.sum(1)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    gradients = [torch.autograd.grad(losses.sum(), list(network.parameters())) for losses in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "int8", "tolerance"),
    [(torch.float32, False, 1e-5), (torch.bfloat16, False, 0.05), (torch.float32, True, 0.05)],
)
def test_steps_and_whole_sentences_agree(
    model: RecurrentModel, dtype: torch.dtype, int8: bool, tolerance: float
) -> None:
    if int8 and not int8_is_fast(torch.device("cpu")):
        pytest.skip("the processor has no AVX2")
    steps = Steps(model.network.eval(), dtype, int8)
    inputs, _ = pad_sentences([[3, 2, 1, 2], [3, 1, 1, 1], [2, 2, 3, 1]])
    whole = torch.log_softmax(model.network(inputs), 2)
    states = steps.begin(3)
    for place in range(inputs.shape[1]):
        log_probs, states = steps.read(inputs[:, place], states)
        assert log_probs.dtype == states.dtype == torch.float32
        torch.testing.assert_close(log_probs, whole[:, place], rtol=0, atol=tolerance)


def test_a_wider_network_foretells_the_same_at_first_and_learns_with_all_its_units(model: RecurrentModel) -> None:
    network = widened(model, 20, 0.0).eval()
    inputs, targets = pad_sentences([[3, 2, 1, 2], [], [2, 2, 3]])
    assert network.config == replace(model.network.config, units=20, dropout=0.0)
    torch.testing.assert_close(network(inputs), model.network.eval()(inputs), rtol=0, atol=1e-5)
    network.losses(inputs, targets).sum().backward()
    assert network.project.weight.grad is not None
    assert bool((network.project.weight.grad[:, 16:] != 0).all())
    with pytest.raises(UsageError, match="16 units"):
        widened(model, 12, 0.0)


def test_pieces_of_new_characters_begin_anew(model: RecurrentModel) -> None:
    network = with_other_pieces(model, CharacterTokenizer(["a", "ñ"]), 0.0)
    old, new = model.network.embedding.weight, network.embedding.weight
    assert torch.equal(new[:3], old[:3])
    assert not torch.isin(new[3], old).any()


def test_foreign_letters_are_named(model: RecurrentModel) -> None:
    with pytest.raises(DataError, match="'z'"):
        model.rescore(["az"])


def test_texts_are_read_as_its_normalizer_writes_them() -> None:
    torch.manual_seed(0)
    tokenizer = CharacterTokenizer(["'", "A", "B"])
    model = RecurrentModel(RecurrentNetwork(RecurrentConfig(8, 16), 5), tokenizer, "librispeech")
    assert model.rescore(["a-b", "”b'a” á"]) == model.rescore(["A B", "B'A A"])
    assert model.unreadable(["a", "'", "B", "É", "-", "1"]) == ["É", "1"]
    assert model.unreadable([]) == []


def test_what_it_cannot_read_is_told_in_advance(model: RecurrentModel) -> None:
    assert model.unreadable(["a", "b", "z", "'"]) == ["z", "'"]


def test_an_empty_text_is_the_end_at_once(model: RecurrentModel) -> None:
    scores = model.network.eval()(torch.tensor([[BOUNDARY]]))
    wanted = torch.log_softmax(scores[0, 0], 0)[BOUNDARY].item()
    assert model.rescore(["", " "]) == pytest.approx([wanted, wanted])


def test_saved_and_loaded_it_says_the_same(model: RecurrentModel, tmp_path: Path) -> None:
    model.network.load_state_dict({name: t.half().float() for name, t in model.network.state_dict().items()})
    save_recurrent(tmp_path, model)
    again = load_recurrent(tmp_path)
    assert again.rescore(TEXT) == model.rescore(TEXT)
    assert again.normalizer == "none"


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_folder_is_named(model: RecurrentModel, tmp_path: Path, file: str) -> None:
    save_recurrent(tmp_path, model)
    content = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=tmp_path.name):
        load_recurrent(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(ModelError, match=r"missing"):
        load_recurrent(tmp_path)


def test_an_unknown_normalizer_is_a_damage(model: RecurrentModel, tmp_path: Path) -> None:
    save_recurrent(tmp_path, RecurrentModel(model.network, model.tokenizer, "what"))
    with pytest.raises(ModelError, match="unknown normalizer 'what'"):
        load_recurrent(tmp_path)


@pytest.mark.parametrize("change", [{"vocabulary": "four"}, {"network": {"units": -1}}, {"normalizer": None}, 5])
def test_a_description_that_makes_no_sense_is_a_damage(model: RecurrentModel, tmp_path: Path, change: object) -> None:
    save_recurrent(tmp_path, model)
    path = tmp_path / "config.json"
    description = json.loads(path.read_text())
    path.write_text(json.dumps(description | change if isinstance(change, dict) else change))
    with pytest.raises(ModelError, match="is damaged"):
        load_recurrent(tmp_path)


def test_another_kind_of_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"acoustic": {}}))
    with pytest.raises(ModelError, match="not a recurrent language model"):
        load_recurrent(tmp_path)


def test_perplexity_counts_words_and_ends() -> None:
    # 2 sentences, 3 words, 2 ends: each of the five foretold with 1/10
    assert word_perplexity([-3 * math.log(10), -2 * math.log(10)], ["a b", "c"]) == pytest.approx(10)
