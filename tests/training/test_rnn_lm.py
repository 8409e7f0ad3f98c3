"""Training the recurrent language model: what it learns, how it goes on, and what it is told when it cannot."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.errors import DataError, UsageError
from asr.lm.rnn import RecurrentModel, load_recurrent, pad_sentences, save_recurrent
from asr.lm.rnn_network import RecurrentConfig, RecurrentNetwork
from asr.text.tokenizer import CharacterTokenizer
from asr.trainer.checkpoint import load_checkpoint
from asr.training import rnn_lm
from asr.training.rnn_lm import RecurrentTask, SampledSoftmax
from tests.training.texts import configured, trained


@pytest.fixture
def model() -> RecurrentModel:
    torch.manual_seed(0)
    tokenizer = CharacterTokenizer(["a", "b"])
    return RecurrentModel(RecurrentNetwork(RecurrentConfig(8, 16, 2, 0.5), 4), tokenizer, "none")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("the wind went round the house\nshe closed the door\n" * 25 + "the lamp burned low\n")
    return path


SETTINGS = [
    "tokenizer.kind=characters",
    "network.units=32",
    "network.dropout=0",
    "batch_tokens=300",
    "loop.epochs=12",
    "loop.schedule.peak=0.02",
    "loop.schedule.warmup_updates=10",
    "loop.ema_decay=0",
    "loop.precision=float32",
]


def test_training_learns_to_write(text: Path, tmp_path: Path) -> None:
    experiment = configured([text], [text], tmp_path / "whole", SETTINGS)
    best = load_recurrent(trained(experiment))
    likely, unlikely = best.rescore(["SHE CLOSED THE DOOR", "SHE THE CLOSED DOOR"])
    assert likely > unlikely + 2
    assert best.sample(torch.Generator().manual_seed(1), temperature=0.1) in {
        "SHE CLOSED THE DOOR",
        "THE WIND WENT ROUND THE HOUSE",
    }
    with pytest.raises(UsageError, match="already holds a run"):
        trained(experiment)


def test_without_matplotlib_a_run_ends_without_a_picture(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    best = trained(configured([text], [text], tmp_path / "run", [*SETTINGS, "loop.epochs=1"]))
    assert best.is_dir()
    assert not (best.parent / "curves.png").exists()


def test_a_model_goes_on_reading_with_its_own_tokenizer_and_sizes(
    text: Path, model: RecurrentModel, tmp_path: Path
) -> None:
    save_recurrent(tmp_path / "before", model, model.network.state_dict(), {})
    (tmp_path / "more.txt").write_text("a b\nb a\n" * 40)
    settings = [*SETTINGS, f"init_from={tmp_path / 'before'}", "network.dropout=0", "batch_tokens=60"]
    experiment = configured([tmp_path / "more.txt"], [tmp_path / "more.txt"], tmp_path / "on", settings)
    task = RecurrentTask(experiment, torch.device("cpu"))
    before = load_recurrent(tmp_path / "before")
    for name, tensor in task.module.state_dict().items():
        assert torch.equal(tensor, before.network.state_dict()[name])
    assert task.module.config == replace(model.network.config, dropout=0.0)
    after = load_recurrent(trained(experiment))
    assert (after.normalizer, after.tokenizer.vocabulary) == ("none", model.tokenizer.vocabulary)
    assert after.rescore(["a b"])[0] > before.rescore(["a b"])[0] + 0.5


def test_a_model_grows_wider_and_goes_on(model: RecurrentModel, tmp_path: Path) -> None:
    save_recurrent(tmp_path / "before", model)
    text = tmp_path / "more.txt"
    text.write_text("a b\nb a\n" * 40)
    settings = [*SETTINGS, f"init_from={tmp_path / 'before'}", "widen_to=24"]
    after = load_recurrent(trained(configured([text], [text], tmp_path / "on", settings)))
    assert after.network.config.units == 24
    with pytest.raises(UsageError, match="init_from"):
        configured([text], [text], tmp_path / "none", [*SETTINGS, "widen_to=24"]).check()


PIECES = [*SETTINGS, "tokenizer.kind=unigram", "tokenizer.size=22", "loop.epochs=2"]


@pytest.fixture
def begun(text: Path, tmp_path: Path) -> Path:
    """A run of one epoch, in a folder where another tokenizer lay."""
    CharacterTokenizer(["X"]).save(tmp_path / "run" / "tokenizer")
    trained(configured([text], [text], tmp_path / "run", [*PIECES, "loop.epochs=1"]))
    return tmp_path / "run"


def test_a_run_goes_on_with_more_text_and_the_pieces_that_it_began_with(
    text: Path, begun: Path, tmp_path: Path
) -> None:
    pieces = load_recurrent(begun / "best").tokenizer.vocabulary
    (tmp_path / "more.txt").write_text("low wind turned the dust to sand\nno moth burned here\n" * 50)
    more = configured([text, tmp_path / "more.txt"], [text], begun, PIECES)
    anew = RecurrentTask(replace(more, output=tmp_path / "anew"), torch.device("cpu")).tokenizer.vocabulary
    assert len(anew) == len(pieces)
    assert anew != pieces
    trained(more, resume=True)
    assert load_checkpoint(begun / "last.pt")[0].epoch == 2
    assert load_recurrent(begun / "best").tokenizer.vocabulary == pieces


def test_a_run_without_a_kept_tokenizer_goes_on_as_it_began(text: Path, begun: Path) -> None:
    pieces = load_recurrent(begun / "best").tokenizer.vocabulary
    shutil.rmtree(begun / "tokenizer")
    trained(configured([text], [text], begun, PIECES), resume=True)
    assert load_checkpoint(begun / "last.pt")[0].epoch == 2
    assert load_recurrent(begun / "best").tokenizer.vocabulary == pieces


def test_a_run_does_not_go_on_as_another_model(text: Path, begun: Path, model: RecurrentModel, tmp_path: Path) -> None:
    save_recurrent(tmp_path / "other", model)
    settings = [*PIECES, f"init_from={tmp_path / 'other'}", "network.dropout=0"]
    (tmp_path / "capitals.txt").write_text(text.read_text().upper())
    other = configured([tmp_path / "capitals.txt"], [], begun, settings)
    with pytest.raises(UsageError, match="has begun with other tokens"):
        trained(other, resume=True)


def test_an_epoch_can_be_a_share_of_the_text(text: Path, tmp_path: Path) -> None:
    settings = [*SETTINGS, "epoch_batches=2"]
    task = RecurrentTask(configured([text], [], tmp_path / "run", settings), torch.device("cpu"))
    first, again = list(task.load(0, 0, 1)), list(task.load(0, 0, 1))
    assert task.batches(0) == len(first) == 2
    assert all(
        torch.equal(a, b) for one, other in zip(first, again, strict=True) for a, b in zip(one, other, strict=True)
    )
    assert any(not torch.equal(a[0], b[0]) for a, b in zip(first, task.load(1, 0, 1), strict=True))


def test_what_cannot_be_validated_on_is_told_before_training(text: Path, tmp_path: Path) -> None:
    (tmp_path / "foreign.txt").write_text("the ñandú\n")
    settings = [*SETTINGS, "normalizer=none"]
    with pytest.raises(DataError, match="the tokenizer has no 'ñ', 'ú'"):
        RecurrentTask(configured([text], [tmp_path / "foreign.txt"], tmp_path / "run", settings), torch.device("cpu"))


def test_sentences_that_are_left_out_are_told(text: Path, tmp_path: Path) -> None:
    task = RecurrentTask(configured([text], [], tmp_path / "run", [*SETTINGS, "longest=20"]), torch.device("cpu"))
    (described,) = task.describe_data()
    assert described.startswith("26 sentences, ")
    assert described.endswith("; 25 left out, of more than 20 tokens")
    with pytest.raises(UsageError, match="all 51 sentences have more than 3 tokens"):
        RecurrentTask(configured([text], [], tmp_path / "none", [*SETTINGS, "longest=3"]), torch.device("cpu"))


def test_rare_letters_are_among_the_tokens_though_no_sampled_sentence_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rnn_lm, "TOKENIZER_SENTENCES", 1)
    (tmp_path / "text.txt").write_text("".join(f"{letter} {letter}\n" for letter in "abcdefgh"))
    settings = [*SETTINGS, "normalizer=none"]
    task = RecurrentTask(configured([tmp_path / "text.txt"], [], tmp_path / "run", settings), torch.device("cpu"))
    assert task.tokenizer.vocabulary[2:] == list("abcdefgh")


def test_other_pieces_need_a_model_to_go_on_from(text: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="other_pieces needs a model"):
        configured([text], [], tmp_path / "run", ["other_pieces=true"])


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("network.unit=3", r"network\.unit"),
        ("epoch_batches=-2", "epoch_batches must not be negative"),
        ("sampled=-2", "sampled must not be negative"),
        ("threads=-1", "threads must not be negative"),
    ],
)
def test_a_wrong_setting_is_named(text: Path, tmp_path: Path, setting: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        configured([text], [], tmp_path / "run", [setting])


def test_an_empty_text_to_validate_on_is_told(text: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(UsageError, match="the text to validate on has no words"):
        RecurrentTask(configured([text], [tmp_path / "empty.txt"], tmp_path / "run", SETTINGS), torch.device("cpu"))


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
    assert task.module.embedding.weight.shape == (26, 8)
    before = task.validate()["perplexity"]
    trained(second)
    after = RecurrentTask(
        configured([text], [text], tmp_path / "c", [f"init_from={tmp_path / 'b' / 'best'}"]),
        torch.device("cpu"),
    ).validate()["perplexity"]
    assert after < before
