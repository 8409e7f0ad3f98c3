"""The sampled softmax: the whole one where all is drawn, close to it where not, and training by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from asr.lm.rnn import RecurrentConfig, RecurrentNetwork, pad_sentences
from asr.training.rnn_lm import RecurrentTask
from asr.training.sampled_softmax import SampledSoftmax
from tests.training.texts import configured, trained

VOCABULARY = 300


def sentences(random: np.random.Generator, count: int) -> list[list[int]]:
    return [random.zipf(1.4, 6).clip(max=VOCABULARY - 1).tolist() for _ in range(count)]


@pytest.fixture
def network() -> RecurrentNetwork:
    torch.manual_seed(3)
    return RecurrentNetwork(RecurrentConfig(16, 24, 1, 0.0), VOCABULARY)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    return pad_sentences(sentences(np.random.default_rng(4), 40))


def test_with_everything_drawn_it_is_the_softmax(
    network: RecurrentNetwork, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    network.requires_grad_(False)
    softmax = SampledSoftmax(torch.ones(VOCABULARY), 100_000)
    exact = network.losses(*batch).sum()
    assert float(softmax.loss(network, *batch, torch.Generator().manual_seed(1))) == pytest.approx(
        float(exact), abs=1e-3
    )


def test_what_is_learned_from_samples_is_the_distribution() -> None:
    """Sentences of one token: with a fifth of the tokens in each sample the network comes to their shares."""
    torch.manual_seed(3)
    random = np.random.default_rng(4)
    shares = 1 / np.arange(1, 61)
    shares /= shares.sum()
    network = RecurrentNetwork(RecurrentConfig(8, 8, 1, 0.0), 61)
    counts = torch.tensor([1000.0, *1000 * shares])
    softmax = SampledSoftmax(counts, 8)
    generator = torch.Generator().manual_seed(2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.03)
    for step in range(250):
        optimizer.param_groups[0]["lr"] = 0.03 * (1 - step / 250)
        tokens = 1 + random.choice(60, (48, 1), p=shares)
        optimizer.zero_grad()
        (softmax.loss(network, *pad_sentences(tokens.tolist()), generator) / 96).backward()
        optimizer.step()
    learned = torch.softmax(network(torch.tensor([[0]]))[0, 0], 0).detach().numpy()[1:]
    assert 0.5 * np.abs(learned - shares).sum() < 0.12
    uncorrected = np.abs(learned - shares**0.4 / (shares**0.4).sum()).sum()
    assert np.abs(learned - shares).sum() < 0.5 * uncorrected


def test_the_sample_holds_what_is_wanted() -> None:
    softmax = SampledSoftmax(torch.tensor([5.0, 1.0, 0.0, 0.0, 100.0]), 2)
    ids, log_included = softmax.sample(torch.tensor([2, 2, 0]), torch.Generator().manual_seed(0))
    assert {0, 2} <= set(ids.tolist())
    assert ids.tolist() == sorted(set(ids.tolist()))
    assert (log_included <= 0).all()


def test_a_run_goes_on_with_more_pieces_and_a_sampled_softmax(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("THE LAMP BURNED LOW\nSHE CLOSED THE DOOR\nTHE WIND WENT ROUND THE HOUSE\nSHE WENT ROUND\n" * 8)
    base = ["network.units=12", "network.embedding=8", "network.dropout=0", "loop.epochs=2", "batch_tokens=40"]
    first = configured([text], [text], tmp_path / "a", [*base, "tokenizer.kind=characters"])
    trained(first)
    goes_on = ["tokenizer.size=26", "sampled=10", f"init_from={tmp_path / 'a' / 'best'}", "other_pieces=true"]
    second = configured([text], [text], tmp_path / "b", [*base, *goes_on])
    task = RecurrentTask(second, torch.device("cpu"))
    assert len(task.tokenizer.vocabulary) == 26
    assert task.network.embedding.weight.shape == (26, 8)
    before = task.validate()["perplexity"]
    trained(second)
    after = RecurrentTask(
        configured([text], [text], tmp_path / "c", [f"init_from={tmp_path / 'b' / 'best'}"]),
        torch.device("cpu"),
    ).validate()["perplexity"]
    assert after < before
