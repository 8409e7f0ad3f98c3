"""The acoustic experiment: what is learned from, what is left out, and what a wrong configuration is told."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from asr.audio.stream import probe_audio
from asr.cli.main import app
from asr.corpus.dataset import BatchConfig
from asr.corpus.manifest import Utterance, read_manifest, write_manifest
from asr.errors import AsrError, DataError, ModelError, UsageError
from asr.model.acoustic import AcousticModel
from asr.model.bundle import average_models, last_models, load_saved_model, save_model
from asr.model.ctc import needed_steps
from asr.text.tokenizer import CharacterTokenizer
from asr.trainer.trainer import LAST
from asr.training.acoustic import VALIDATION_BATCHES, AcousticTask
from asr.training.run import overfit, read_experiment, run_task
from asr.weights import read_weights, write_weights
from tests.training.experiments import experiment, write_config, write_speech

CPU = torch.device("cpu")


def task(folder: Path, *overrides: str) -> AcousticTask:
    return AcousticTask(experiment(folder, *overrides), CPU, quiet=True)


def rewrite(manifest: Path, number: int, **changes: Any) -> None:
    utterances = read_manifest(manifest)
    utterances[number] = replace(utterances[number], **changes)
    write_manifest(manifest, utterances)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs, with its curves."""
    config = experiment(tmp_path_factory.mktemp("trained"), "loop.epochs=2")
    run_task(config, quiet=True)
    return config.output


def test_what_cannot_be_learned_from_is_left_out_by_name(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    manifest = config.train[0].manifest
    short = [number for number, utterance in enumerate(read_manifest(manifest)) if utterance.duration < 1.1]
    rewrite(manifest, short[0], text="ABCD " * 9)
    rewrite(manifest, short[1], text="")
    subject = AcousticTask(replace(config, longest_seconds=1.1), CPU, quiet=True)
    expected = {f"tones{number}": "longer than 1.1 s" for number in range(12) if number not in short}
    expected |= {f"tones{short[0]}": "44 steps needed, 17 heard", f"tones{short[1]}": "no text"}
    assert dict(subject.left_out) == expected
    heard = {i for batch in subject.stream.load(0) for i in batch.ids}
    assert heard == {f"tones{number}" for number in short[2:]}


def test_what_is_left_out_of_two_manifests_with_the_same_ids_is_counted_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = experiment(tmp_path)
    manifest = config.train[0].manifest
    rewrite(manifest, 3, text="")
    other = replace(config.train[0], manifest=manifest.with_name("others.jsonl"))
    write_manifest(other.manifest, read_manifest(manifest))
    AcousticTask(replace(config, train=[config.train[0], other]), CPU)
    assert "left out of training: 2 utterances" in capsys.readouterr().err


@pytest.mark.parametrize("purpose", ["train", "validation"])
def test_a_text_that_cannot_be_written_is_named(tmp_path: Path, purpose: str) -> None:
    manifest = write_speech(tmp_path, "others", 3)
    rewrite(manifest, 1, text="AB 5")
    listed = f"train=[{{manifest: {manifest}}}]" if purpose == "train" else f"validation=[{manifest}]"
    with pytest.raises(DataError, match=r"others\.jsonl: others1: the text 'AB 5' holds '5'"):
        task(tmp_path, listed)


def test_stretches_without_a_word_are_trained_on_where_the_manifest_says_so(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    manifest = config.train[0].manifest
    for number in range(12):
        rewrite(manifest, number, text="", extra={"wordless": True})
    rewrite(manifest, 3, text="AB CD", extra={})
    subject = AcousticTask(config, CPU, quiet=True)
    assert subject.left_out == []
    for batch in subject.load(0, 0, 1):
        assert [bool(target) for target in batch.targets] == [one == "tones3" for one in batch.ids]
        loss = subject.loss(batch, torch.Generator().manual_seed(1))
        assert torch.isfinite(loss.value)
        loss.value.backward()
    assert all(torch.isfinite(weight.grad).all() for weight in subject.module.parameters() if weight.grad is not None)
    assert subject.validate()["wer"] >= 0


def test_the_fastest_speed_must_still_fit_the_target(tmp_path: Path) -> None:
    config = experiment(tmp_path, "validation=[]")
    manifest = config.train[0].manifest
    subject = AcousticTask(config, CPU, quiet=True)
    samples = read_manifest(manifest)[0].duration * subject.sample_rate
    steps = [int(subject.module.steps(torch.tensor([int(samples / speed)]))) for speed in (1.0, 1.1)]
    assert steps[1] < steps[0]
    rewrite(manifest, 0, text="ABCD" * (steps[0] // 4) + "ABCD"[: steps[0] % 4])
    assert subject.left_out == []
    assert AcousticTask(config, CPU, quiet=True).left_out == [("tones0", f"{steps[0]} steps needed, {steps[1]} heard")]
    slow = replace(config, waveform=replace(config.waveform, speeds=[]))
    assert AcousticTask(slow, CPU, quiet=True).left_out == []


def test_every_loss_is_finite_whatever_is_drawn(tmp_path: Path) -> None:
    subject = task(tmp_path)
    for epoch in range(3):
        for batch in subject.load(epoch, 0, 1):
            steps = subject.module.steps(batch.lengths).tolist()
            assert all(needed_steps(t) <= s for t, s in zip(batch.targets, steps, strict=True))
            loss = subject.loss(batch, torch.Generator().manual_seed(epoch))
            assert torch.isfinite(loss.value)
            assert loss.ids == batch.ids


def test_two_equal_views_change_nothing_and_two_masked_ones_do(tmp_path: Path) -> None:
    still = ["acoustic.encoder.dropout=0.0", "loop.precision=float32"]
    plain = task(tmp_path, *still, "spec_augment=null")
    batch = next(plain.load(0, 0, 1))
    alone = plain.loss(batch, torch.Generator()).value.item()
    twice = task(tmp_path, *still, "spec_augment=null", "cr_ctc_weight=0.2")
    assert twice.loss(batch, torch.Generator()).value.item() == pytest.approx(alone, rel=1e-5)
    masked = ["spec_augment={time_masks: 4, time_share: 0.3}"]
    without = task(tmp_path, *still, *masked, "cr_ctc_weight=1e-9").loss(batch, torch.Generator().manual_seed(1))
    with_it = task(tmp_path, *still, *masked, "cr_ctc_weight=0.2").loss(batch, torch.Generator().manual_seed(1))
    assert with_it.value.item() > without.value.item()


def test_warm_up_epochs_are_not_masked(tmp_path: Path) -> None:
    def loss(epoch: int, *settings: str) -> float:
        still = ["acoustic.encoder.dropout=0.0", "loop.precision=float32", "waveform.speeds=[1.1]"]
        subject = task(tmp_path, *still, *settings)
        batch = next(subject.load(epoch, 0, 1))
        return subject.loss(batch, torch.Generator().manual_seed(1)).value.item()

    masks = "spec_augment={time_masks: 4, time_share: 0.3}"
    untouched = loss(0, "waveform.speeds=[]", "spec_augment=null")
    assert loss(0, masks, "augment_warmup_epochs=1") == untouched
    assert loss(1, masks, "augment_warmup_epochs=1") == loss(1, masks) != loss(1, "spec_augment=null")


def test_any_number_of_workers_prepares_the_same_batches(tmp_path: Path) -> None:
    one, four = (task(tmp_path, f"workers={count}") for count in (1, 4))
    for epoch in range(2):
        for ours, theirs in zip(one.load(epoch, 0, 1), four.load(epoch, 0, 1), strict=True):
            assert ours.ids == theirs.ids
            assert torch.equal(ours.waveforms, theirs.waveforms)


def test_larger_batches_transcribe_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = task(tmp_path)
    subject.module.eval().output.weight.data *= 30
    (audio,) = (corpus.audio for corpus in subject.stream.corpora)

    def transcribed() -> dict[int, str]:
        with torch.inference_mode():
            batches = list(subject.transcribe(audio))
        return {index: text for chosen, _, _, texts in batches for index, text in zip(chosen, texts, strict=True)}

    texts = transcribed()
    monkeypatch.setitem(VALIDATION_BATCHES, "cpu", BatchConfig(seconds=5.0))
    assert transcribed() == texts
    assert texts.keys() == set(range(len(audio)))
    assert len(set(texts.values())) > 1
    assert list(subject.transcribe(audio.subset([]))) == []


@pytest.mark.parametrize("cr_ctc_weight", [0.0, 0.2])
def test_an_infinite_loss_names_its_utterance_alone(tmp_path: Path, cr_ctc_weight: float) -> None:
    subject = task(tmp_path, f"cr_ctc_weight={cr_ctc_weight}")
    batch = next(subject.load(0, 0, 1))
    targets = [batch.targets[0] * 40, *batch.targets[1:]]
    loss = subject.loss(replace(batch, targets=targets), torch.Generator())
    assert torch.isinf(loss.value)
    assert loss.faulty() == batch.ids[:1]


def test_a_corpus_without_anything_to_learn_is_an_error_below_its_reasons(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = experiment(tmp_path)
    with pytest.raises(DataError, match=r"tones\.jsonl has no utterance to learn from\n  See the reasons above"):
        AcousticTask(replace(config, longest_seconds=0.1), CPU)
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "left out of training: 12 utterances"
    assert "  tones11: longer than 0.1 s" in told
    write_manifest(config.train[0].manifest, [])
    with pytest.raises(DataError, match=r"has no utterance to learn from\n  It is empty"):
        AcousticTask(replace(config, validation=[]), CPU)
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match=r"empty\.jsonl has no utterance to validate on\n  It is empty"):
        task(tmp_path, f"validation=[{tmp_path / 'empty.jsonl'}]")


def test_a_run_leaves_a_model_metrics_and_a_picture(trained: Path) -> None:
    model = load_saved_model(trained / "best")
    assert model.tokenizer.vocabulary == ["<blank>", "▁", "A", "B", "C", "D"]
    assert {"epoch", "validation_wer", "validation_cer", "loss"} <= model.training.keys()
    records = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    epochs = [record for record in records if record["kind"] == "epoch"]
    assert [record["epoch"] for record in epochs] == [1, 2]
    assert {"loss", "blank_share", "validation_wer", "learning_rate", "audio_hours", "skipped"} <= epochs[0].keys()
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    assert (trained / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_written_configuration_starts_the_same_run(trained: Path) -> None:
    again = read_experiment(trained / "config.yaml")
    assert again == read_experiment(trained.parent / "tones.yaml", ["loop.epochs=2"])


def test_resuming_with_other_settings_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_task(experiment(tmp_path, "loop.epochs=1"), quiet=True)
    assert "changed" not in capsys.readouterr().err
    run_task(experiment(tmp_path, "loop.epochs=2", "spec_augment=null"), resume=True, quiet=True)
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("changed since its last start")]
    assert "changed since its last start: loop.epochs 1 → 2" in told
    assert any("spec_augment.time_masks 1 → None" in line for line in told)


def test_epochs_measured_by_another_set_are_no_match_for_later_ones(tmp_path: Path) -> None:
    state = run_task(experiment(tmp_path, "loop.epochs=1"), quiet=True)
    assert state.best_epoch == 1
    easier = state.best - 1.0  # as if the former validation had been an easy one
    last = torch.load(tmp_path / "run" / LAST, weights_only=False)
    last["state"]["best"] = easier
    torch.save(last, tmp_path / "run" / LAST)
    same = run_task(experiment(tmp_path, "loop.epochs=2"), resume=True, quiet=True)
    assert (same.best, same.best_epoch) == (easier, 1)
    others = write_speech(tmp_path, "others", 3)
    other = experiment(tmp_path, "loop.epochs=3", f"validation=[{others}]")
    assert run_task(other, resume=True, quiet=True).best_epoch == 3


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    config.output.mkdir(parents=True)
    with (config.output / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process is training"):
            run_task(config, quiet=True)
    assert [path.name for path in config.output.iterdir()] == [".lock"]


def test_a_moving_average_may_begin_later(tmp_path: Path) -> None:
    run_task(experiment(tmp_path, "loop.epochs=1", "loop.ema_decay=0"), quiet=True)
    state = run_task(experiment(tmp_path, "loop.epochs=2", "loop.ema_decay=0.9"), resume=True, quiet=True)
    assert state.epoch == 2


def test_a_folder_that_holds_a_run_is_not_overwritten(trained: Path) -> None:
    with pytest.raises(UsageError, match="already holds a run"):
        run_task(read_experiment(trained / "config.yaml"), quiet=True)


def test_a_tokenizer_is_learned_anew_by_other_settings_until_the_run_has_begun(tmp_path: Path) -> None:
    pieces, kept = "tokenizer={kind: unigram, size: 12}", tmp_path / "run" / "tokenizer" / "tokenizer.json"
    assert len(task(tmp_path).tokenizer.vocabulary) == 6
    assert len(task(tmp_path, pieces).tokenizer.vocabulary) == 12
    written = kept.stat().st_mtime_ns
    run_task(experiment(tmp_path, pieces, "loop.epochs=1"), quiet=True)
    assert kept.stat().st_mtime_ns == written
    with pytest.raises(UsageError, match=r"run/tokenizer was learned by other settings.*\n.*kind: unigram, size: 12"):
        run_task(experiment(tmp_path, "loop.epochs=2"), resume=True, quiet=True)
    run_task(experiment(tmp_path, pieces, "loop.epochs=2"), resume=True, quiet=True)
    assert kept.stat().st_mtime_ns == written


def test_a_start_that_left_no_checkpoint_keeps_no_tokenizer_of_former_texts(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    kept = tmp_path / "run" / "tokenizer" / "tokenizer.json"
    assert AcousticTask(config, CPU, quiet=True).tokenizer.vocabulary[2:] == ["A", "B", "C", "D"]
    written = kept.stat().st_mtime_ns
    AcousticTask(config, CPU, quiet=True)
    assert kept.stat().st_mtime_ns == written
    rewrite(config.train[0].manifest, 0, text="AB EE")
    assert AcousticTask(config, CPU, quiet=True).tokenizer.vocabulary[2:] == ["A", "B", "C", "D", "E"]


def test_a_run_whose_tokenizer_has_no_record_goes_on(tmp_path: Path) -> None:
    run_task(experiment(tmp_path, "loop.epochs=1"), quiet=True)
    kept = tmp_path / "run" / "tokenizer"
    (kept / "config.yaml").unlink()
    CharacterTokenizer(["D", "C", "B", "A"]).save(kept)
    assert task(tmp_path).tokenizer.vocabulary[2:] == ["D", "C", "B", "A"]
    assert run_task(experiment(tmp_path, "loop.epochs=2"), resume=True, quiet=True).epoch == 2


def test_starting_from_another_model(trained: Path, tmp_path: Path) -> None:
    overrides = [f"init_from={trained / 'best'}", "acoustic.encoder.width=64", "acoustic.encoder.dropout=0.3"]
    subject = task(tmp_path, *overrides)
    origin = load_saved_model(trained / "best")
    assert subject.module.config.encoder == replace(origin.config.encoder, dropout=0.3)
    assert subject.tokenizer.vocabulary == origin.tokenizer.vocabulary
    for name, tensor in subject.module.state_dict().items():
        assert torch.equal(tensor, origin.network.state_dict()[name])


def test_starting_from_another_models_encoder_alone(trained: Path, tmp_path: Path) -> None:
    settings = ["reinit_head=true", "tokenizer={kind: unigram, size: 12}", "acoustic.encoder.strides=[2, 1]"]
    subject = task(tmp_path, f"init_from={trained / 'best'}", *settings)
    origin = load_saved_model(trained / "best")
    assert subject.tokenizer.vocabulary != origin.tokenizer.vocabulary
    assert subject.module.config.encoder == replace(origin.config.encoder, strides=[2, 1])
    assert subject.module.output.out_features == len(subject.tokenizer.vocabulary)
    kept = origin.network.encoder.state_dict()
    assert all(torch.equal(tensor, kept[name]) for name, tensor in subject.module.encoder.state_dict().items())
    batch = next(subject.load(0, 0, 1))
    loss = subject.loss(batch, torch.Generator().manual_seed(1))
    assert torch.isfinite(loss.value)
    subject.save(tmp_path / "saved", subject.module.state_dict(), {})
    again = load_saved_model(tmp_path / "saved")
    assert again.frame_seconds == subject.module.frame_seconds
    assert again.network.config == subject.module.config


def test_starting_from_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere is not a model folder"):
        task(tmp_path, f"init_from={tmp_path / 'nowhere'}")


def test_the_average_of_epochs_is_their_mean_in_half_precision(trained: Path, tmp_path: Path) -> None:
    folders = last_models(trained, 2)
    average_models(folders, tmp_path / "mean")
    mean = load_saved_model(tmp_path / "mean")
    parts = [load_saved_model(folder).network.state_dict() for folder in folders]
    for name, tensor in mean.network.state_dict().items():
        wanted = (parts[0][name] + parts[1][name]) / 2
        torch.testing.assert_close(tensor, wanted.half().float(), rtol=0, atol=0)
    assert mean.training["averaged"] == ["0001", "0002"]
    assert last_models(trained, 1) == [trained / "best"]
    with pytest.raises(ModelError, match="no epoch models"):
        last_models(tmp_path, 2)


def test_models_that_began_from_one_another_are_averaged_whatever_their_dropout(trained: Path, tmp_path: Path) -> None:
    one = load_saved_model(trained / "best")
    harder = replace(one.config, encoder=replace(one.config.encoder, dropout=0.4))
    network = AcousticModel(harder, len(one.tokenizer.vocabulary))
    network.load_state_dict({name: tensor + 1 for name, tensor in one.network.state_dict().items()})
    save_model(tmp_path / "on" / "best", network, one.tokenizer, one.normalizer, half=False)
    done = CliRunner().invoke(
        app, ["average", str(trained), str(tmp_path / "on"), "-o", str(tmp_path / "mean"), "--full"]
    )
    assert done.exit_code == 0, done.output
    mean = load_saved_model(tmp_path / "mean")
    assert mean.config == one.config
    assert mean.training["averaged"] == [trained.name, "on"]
    for name, tensor in mean.network.state_dict().items():
        torch.testing.assert_close(tensor, one.network.state_dict()[name] + 0.5, rtol=1e-6, atol=1e-6)


def test_a_model_with_weights_that_no_network_has_any_more_is_averaged(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "best", tmp_path / "old")
    weights = read_weights(tmp_path / "old/model.safetensors")
    write_weights(tmp_path / "old/model.safetensors", weights | {"scribe.weight": torch.ones(1)}, half=False)
    average_models([tmp_path / "old", trained / "best"], tmp_path / "mean", half=False)
    assert load_saved_model(tmp_path / "mean").training["averaged"] == ["old", trained.name]
    assert read_weights(tmp_path / "mean/model.safetensors").keys() == weights.keys()


@pytest.mark.parametrize(("names", "kept"), [(["one"], True), (["one", "other"], False), (["other", "one"], False)])
def test_a_calibration_is_kept_of_a_model_that_is_only_halved(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], kept: bool
) -> None:
    for name in ("one", "other"):
        shutil.copytree(trained / "best", tmp_path / name)
    (tmp_path / "one/confidence.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    average_models([Path(name) for name in names], tmp_path / "one" if kept else Path("one"))
    assert (tmp_path / "one/confidence.json").exists() is kept


def test_models_of_other_sizes_or_tokens_are_not_averaged(trained: Path, tmp_path: Path) -> None:
    one = load_saved_model(trained / "best")
    other = CharacterTokenizer.train(["ZYX"])
    save_model(tmp_path / "zyx", AcousticModel(one.config, len(other.vocabulary)), other, one.normalizer)
    with pytest.raises(ModelError, match="zyx writes other tokens than"):
        average_models([trained / "best", tmp_path / "zyx"], tmp_path / "mean")
    wider = replace(one.config, encoder=replace(one.config.encoder, width=2 * one.config.encoder.width))
    save_model(tmp_path / "wide", AcousticModel(wider, len(one.tokenizer.vocabulary)), one.tokenizer, one.normalizer)
    with pytest.raises(ModelError, match="wide has other sizes than"):
        average_models([trained / "best", tmp_path / "wide"], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
    done = CliRunner().invoke(app, ["average", str(trained), str(trained), "--last", "2", "-o", str(tmp_path / "mean")])
    assert isinstance(done.exception, UsageError)
    assert "--last is for the epochs of one run" in str(done.exception)


def test_a_picture_that_cannot_be_drawn_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    config = experiment(tmp_path, "loop.epochs=1", "validation=[]")
    (config.output / "curves.png/in the way").mkdir(parents=True)
    assert run_task(config, quiet=True).epoch == 1
    assert f"cannot write {config.output / 'curves.png'}" in capsys.readouterr().err


def test_global_normalization_measures_the_training_speech(tmp_path: Path) -> None:
    subject = task(tmp_path, "acoustic.features.normalize=global", "waveform.speeds=[]")
    total, count = torch.zeros(20), 0
    for batch in subject.load(1, 0, 1):
        features, frames = subject.module.features(batch.waveforms, batch.lengths)
        total, count = total + features.sum(dim=(0, 1)), count + int(frames.sum())
    torch.testing.assert_close(total / count, torch.zeros(20), rtol=0, atol=1e-3)
    assert subject.module.features.deviation.min() > 0.01


def test_eight_utterances_are_learned_by_heart(tmp_path: Path) -> None:
    config = experiment(tmp_path, "acoustic.encoder.width=64", "intermediate_layer=0")
    CharacterTokenizer(["X", "Y"]).save(config.output / "overfit" / "tokenizer")  # as former versions left them
    wer, updates = overfit(config, 8)
    assert wer == 0.0
    assert updates <= 300
    assert [path.name for path in config.output.iterdir()] == ["overfit"]


def test_overfitting_hears_everything_in_each_epoch(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    rarely = replace(config, train=[replace(config.train[0], weight=0.1)])
    subject = AcousticTask(rarely.by_heart(), CPU, quiet=True, only=1)
    assert [subject.batches(epoch) for epoch in range(20)] == [1] * 20


def test_overfitting_takes_utterances_with_text(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    for number in range(10):
        rewrite(config.train[0].manifest, number, text="")
    subject = AcousticTask(config, CPU, quiet=True, only=2)
    assert [one.id for one in subject.stream.corpora[0].utterances] in (["tones10", "tones11"], ["tones11", "tones10"])


def test_overfitting_takes_the_shortest_sentences(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    subject = AcousticTask(config, CPU, quiet=True, only=5)
    durations = sorted(utterance.duration for utterance in subject.stream.corpora[0].utterances)
    assert len(durations) == 5
    assert durations == sorted(u.duration for u in read_manifest(config.train[0].manifest))[-5:], "none has two seconds"


def test_dry_run_prints_everything_and_trains_nothing(tmp_path: Path) -> None:
    write_config(tmp_path)
    result = CliRunner().invoke(app, ["train", str(tmp_path / "tones.yaml"), "--dry-run", "loop.accumulate=4"])
    assert result.exit_code == 0, result.output
    for part in ("accumulate: 4", "width: 16", "tones: 0.00 h an epoch", "6 tokens", "seconds of audio a second"):
        assert part in result.output
    assert not (tmp_path / "run").exists()
    short = CliRunner().invoke(
        app, ["train", str(tmp_path / "tones.yaml"), "--dry-run", "loop.epochs=100000", "loop.minutes=1"]
    )
    assert "loop.minutes ends the run after 0:01:00" in short.output


@pytest.mark.parametrize("wrong", [["--overfit", "0"], ["--overfit", "8", "--dry-run"]])
def test_what_is_asked_for_is_done_or_refused(tmp_path: Path, wrong: list[str]) -> None:
    write_config(tmp_path)
    assert CliRunner().invoke(app, ["train", str(tmp_path / "tones.yaml"), *wrong]).exit_code
    assert not (tmp_path / "run").exists()


def test_cepstra_have_no_bands_to_warp(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="warp is for filterbanks"):
        experiment(tmp_path, "acoustic.features={kind: mfcc, size: 13}", "spec_augment.warp=1.2")


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("loop.seed=-1", "seed must not be negative"),
        ("threads=-1", "threads must not be negative"),
        ("loop.optimizer.betas=[0.9, 1]", "betas at least 0 and below 1"),
        ("loop.optimizer.weight_decay=-1", "weight_decay must not be negative"),
        ("acoustic.encoder.dropout=0.999", "dropout must be from 0 to 0.99"),
        ("phone_weight=3", "phone_weight is a share"),
        ("loop.epoch=3", r"unknown key loop\.epoch.*Known here: epochs"),
        ("loop.optimizer.kind=muon", r"unknown key loop\.optimizer\.kind"),
        ("loop.precision=half", "'auto', 'float32' or 'bfloat16'"),
        ("loop.epochs=1.5", r"loop\.epochs: .*integer"),
        ("loop.epochs=0", "loop: .*epochs must be at least 1"),
        ("loop.accumulate=0", "accumulate must be at least 1"),
        ("batches.seconds=-1", "batches: .*seconds"),
        ("acoustic.encoder.rnn_type=lstm", "'bidirectional', 'unidirectional' or 'none'"),
        ("acoustic.encoder.strides=[2]", "lists of the same length"),
        ("acoustic.features.size=0", "size must lie between 1 and 256"),
        ("waveform.speeds=[0]", "speeds must lie between"),
        ("spec_augment.time_share=2", "time_share between 0 and 1"),
        ("spec_augment.frequency_band=2", r"unknown key spec_augment\.frequency_band"),
        ("train=[{manifest: a.jsonl, wieght: 2}]", r"unknown key train\.0\.wieght.*Known here: manifest, weight"),
        ("train=[{manifest: a.jsonl, weight: 0}]", "weight must be positive"),
        ("train=[]", "train must name"),
        ("train=a.jsonl", "train: .*list"),
        ("intermediate_layer=2", "intermediate_layer must be 0"),
        ("batches.seconds=2", r"batches\.seconds must hold"),
        ("workers=-1", "workers must not be negative"),
        ("normalizer=french", "french"),
        ("loop", "not of the form"),
        ("loop.epochs.x=1", "epochs is not a group"),
    ],
)
def test_wrong_settings_name_the_key_and_what_is_allowed(tmp_path: Path, override: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        experiment(tmp_path, override)
    message = str(caught.value).replace("\n", " ")
    assert re.search(named, message), message


FORMER = """
train: [{manifest: a.jsonl, weight: 6}]
validation: [b.jsonl]
output: exp/run
normaliser: ljspeech
pronunciation: asr/pretrained
acoustic: {outputs_per_step: 1, encoder: {layers: 4, memory: unidirectional}, features: {normalise: global}}
init_from: default
keep_output: false
ascending_epochs: 2
plain_epochs: 3
consistency: 0.2
scribe: {weight: 1}
loop: {average_decay: 0.998, optimiser: {kind: adamw, weight_decay: 0.03, muon_scale: 1.0}}
"""
TODAY = """
train: [{manifest: a.jsonl, weight: 6}]
validation: [b.jsonl]
output: exp/run
normalizer: ljspeech
lexicon: asr/pretrained
acoustic: {encoder: {layers: 4, rnn_type: unidirectional}, features: {normalize: global}}
init_from: default
reinit_head: true
sortagrad_epochs: 2
augment_warmup_epochs: 3
cr_ctc_weight: 0.2
loop: {ema_decay: 0.998, optimizer: {weight_decay: 0.03}}
"""


def test_configurations_and_settings_of_former_versions_are_read(tmp_path: Path) -> None:
    (tmp_path / "former.yaml").write_text(FORMER)
    (tmp_path / "today.yaml").write_text(TODAY)
    assert read_experiment(tmp_path / "former.yaml") == read_experiment(tmp_path / "today.yaml")
    former = [
        "loop.average_decay=0.9",
        "keep_output=true",
        "loop.optimiser.weight_decay=0.1",
        "loop.optimiser.kind=adamw",
    ]
    today = ["loop.ema_decay=0.9", "reinit_head=false", "loop.optimizer.weight_decay=0.1"]
    expected = read_experiment(tmp_path / "today.yaml", today)
    assert read_experiment(tmp_path / "today.yaml", former) == expected
    assert read_experiment(tmp_path / "former.yaml", former) == expected


@pytest.mark.parametrize(
    ("task", "named"), [("acustic", "Known are: acoustic, rnn_lm, g2p"), ("[g2p]", "unknown task")]
)
def test_an_unknown_task_is_named(tmp_path: Path, task: str, named: str) -> None:
    with pytest.raises(UsageError) as caught:
        experiment(tmp_path, f"task={task}")
    assert named in str(caught.value)


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_the_intermediate_layer_is_one_of_the_network_that_init_from_brings(
    trained: Path, tmp_path: Path, layer: int
) -> None:
    settings = [f"init_from={trained / 'best'}", f"intermediate_layer={layer}", "acoustic.encoder.layers=4"]
    if layer == 1:
        assert task(tmp_path, *settings).config.acoustic.encoder.layers == 2
    else:
        with pytest.raises(UsageError, match=r"intermediate_layer must be 0.*\n.*has 2 blocks"):
            task(tmp_path, *settings)


def test_a_new_head_needs_a_model_to_start_from_whose_network_it_fits(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reinit_head needs a model"):
        experiment(tmp_path, "reinit_head=true")
    settings = ["reinit_head=true", f"init_from={trained / 'best'}", "acoustic.encoder.channels=[4, 4, 4]"]
    with pytest.raises(UsageError, match="does not go with the network of"):
        task(tmp_path, *settings, "acoustic.encoder.strides=[2, 2, 2]")


def test_a_run_of_another_width_is_told_apart_in_a_line_and_stays_as_it_was(tmp_path: Path) -> None:
    run_task(experiment(tmp_path, "loop.epochs=1"), quiet=True)
    before = (tmp_path / "run" / "config.yaml").read_bytes()
    with pytest.raises(ModelError) as caught:
        run_task(experiment(tmp_path, "acoustic.encoder.width=24"), resume=True, quiet=True)
    assert re.search(
        r"is of shape \(.*16.*\) in it and of shape \(.*24.*\) here; \d+ more differ$", caught.value.message
    )
    assert "\n" not in caught.value.message
    assert (tmp_path / "run" / "config.yaml").read_bytes() == before


def test_a_run_does_not_go_on_with_another_models_tokens(tmp_path: Path, tiny_model: Path) -> None:
    run_task(experiment(tmp_path, "loop.epochs=1"), quiet=True)
    with pytest.raises(UsageError, match="has begun with other tokens"):
        run_task(experiment(tmp_path, f"init_from={tiny_model}", "intermediate_layer=0"), resume=True, quiet=True)


def test_patience_needs_validation(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a validation manifest"):
        experiment(tmp_path, "loop.patience=2", "validation=[]")


@pytest.mark.parametrize(
    ("content", "named"), [("a: [", "cannot be read"), ("- a", "mapping"), ("epochs: 3", "unknown key epochs")]
)
def test_wrong_files_exit_with_2(tmp_path: Path, content: str, named: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(content)
    result = CliRunner().invoke(app, ["train", str(path)])
    assert isinstance(result.exception, UsageError)
    assert result.exception.exit_code == 2
    assert str(path) in str(result.exception)
    assert named in str(result.exception)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AsrError, match=r"cannot make the folder .*file/run"):
        run_task(experiment(tmp_path, f"output={tmp_path / 'file/run'}"), quiet=True)


def test_weights_decide_what_an_epoch_hears(tmp_path: Path) -> None:
    config = experiment(tmp_path)
    other = write_speech(tmp_path / "speech", "other", seed=5)
    path = tmp_path / "two.yaml"
    settings = yaml.safe_load((tmp_path / "tones.yaml").read_text())
    settings["train"] = [
        {"manifest": str(config.train[0].manifest), "weight": 2},
        {"manifest": str(other), "weight": 0.25},
    ]
    path.write_text(yaml.safe_dump(settings))
    subject = AcousticTask(read_experiment(path), CPU, quiet=True)
    ids = [i for batch in subject.stream.load(1) for i in batch.ids]
    names = np.array([i.startswith("tones") for i in ids])
    assert (names.sum(), (~names).sum()) == (24, 3)
    hours = subject.stream.hours(1)
    assert hours["tones"] == pytest.approx(2 * sum(u.duration for u in read_manifest(config.train[0].manifest)) / 3600)


# The comparisons are changes of a configuration (tests/recipes/test_comparisons.py).
RECIPES = [
    path
    for path in sorted((Path(__file__).resolve().parents[2] / "recipes").rglob("*.yaml"))
    if path.name not in {"comparisons.yaml", "seeds.yaml"}
]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_configurations_of_the_recipes_are_valid(path: Path) -> None:
    data = yaml.safe_load(path.read_text())
    mine = {"acoustic": "{manifest: mine.jsonl}", "rnn_lm": "mine.txt"}.get(data.get("task", "acoustic"))
    overrides = [f"train=[{mine}]"] if data.get("train") == [] else []
    assert read_experiment(path, overrides).task == data.get("task", "acoustic")


@pytest.mark.slow
@pytest.mark.speech
def test_real_speech_is_learned_by_heart_with_the_default_network(corpora: Path, tmp_path: Path) -> None:
    chapter = min(corpora.glob("LibriSpeech/train-clean-5/*/*"))
    utterances = []
    for line in next(chapter.glob("*.trans.txt")).read_text().splitlines():
        name, _, text = line.partition(" ")
        audio = next(chapter.glob(f"{name}.*"))
        utterances.append(Utterance(name, audio, probe_audio(audio).duration, text))
    write_manifest(tmp_path / "chapter.jsonl", utterances)
    path = tmp_path / "default.yaml"
    settings = {"train": [{"manifest": str(tmp_path / "chapter.jsonl")}], "cache": str(tmp_path / "cache")}
    path.write_text(yaml.safe_dump(settings | {"output": str(tmp_path / "run"), "tokenizer": {"size": 64}}))
    wer, updates = overfit(read_experiment(path), 8)
    assert wer == 0.0
    assert updates <= 200
