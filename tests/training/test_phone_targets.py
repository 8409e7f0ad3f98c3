"""Learning phones beside pieces: from what is listed, on from a model, and what cannot be learned."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from phone_ngram import count_phones, estimate

from asr.errors import UsageError
from asr.lexicon import Lexicon, load_lexicon
from asr.lexicon.g2p import G2P, G2PConfig
from asr.lexicon.phones import VOCABULARY
from asr.model.bundle import average_models, load_saved_model
from asr.model.crf import crf_losses, load_phone_ngram
from asr.model.ctc import sequence_losses
from asr.training.acoustic import AcousticTask
from asr.training.run import run_task
from tests.training.experiments import experiment

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lexicon of every word that four letters can make in the tests' speech, and an ignorant G2P model."""
    folder = tmp_path_factory.mktemp("spoken")
    torch.manual_seed(1)
    sounds = dict(zip("ABCD", "ʌbkd", strict=True))
    words = {first + second: [sounds[first] + sounds[second]] for first in "ABCD" for second in "ABCD"}
    words |= {letter: [sound] for letter, sound in sounds.items()}
    Lexicon(words, G2P(G2PConfig(hidden=4, layers=1, embedding=4))).save(folder)
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
    Lexicon(words, G2P(G2PConfig(hidden=4, layers=1, embedding=4))).save(tmp_path / "long")
    listed = task(tmp_path, spoken).left_out
    longer = AcousticTask(experiment(tmp_path, f"lexicon={tmp_path / 'long'}"), CPU, quiet=True).left_out
    assert not listed
    assert longer
    assert all("steps needed" in reason for _, reason in longer)


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
    monkeypatch.setattr("asr.model.folder.BUNDLED", spoken)
    assert task(tmp_path, Path("default")).lexicon.lookup(["AB"]) == {"AB": ("ʌb",)}


@pytest.fixture(scope="module")
def ngram(spoken: Path) -> Path:
    """Phones of a few sentences that the tests' speech could hold."""
    lexicon = load_lexicon(spoken)
    assert lexicon is not None
    sentences = [lexicon.encode(text) for text in ("AB CD", "DA BC AA", "CB")]
    estimate(count_phones(sentences, len(VOCABULARY))).save(spoken / "phones.safetensors")
    return spoken / "phones.safetensors"


def test_crf_asks_for_more_than_ctc_and_gives_every_weight_a_gradient(
    tmp_path: Path, spoken: Path, ngram: Path
) -> None:
    alone = task(tmp_path, spoken, "phone_weight=1", "intermediate_layer=0")
    subject = task(tmp_path, spoken, "phone_weight=1", "intermediate_layer=0", f"phone_ngram={ngram}")
    batch = next(subject.load(0, 0, 1))
    losses = [each.loss(batch, torch.Generator().manual_seed(1)) for each in (alone, subject)]
    assert all(torch.isfinite(loss.value) for loss in losses)
    assert losses[0].value != losses[1].value
    losses[1].value.backward()
    assert float(subject.module.phones.weight.grad.abs().sum()) > 0


def test_phones_of_a_corpus_are_learned_by_crf(tmp_path: Path, spoken: Path, ngram: Path) -> None:
    config = experiment(tmp_path, f"lexicon={spoken}", f"phone_ngram={ngram}", "loop.epochs=6", "validation=[]")
    run_task(config, quiet=True)
    records = [json.loads(line) for line in (config.output / "metrics.jsonl").read_text().splitlines()]
    losses = [record["phone_loss"] for record in records if record["kind"] == "epoch"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("crf", [False, True])
def test_held_out_phones_are_measured_first(tmp_path: Path, spoken: Path, ngram: Path, crf: bool) -> None:
    subject = task(tmp_path, spoken, *([f"phone_ngram={ngram}"] if crf else []))
    subject.module.eval()
    loss, phones = 0.0, 0
    with torch.inference_mode():
        measured = subject.validate()
        (held_out,) = subject.validation
        for index, utterance in enumerate(held_out.utterances):
            samples = torch.as_tensor(held_out.audio[index]).unsqueeze(0)
            features = subject.module.features(samples, torch.tensor([samples.shape[1]]))
            log_probs, steps = subject.module.recognize(*features, phones=True)
            targets = torch.tensor([subject.lexicon.encode(utterance.text)])
            arguments = log_probs, steps, targets, torch.tensor([targets.shape[1]])
            if crf:
                among_all, alone = crf_losses(load_phone_ngram(ngram), *arguments)
                loss += float(among_all + subject.config.crf_ctc_weight * alone)
            else:
                loss += float(sequence_losses(*arguments))
            phones += targets.shape[1]
    assert list(measured) == ["phone_loss", "wer", "cer"]
    assert measured["phone_loss"] == pytest.approx(loss / phones, rel=1e-4)


def test_a_held_out_utterance_too_fast_for_its_phones_hides_nothing(tmp_path: Path, spoken: Path) -> None:
    subject = task(tmp_path, spoken)
    held_out = subject.validation[0]
    subject.module.eval()
    with torch.inference_mode():
        whole = subject.validate()["phone_loss"]
        held_out.phones[0] *= 100
        others = subject.validate()["phone_loss"]
        held_out.phones[:] = [phones * 100 for phones in held_out.phones]
        assert "phone_loss" not in subject.validate()
    assert others not in (whole, math.inf)


def test_what_was_trained_by_crf_goes_on_by_crf(tmp_path: Path, spoken: Path, ngram: Path) -> None:
    config = experiment(tmp_path, f"lexicon={spoken}", f"phone_ngram={ngram}", "loop.epochs=1")
    run_task(config, quiet=True)
    best = config.output / "best"
    kept = load_saved_model(best).phone_ngram
    assert kept is not None
    batch = next(AcousticTask(config, CPU, quiet=True).load(0, 0, 1))
    values = {}
    for name, override in {"by itself": [], "named": [f"phone_ngram={best}"], "none": ["phone_ngram=none"]}.items():
        subject = AcousticTask(experiment(tmp_path / "on", f"init_from={best}", *override), CPU, quiet=True)
        values[name] = float(subject.loss(batch, torch.Generator().manual_seed(1)).value.detach())
    assert values["by itself"] == values["named"] != values["none"]
    average_models([best, best], tmp_path / "mean")
    assert (load_saved_model(tmp_path / "mean").phone_ngram.table == kept.table).all()


def test_an_ngram_without_phones_to_learn_is_refused(tmp_path: Path, spoken: Path, ngram: Path) -> None:
    with pytest.raises(UsageError, match="learns phones"):
        AcousticTask(experiment(tmp_path, f"phone_ngram={ngram}"), CPU, quiet=True)
    estimate(count_phones([[1, 2]], 3)).save(tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match=r"3 labels, phones are 41"):
        task(tmp_path, spoken, f"phone_ngram={tmp_path / 'other.safetensors'}")


def test_another_shift_of_frames_goes_on_from_the_same_weights(tmp_path: Path) -> None:
    config = experiment(tmp_path, "loop.epochs=1")
    run_task(config, quiet=True)
    best = config.output / "best"
    subject = AcousticTask(experiment(tmp_path / "on", f"init_from={best}", "shift_ms=8"), CPU, quiet=True)
    assert subject.module.frame_seconds == pytest.approx(0.032)
    assert load_saved_model(best).network.frame_seconds == pytest.approx(0.040)
    with pytest.raises(UsageError, match=r"acoustic\.features\.shift_ms"):
        experiment(tmp_path, "shift_ms=8")


def test_a_folder_without_pronunciations_is_named(tmp_path: Path) -> None:
    config = replace(experiment(tmp_path), lexicon=tmp_path / "nothing")
    with pytest.raises(UsageError, match="nothing holds no lexicon"):
        AcousticTask(config, CPU, quiet=True)
