"""The g2p: a prediction is the same in any company, strange characters harm nobody, and what is loaded was saved."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from asr.errors import ModelError
from asr.lexicon import g2p as g2p_module
from asr.lexicon.g2p import G2P, G2PConfig, load_g2p, pad_words
from asr.lexicon.phones import LETTERS, SYMBOLS, letters_of


def talkative(seed: int = 3) -> G2P:
    """A tiny g2p with random weights that hears phones in most words."""
    torch.manual_seed(seed)
    g2p = G2P(G2PConfig(hidden=8, embedding=6))
    g2p.phones.weight.data *= 20
    return g2p.eval()


G2P_FILE = talkative()
letters = st.text(LETTERS, min_size=1, max_size=25)


@settings(max_examples=30, deadline=None)
@given(st.lists(letters, min_size=1, max_size=8))
def test_a_prediction_does_not_depend_on_the_other_words(words: list[str]) -> None:
    assert G2P_FILE.predict(words) == [G2P_FILE.predict([word])[0] for word in words]


@settings(max_examples=30, deadline=None)
@given(letters, st.integers(1, 30))
def test_padding_changes_nothing(word: str, more: int) -> None:
    with torch.inference_mode():
        alone, steps = G2P_FILE(*pad_words([word]))
        padded, lengths = G2P_FILE(*pad_words([word, "A" * (len(word) + more)]))
    assert int(steps[0]) == int(lengths[0]) == 2 * len(word) == alone.shape[1]
    torch.testing.assert_close(padded[0, : alone.shape[1]], alone[0], atol=1e-4, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_text_is_read_by_its_letters(words: list[str]) -> None:
    predictions = G2P_FILE.predict(words)
    assert predictions == G2P_FILE.predict([letters_of(word) for word in words])
    assert all(set(prediction) <= set(SYMBOLS) for prediction in predictions)


@pytest.mark.parametrize(
    ("word", "read"),
    [
        ("DON'T", "DON'T"),
        ("don’t", "DON'T"),
        ("'TIS", "'TIS"),
        ("Café", "CAFE"),
        ("CAFE\u0301", "CAFE"),
        ("Straße", "STRASSE"),
        ("Ærø", "AERO"),
        ("Łódź", "LODZ"),
        ("well-known", "WELLKNOWN"),
        ("R2D2", "RD"),
        ("a℅b", "ACOB"),
        ("ﬁne", "FINE"),
        ("日本", ""),
        ("\ud800", ""),
        ("\0\t\n", ""),
        ("▁<blank>", "BLANK"),
        ("", ""),
    ],
)
def test_letters(word: str, read: str) -> None:
    assert letters_of(word) == read


def test_words_without_letters_and_endless_ones_are_not_predicted() -> None:
    assert G2P_FILE.predict(["", "'", "'''", "42", "日本", "AB" * 51]) == [""] * 6
    assert G2P_FILE.predict(["AB" * 50]) != [""]
    assert G2P_FILE.predict([]) == []


def test_many_words_are_predicted_in_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["AN", "ELEPHANT", "THE", "A", "INCOMPREHENSIBLE", "OF", "ANTS"]
    expected = G2P_FILE.predict(words)
    monkeypatch.setattr(g2p_module, "LETTERS_AT_ONCE", 8)
    assert G2P_FILE.predict(words) == expected


def test_predicting_in_the_midst_of_training_uses_no_dropout_and_goes_back() -> None:
    g2p = talkative().train()
    assert g2p.predict(["ELEPHANT"] * 3) == G2P_FILE.predict(["ELEPHANT"] * 3)
    assert g2p.training


def test_saved_and_loaded_in_half_precision(tmp_path: Path) -> None:
    path = tmp_path / "g2p.safetensors"
    G2P_FILE.save(path)
    loaded = load_g2p(path)
    assert not loaded.training
    for name, tensor in G2P_FILE.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor.half().float()), name
    assert all(parameter.requires_grad for parameter in loaded.parameters())
    again = tmp_path / "again.safetensors"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_loading_leaves_the_random_generator_alone(tmp_path: Path) -> None:
    G2P_FILE.save(tmp_path / "g2p.safetensors")
    before = torch.random.get_rng_state()
    load_g2p(tmp_path / "g2p.safetensors")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_sizes_are_those_of_the_description() -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in G2P(G2PConfig()).state_dict().items()}
    assert shapes["letters.weight"] == (28, 128)
    assert shapes["spread.weight"] == (640, 128)
    assert shapes["layers.1.backwards.weight_ih_l0"] == (480, 320)
    assert shapes["phones.weight"] == (40, 320)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99])
def test_a_torn_file_is_named(share: float, tmp_path: Path) -> None:
    path = tmp_path / "g2p.safetensors"
    G2P_FILE.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ModelError, match=r"g2p\.safetensors is damaged"):
        load_g2p(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"g2p\.safetensors"):
        load_g2p(tmp_path / "g2p.safetensors")


@pytest.mark.parametrize(
    "change",
    [
        {"phones.weight": torch.zeros(40, 10**5)},
        {"phones.weight": torch.zeros(40, 15)},
        {"phones.weight": torch.zeros(40)},
        {"phones.bias": torch.zeros(41)},
        {"letters.weight": torch.zeros(29, 6)},
        {"norms.2.weight": torch.zeros(16)},
        {"surplus": torch.zeros(1)},
    ],
    ids=lambda change: " ".join(f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor in change.items()),
)
def test_another_network_is_refused(change: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "g2p.safetensors"
    G2P_FILE.save(path)
    save_file(load_file(path) | change, path)
    with pytest.raises(ModelError, match=r"g2p\.safetensors does not hold a G2P model"):
        load_g2p(path)
