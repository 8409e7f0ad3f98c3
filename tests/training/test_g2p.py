"""Learning: a few words are known by heart within seconds, the seed decides, and what cannot be learned is left out."""

from __future__ import annotations

import pytest
import torch

from asr.errors import DataError
from asr.lexicon.g2p import G2P
from asr.training.g2p import LearningConfig, learnable, train_g2p, word_accuracy

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
QUICK = LearningConfig(epochs=80, batch=9, peak=0.02, warmup=10, weight_decay=0)


def small() -> G2P:
    return G2P(hidden=24, layers=1, embedding=16, dropout=0.0)


def test_a_few_words_are_learned_by_heart() -> None:
    losses: list[float] = []
    torch.manual_seed(1)
    g2p = train_g2p(LESSON, QUICK, small(), lambda epoch, loss: losses.append(loss))
    assert len(losses) == QUICK.epochs
    assert losses[-1] < 0.1 * losses[0]
    assert not g2p.training
    assert g2p.predict(list(LESSON)) == [spoken[0] for spoken in LESSON.values()]
    assert word_accuracy(g2p, LESSON) == 1
    assert word_accuracy(g2p, LESSON | {"DOG": ("kæt",)}) == pytest.approx(0.9)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_generator_alone() -> None:
    def trained(seed: int) -> dict[str, torch.Tensor]:
        return train_g2p(LESSON, LearningConfig(epochs=1, batch=4, seed=seed)).state_dict()

    before = torch.random.get_rng_state()
    first, again, other = trained(1), trained(1), trained(2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["phones.weight"], other["phones.weight"])


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
def test_nothing_to_learn_from(words: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(DataError, match="no words to learn"):
        train_g2p(words)
    assert word_accuracy(small(), {}) == 0
