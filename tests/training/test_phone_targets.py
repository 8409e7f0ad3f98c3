"""Learning phones beside pieces: from what is listed, on from a model, and what cannot be learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.errors import UsageError
from asr.model.saved import load_saved_model
from asr.pronunciation import Pronunciations
from asr.pronunciation.phones import VOCABULARY
from asr.pronunciation.spelling import Speller
from asr.training.combine import average_models
from asr.training.experiment import AcousticTask
from asr.training.run import overfit, train
from tests.training.experiments import experiment

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pronunciations of every word that four letters can make in the tests' speech, and an ignorant speller."""
    folder = tmp_path_factory.mktemp("spoken")
    torch.manual_seed(1)
    sounds = dict(zip("ABCD", "ʌbkd", strict=True))
    words = {first + second: [sounds[first] + sounds[second]] for first in "ABCD" for second in "ABCD"}
    words |= {letter: [sound] for letter, sound in sounds.items()}
    Pronunciations(words, Speller(hidden=4, layers=1, embedding=4)).save(folder)
    return folder


def task(folder: Path, spoken: Path, *overrides: str) -> AcousticTask:
    return AcousticTask(experiment(folder, f"pronunciation={spoken}", *overrides), CPU, quiet=True)


def test_every_target_has_its_sounds(tmp_path: Path, spoken: Path) -> None:
    subject = task(tmp_path, spoken)
    assert subject.module.config.phones
    for batch in subject.load(0, 0, 1):
        for tokens, phones in zip(batch.targets, batch.phones, strict=True):
            assert phones == subject.pronunciations.encode(subject.tokenizer.decode(tokens))
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
    Pronunciations(words, Speller(hidden=4, layers=1, embedding=4)).save(tmp_path / "long")
    listed = task(tmp_path, spoken).left_out
    longer = AcousticTask(experiment(tmp_path, f"pronunciation={tmp_path / 'long'}"), CPU, quiet=True).left_out
    assert not listed
    assert longer
    assert all("steps needed" in reason for reason in longer.values())


def test_a_model_hears_phones_and_others_go_on_from_it(tmp_path: Path, spoken: Path) -> None:
    config = experiment(tmp_path, f"pronunciation={spoken}", "loop.epochs=1")
    train(config, quiet=True)
    best = config.output / "best"
    model = load_saved_model(best)
    assert model.pronunciations.of(["AB"]) == {"AB": ("ʌb",)}
    signal, lengths = torch.randn(1, 16000), torch.tensor([16000])
    log_probs, _ = model.network.recognise(*model.network.features(signal, lengths), phones=True)
    assert log_probs.shape[2] == len(VOCABULARY)
    subject = AcousticTask(experiment(tmp_path / "on", f"init_from={best}"), CPU, quiet=True)
    for name, tensor in subject.module.state_dict().items():
        assert torch.equal(tensor, model.network.state_dict()[name])
    assert next(subject.load(0, 0, 1)).phones
    average_models([best, best], tmp_path / "mean")
    assert load_saved_model(tmp_path / "mean").pronunciations.of(["AB"]) == {"AB": ("ʌb",)}


def test_a_model_with_a_scribe_is_learned_by_heart(tmp_path: Path, spoken: Path) -> None:
    settings = ["acoustic.encoder.width=64", "acoustic.phones=true", "acoustic.scribe={layers: 1, width: 16}"]
    origin = task(tmp_path, spoken, *settings)
    origin.save(tmp_path / "origin", origin.module.state_dict(), {})
    wer, updates = overfit(experiment(tmp_path, f"init_from={tmp_path / 'origin'}", "intermediate_layer=0"), 8)
    assert wer == 0.0
    assert updates <= 300


def test_a_folder_without_pronunciations_is_named(tmp_path: Path) -> None:
    config = replace(experiment(tmp_path), pronunciation=tmp_path / "nothing")
    with pytest.raises(UsageError, match="nothing does not say how words are spoken"):
        AcousticTask(config, CPU, quiet=True)


def test_phones_and_several_outputs_a_step_are_refused(tmp_path: Path, spoken: Path) -> None:
    with pytest.raises(UsageError, match=r"phones are heard once a step, .* is 2\n.* acoustic.outputs_per_step=1"):
        task(tmp_path, spoken, "acoustic.outputs_per_step=2")
    assert not (tmp_path / "run").exists()


def test_a_model_that_hears_phones_goes_on_with_one_output_a_step(tmp_path: Path, spoken: Path) -> None:
    hearing = task(tmp_path, spoken)
    hearing.save(tmp_path / "hears", hearing.module.state_dict(), {})
    plain = AcousticTask(experiment(tmp_path, "acoustic.outputs_per_step=2"), CPU, quiet=True)
    plain.save(tmp_path / "plain", plain.module.state_dict(), {})
    new, threefold = [f"init_from={tmp_path / 'hears'}", "keep_output=false"], "acoustic.outputs_per_step=3"
    for wrong in ([*new, threefold], [f"init_from={tmp_path / 'plain'}", f"pronunciation={spoken}"]):
        with pytest.raises(UsageError, match="phones are heard once a step"):
            AcousticTask(experiment(tmp_path, *wrong), CPU, quiet=True)
    assert AcousticTask(experiment(tmp_path, *new), CPU, quiet=True).module.config.phones
    kept = experiment(tmp_path, new[0], threefold)  # the model's own pace is kept
    assert AcousticTask(kept, CPU, quiet=True).module.config.outputs_per_step == 1
