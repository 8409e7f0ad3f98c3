"""Learning phones beside pieces: from what is listed, on from a model, and what cannot be learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.errors import UsageError
from asr.lexicon import Lexicon
from asr.lexicon.g2p import G2P
from asr.lexicon.phones import VOCABULARY
from asr.model.average import average_models
from asr.model.bundle import load_saved_model
from asr.training.acoustic import AcousticTask
from asr.training.run import run_task
from tests.training.experiments import experiment

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lexicon of every word that four letters can make in the tests' speech, and an ignorant speller."""
    folder = tmp_path_factory.mktemp("spoken")
    torch.manual_seed(1)
    sounds = dict(zip("ABCD", "ʌbkd", strict=True))
    words = {first + second: [sounds[first] + sounds[second]] for first in "ABCD" for second in "ABCD"}
    words |= {letter: [sound] for letter, sound in sounds.items()}
    Lexicon(words, G2P(hidden=4, layers=1, embedding=4)).save(folder)
    return folder


def task(folder: Path, spoken: Path, *overrides: str) -> AcousticTask:
    return AcousticTask(experiment(folder, f"lexicon={spoken}", *overrides), CPU, quiet=True)


def test_every_target_has_its_sounds(tmp_path: Path, spoken: Path) -> None:
    subject = task(tmp_path, spoken)
    assert subject.module.config.phones
    for batch in subject.load(0, 0, 1):
        for tokens, phones in zip(batch.targets, batch.phones, strict=True):
            assert phones == subject.lexicon.encode(subject.tokenizer.decode(tokens))
        loss = subject.loss(batch, torch.Generator().manual_seed(1))
        assert torch.isfinite(loss.value)
        assert set(loss.sums) == {"loss", "blanks", "tokens", "steps", "phone_loss", "phones"}


@pytest.mark.parametrize(("weight", "idle"), [(0.0, "phones"), (1.0, "output")])
def test_the_weight_shares_the_loss_between_pieces_and_phones(
    tmp_path: Path, spoken: Path, weight: float, idle: str
) -> None:
    subject = task(tmp_path, spoken, f"phone_weight={weight}", "intermediate_layer=0")
    batch = next(subject.load(0, 0, 1))
    subject.loss(batch, torch.Generator().manual_seed(1)).value.backward()
    gradients = {name: float(getattr(subject.module, name).weight.grad.abs().sum()) for name in ("output", "phones")}
    assert [name for name, size in gradients.items() if size == 0.0] == [idle]


def test_the_lower_block_is_asked_for_phones(tmp_path: Path, spoken: Path) -> None:
    subject = task(tmp_path, spoken, "phone_weight=0", "intermediate_layer=1")
    batch = next(subject.load(0, 0, 1))
    subject.loss(batch, torch.Generator().manual_seed(1)).value.backward()
    assert float(subject.module.phones.weight.grad.abs().sum()) > 0


def test_what_has_more_sounds_than_steps_is_left_out(tmp_path: Path, spoken: Path) -> None:
    words = {"D" + letter: ["ʌb" * 50] for letter in "ABCD"}
    Lexicon(words, G2P(hidden=4, layers=1, embedding=4)).save(tmp_path / "long")
    listed = task(tmp_path, spoken).left_out
    longer = AcousticTask(experiment(tmp_path, f"lexicon={tmp_path / 'long'}"), CPU, quiet=True).left_out
    assert not listed
    assert longer
    assert all("steps needed" in reason for reason in longer.values())


def test_a_model_hears_phones_and_others_go_on_from_it(tmp_path: Path, spoken: Path) -> None:
    config = experiment(tmp_path, f"lexicon={spoken}", "loop.epochs=1")
    run_task(config, quiet=True)
    best = config.output / "best"
    model = load_saved_model(best)
    assert model.lexicon.lookup(["AB"]) == {"AB": ("ʌb",)}
    signal, lengths = torch.randn(1, 16000), torch.tensor([16000])
    log_probs, _ = model.network.recognize(*model.network.features(signal, lengths), phones=True)
    assert log_probs.shape[2] == len(VOCABULARY)
    subject = AcousticTask(experiment(tmp_path / "on", f"init_from={best}"), CPU, quiet=True)
    for name, tensor in subject.module.state_dict().items():
        assert torch.equal(tensor, model.network.state_dict()[name])
    assert next(subject.load(0, 0, 1)).phones
    average_models([best, best], tmp_path / "mean")
    assert load_saved_model(tmp_path / "mean").lexicon.lookup(["AB"]) == {"AB": ("ʌb",)}


def test_the_bundled_models_lexicon_is_the_default_one(tmp_path: Path, spoken: Path, monkeypatch) -> None:
    monkeypatch.setattr("asr.model.bundle.BUNDLED", spoken)
    assert task(tmp_path, Path("default")).lexicon.lookup(["AB"]) == {"AB": ("ʌb",)}


def test_a_folder_without_pronunciations_is_named(tmp_path: Path) -> None:
    config = replace(experiment(tmp_path), lexicon=tmp_path / "nothing")
    with pytest.raises(UsageError, match="nothing holds no lexicon"):
        AcousticTask(config, CPU, quiet=True)
