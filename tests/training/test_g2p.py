"""Learning G2P: a few words by heart within seconds, the seed decides, and what cannot be learned is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.errors import DataError
from asr.lexicon.g2p import G2P, G2PConfig, load_g2p
from asr.lexicon.lexicon import Entries
from asr.trainer.distributed import World
from asr.trainer.logger import read_metrics
from asr.trainer.optimizer import OptimizerConfig, ScheduleConfig
from asr.trainer.trainer import LoopConfig, Trainer
from asr.training.g2p import G2PExperiment, G2PTask, divide, learnable, word_accuracy

CPU = torch.device("cpu")
LESSON = {
    "CAT": ("kæt",),
    "CATCH": ("kæʧ",),
    "KNIGHT": ("nIt",),
    "BOX": ("bɑks",),
    "EYE": ("I",),
    "READ": ("rid", "rɛd"),
    "COULDN'T": ("kʊdʌnt",),
    "MOUSSAKA": ("musɑkʌ",),
    "BB": ("bibi",),
}
QUICK = LoopConfig(
    epochs=80,
    optimizer=OptimizerConfig(weight_decay=0),
    schedule=ScheduleConfig(peak=0.02, warmup_updates=10, decay="linear"),
    ema_decay=0,
    keep_epochs=0,
)


def trained(folder: Path, words: Entries = LESSON, **changes: object) -> G2P:
    """The best model of a run in `folder`."""
    small = G2PConfig(hidden=24, layers=1, embedding=16, dropout=0.0)
    experiment = replace(G2PExperiment(network=small, batch_words=9, held_out=0, loop=QUICK), **changes)
    task = G2PTask(experiment, CPU, words=words)
    Trainer(task, experiment.loop, folder, World(), CPU).run()
    return load_g2p(folder / "best" / "g2p.safetensors")


def test_a_few_words_are_learned_by_heart(tmp_path: Path) -> None:
    g2p = trained(tmp_path)
    losses = [record["loss"] for record in read_metrics(tmp_path) if record["kind"] == "epoch"]
    assert len(losses) == QUICK.epochs
    assert losses[-1] < 0.1 * losses[0]
    assert g2p.predict(list(LESSON)) == [spoken[0] for spoken in LESSON.values()]
    assert word_accuracy(g2p, LESSON) == 1
    assert word_accuracy(g2p, LESSON | {"DOG": ("kæt",)}) == pytest.approx(0.9)


def test_the_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    def weights(name: str, seed: int) -> dict[str, torch.Tensor]:
        loop = replace(QUICK, epochs=1, seed=seed)
        return trained(tmp_path / name, network=G2PConfig(), batch_words=4, loop=loop).state_dict()

    first, again, other = weights("first", 1), weights("again", 1), weights("other", 2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["phones.weight"], other["phones.weight"])


def test_an_epoch_has_every_word_once_and_goes_on_anywhere() -> None:
    task = G2PTask(G2PExperiment(batch_words=2, held_out=0), CPU, words=LESSON)
    first, again, next_one = (list(task.load(epoch, 0, 1)) for epoch in (0, 0, 1))
    assert sorted(word for batch in first for word in batch) == sorted(task.examples)
    assert first == again != next_one
    assert len(first) == task.batches(0)
    assert list(task.load(0, 1, 2)) == first[1::2]


def test_training_goes_on_from_a_model(tmp_path: Path) -> None:
    before = trained(tmp_path / "before", loop=replace(QUICK, epochs=1))
    experiment = G2PExperiment(init_from=tmp_path / "before" / "best" / "g2p.safetensors")
    task = G2PTask(experiment, CPU, words=LESSON)
    assert all(torch.equal(a, b) for a, b in zip(task.module.parameters(), before.parameters(), strict=True))


def test_the_held_out_words_are_never_learned_and_follow_from_the_seed() -> None:
    words = {chr(65 + number // 26) + chr(65 + number % 26): ("ʌ",) for number in range(200)} | {"A": ("ʌ",)}
    learned, held_out = divide(words, 12, 1)
    assert len(held_out) == 12
    assert learned | held_out == words
    assert not learned.keys() & held_out.keys()
    assert divide(dict(reversed(words.items())), 12, 1)[1] == held_out
    assert divide(words, 12, 2)[1] != held_out
    assert len(divide(words, 2000, 1)[1]) == 20


def test_words_with_too_few_letters_for_their_phones_are_left_out() -> None:
    words = {
        "W": ("dʌbʌlju",),  # 7 phones, 2 steps
        "A": ("E",),
        "BB": ("bbb",),  # 3 phones and 2 blanks between them, 4 steps
        "CC": ("bbk",),
        "café": ("kæfE", "kʌfE"),
        "42": ("f",),
        "DOG": (),
        "AB" * 51: ("ʌ",),
    }
    assert learnable(words) == [("A", "E"), ("CC", "bbk"), ("CAFE", "kæfE")]


@pytest.mark.parametrize("words", [{}, {"42": ("f",)}], ids=str)
def test_nothing_to_learn_from(words: Entries) -> None:
    with pytest.raises(DataError, match="no words to learn"):
        G2PTask(G2PExperiment(), CPU, words=words)
    assert word_accuracy(G2P(G2PConfig(hidden=4, layers=1, embedding=4)), {}) == 0
