"""A scribe learns from texts what speech alone has not taught, is saved with its model, and goes on exactly."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from asr.cli.main import app
from asr.corpus.manifest import read_manifest, write_manifest
from asr.decoding.greedy import greedy
from asr.errors import DataError, UsageError
from asr.model.acoustic import AcousticModel
from asr.model.describe import describe_model
from asr.model.saved import load_saved_model, save_model
from asr.pronunciation import Pronunciations
from asr.pronunciation.phones import VOCABULARY as PHONES
from asr.pronunciation.spelling import Speller
from asr.text.tokenizer import CharacterTokenizer
from asr.training.checkpoint import load_checkpoint
from asr.training.run import train
from asr.writing.sounds import Recording, load_sounds
from asr.writing.training import POOL, WritingConfig, WritingTask, learn_to_write, pad, read_writing, sounds_file
from tests.training.experiments import experiment, learned, same

CPU = torch.device("cpu")


SOUNDS_OF = dict(zip("ABCD", "ʌbkd", strict=True))
WORDS = [first + second for first in "ABCD" for second in "ABCD"]


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that knows phones and has hardly heard any, `run/best`, and with its configuration."""
    folder = tmp_path_factory.mktemp("hearing")
    torch.manual_seed(1)
    words = {word: ["".join(SOUNDS_OF[letter] for letter in word)] for word in WORDS}
    Pronunciations(words, Speller(hidden=4, layers=1, embedding=4)).save(folder)
    train(experiment(folder, f"pronunciation={folder}", "loop.epochs=1"), quiet=True)
    return folder


def config(hearing: Path, folder: Path, *overrides: str) -> WritingConfig:
    (folder / "text.txt").write_text("AB CD BA\nDC AA CB BC\nAC BD DB CA DD\n" * 20)
    settings = {
        "hearing": yaml.safe_load((hearing / "run" / "config.yaml").read_text()) | {"ascending_epochs": 0},
        "texts": [str(folder / "text.txt")],
        "output": str(folder / "scribe"),
        "scribe": {"layers": 1, "width": 32, "dropout": 0.0},
        "words": [1, 4],
        "batch_words": 60,
        "epoch_batches": 20,
        "threads": 1,
        "loop": {"epochs": 2, "schedule": {"peak": 0.01, "warmup_updates": 5}, "average_decay": 0.9},
    }
    settings["hearing"]["init_from"] = str(hearing / "run" / "best")
    (folder / "scribe.yaml").write_text(yaml.safe_dump(settings))
    return read_writing(folder / "scribe.yaml", overrides)


def record_clear_speech(plan: WritingConfig, words: Sequence[str] = WORDS) -> None:
    """Leave in a run's folder what a good ear would have heard of every one of `words`."""
    recording, generator = Recording(), np.random.default_rng(1)
    for word in [*words] * 4:
        phones = np.array([PHONES.index(sign) for sign in ["▁", *(SOUNDS_OF[letter] for letter in word), "▁"]])
        lengths = generator.integers(1, 4, len(phones))
        heard = generator.normal(0, 1, (lengths.sum(), len(PHONES))).astype(np.float32)
        heard[np.arange(lengths.sum()), np.repeat(phones, lengths)] += 8
        ends = lengths.cumsum()
        recording.add(word, heard - np.logaddexp.reduce(heard, axis=1, keepdims=True), phones, ends - lengths, ends)
    recording.sounds().save(sounds_file(plan))


def test_the_configuration_of_the_recipe_is_valid() -> None:
    assert read_writing(Path(__file__).resolve().parents[2] / "recipes/librispeech/conf/scribe.yaml").texts


def test_it_learns_to_write_what_it_has_only_read(hearing: Path, tmp_path: Path) -> None:
    plan = config(hearing, tmp_path, "loop.epochs=1", "epoch_batches=400", "speech_share=0")
    record_clear_speech(plan)
    model = load_saved_model(learn_to_write(plan, quiet=True))
    assert model.network.scribe is not None
    wanted = ["AB CD BA", "DC AA CB BC", "DD AB"]
    phones = [np.array(model.pronunciations.encode(text)) for text in wanted]
    heard, steps = pad(load_sounds(sounds_file(plan)).spoken(phones, np.random.default_rng(5)))
    written = [model.tokenizer.decode(each.tokens) for each in greedy(model.network.scribe(heard, steps), steps)]
    assert written == wanted


def test_the_model_stays_as_it_was_and_others_keep_its_scribe(hearing: Path, tmp_path: Path) -> None:
    best = learn_to_write(config(hearing, tmp_path, "loop.epochs=1"), quiet=True)
    before, after = load_saved_model(hearing / "run" / "best"), load_saved_model(best)
    assert set(after.training["scribe"]) == {"epoch", "update", "loss", "wer", "cer"}
    for name, tensor in before.network.state_dict().items():
        assert torch.equal(tensor, after.network.state_dict()[name])
    on = experiment(tmp_path / "on", f"init_from={best}", "loop.epochs=1")
    train(on, quiet=True)
    trained = load_saved_model(on.output / "best").network
    assert trained.scribe is not None
    assert not torch.equal(trained.phones.weight, after.network.phones.weight)
    for name, tensor in trained.scribe.state_dict().items():
        assert torch.equal(tensor, after.network.scribe.state_dict()[name])


def test_info_tells_of_the_scribe_and_of_what_it_learned(hearing: Path, tmp_path: Path) -> None:
    facts = dict(describe_model(learn_to_write(config(hearing, tmp_path, "loop.epochs=1"), quiet=True)))
    assert facts["scribe"] == "1 × 32 bidirectional GRU, from phones to tokens"
    assert facts["scribe epoch"] == "1"
    assert float(facts["scribe wer"]) >= 0


def test_stopped_and_resumed_it_ends_as_unbroken(hearing: Path, tmp_path: Path) -> None:
    whole, broken = (config(hearing, tmp_path, f"output={tmp_path / name}") for name in ("whole", "broken"))
    learn_to_write(whole, quiet=True)
    command = [sys.executable, "-m", "asr.cli.main", "scribe", tmp_path / "scribe.yaml", f"output={broken.output}"]
    command += ["loop.checkpoint_minutes=0"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not (broken.output / "last.pt").exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    assert load_checkpoint(broken.output / "last.pt")[0].epoch < 2
    learn_to_write(broken, resume=True, quiet=True)
    ours, theirs = (learned(each.output) for each in (broken, whole))
    assert same(ours, theirs)


def test_what_was_heard_is_heard_once(hearing: Path, tmp_path: Path) -> None:
    first = WritingTask(config(hearing, tmp_path), CPU, quiet=True)
    again = config(hearing, tmp_path, "epoch_batches=10", "speech_share=0.5", "scribe.width=16")
    kept = sounds_file(again)
    written = kept.stat().st_mtime_ns
    second = WritingTask(again, CPU, quiet=True)
    assert kept.stat().st_mtime_ns == written
    assert first.sounds.texts.tolist() == second.sounds.texts.tolist()
    assert len(first.sounds.texts) == len(first.sounds.edges) - 1 > 0


def test_what_was_heard_otherwise_is_heard_anew(hearing: Path, tmp_path: Path) -> None:
    other, few = tmp_path / "other", tmp_path / "few.jsonl"
    model = load_saved_model(hearing / "run" / "best")
    weights = {name: -tensor for name, tensor in model.network.state_dict().items()}
    save_model(other, model.network, model.tokenizer, "librispeech", pronunciations=model.pronunciations)
    utterances = read_manifest(hearing / "speech" / "tones.jsonl")
    write_manifest(few, utterances[:8])
    plan = config(hearing, tmp_path, f"hearing.init_from={other}", f"hearing.train=[{{manifest: {few}}}]")
    first = WritingTask(plan, CPU, quiet=True).sounds
    twice = WritingTask(replace(plan, passes=2), CPU, quiet=True).sounds
    assert len(twice.texts) == 2 * len(first.texts)
    plain = replace(plan, hearing=replace(plan.hearing, spec_augment=None))
    assert not np.array_equal(WritingTask(plain, CPU, quiet=True).sounds.log_probs, first.log_probs)
    save_model(other, model.network, model.tokenizer, "librispeech", None, False, weights, model.pronunciations)
    assert not np.array_equal(WritingTask(plan, CPU, quiet=True).sounds.log_probs, first.log_probs)
    write_manifest(few, utterances[8:])
    said = set(WritingTask(plan, CPU, quiet=True).sounds.texts.tolist())
    assert said <= {utterance.text for utterance in utterances[8:]}


def test_words_of_phones_that_the_speech_lacks_are_not_read(
    hearing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = config(hearing, tmp_path, "speech_share=0")
    record_clear_speech(plan, [word for word in WORDS if "D" not in word])
    task = WritingTask(plan, CPU)
    assert "left out of the texts: 100 words, for the speech lacks d\n" in capsys.readouterr().err
    read = " ".join(task.tokenizer.decode(target) for batch in task.load(0, 0, 1) for target in batch.targets)
    assert set(read.split()) == {"AB", "BA", "AA", "CB", "BC", "AC", "CA"}
    (tmp_path / "text.txt").write_text("AB AC\n")
    record_clear_speech(plan, ["DD"])
    with pytest.raises(DataError, match="one of the phones b, k, ʌ, which the speech lacks"):
        WritingTask(plan, CPU)


def test_speech_and_excerpts_come_in_the_share_that_was_asked_for(hearing: Path, tmp_path: Path) -> None:
    texts = set()
    for share in (0.0, 0.99):
        plan = config(hearing, tmp_path, f"speech_share={share}")
        plan.output.mkdir(exist_ok=True)
        task = WritingTask(plan, CPU, quiet=True)
        spoken = sum(batch_is_speech(task, batch.targets) for batch in task.load(0, 0, 1))
        assert spoken in (range(0, 5) if share == 0 else range(18, 21))
        texts.add(spoken)
    assert len(texts) == 2


def test_batches_hold_excerpts_of_like_length_the_same_in_any_order(hearing: Path, tmp_path: Path) -> None:
    plan = config(hearing, tmp_path, "speech_share=0", "words=[1, 30]", f"epoch_batches={2 * POOL}")
    record_clear_speech(plan)
    task = WritingTask(plan, CPU, quiet=True)
    batches = list(task.load(0, 0, 1))
    assert min(len(batch.steps) for batch in batches) >= 1
    assert len({tuple(map(tuple, batch.targets)) for batch in batches}) == 2 * POOL
    filled = sum(int(batch.steps.sum()) for batch in batches) / sum(batch.heard[..., 0].numel() for batch in batches)
    assert filled > 0.85
    # A resumed run, or one of two processes, asks for some of them only.
    for number, batch in zip(range(POOL - 3, 2 * POOL, 2), task.load(0, POOL - 3, 2), strict=True):
        assert torch.equal(batch.heard, batches[number].heard)
        assert batch.targets == batches[number].targets


def batch_is_speech(task: WritingTask, targets: list[list[int]]) -> bool:
    return {task.tokenizer.decode(target) for target in targets} <= set(task.sounds.texts.tolist())


def test_a_scribe_goes_on_from_that_of_another_model(hearing: Path, tmp_path: Path) -> None:
    first = learn_to_write(config(hearing, tmp_path, "loop.epochs=1"), quiet=True)
    model = load_saved_model(first)
    wanted = model.network.scribe
    elsewhere = f"output={tmp_path / 'elsewhere'}"
    plan = config(hearing, tmp_path, elsewhere, f"scribe_from={first}", "scribe.dropout=0.3")
    task = WritingTask(plan, CPU, quiet=True)
    assert wanted is not None
    assert same(task.network.state_dict(), wanted.state_dict())
    assert task.network.config == replace(wanted.config, dropout=0.3)
    plain = hearing / "run" / "best"
    with pytest.raises(UsageError, match="has no scribe to go on from"):
        WritingTask(config(hearing, tmp_path, elsewhere, f"scribe_from={plain}"), CPU, quiet=True)
    letters, other = CharacterTokenizer.train(["XYZ"]), tmp_path / "other"
    network = AcousticModel(model.network.config, len(letters.vocabulary))
    save_model(other, network, letters, "none", {}, pronunciations=model.pronunciations)
    with pytest.raises(UsageError, match=r"the scribe of .*other writes other pieces"):
        WritingTask(config(hearing, tmp_path, elsewhere, f"scribe_from={other}"), CPU, quiet=True)


def test_a_model_without_phones_is_refused(babbler: Path, hearing: Path, tmp_path: Path) -> None:
    plan = config(hearing, tmp_path, f"hearing.init_from={babbler}")
    with pytest.raises(UsageError, match="has not learned phones"):
        WritingTask(plan, CPU, quiet=True)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("hearing.init_from=null", r"hearing\.init_from must name .*\n.*hearing\.init_from=default"),
        ("hearing.keep_output=false", r"hearing\.keep_output=false would take away the phones"),
        ("hearing.train=[]", "hearing: train must name at least one manifest"),
        ("hearing.batches.seconds=2", r"hearing: batches\.seconds must hold"),
    ],
)
def test_what_is_heard_is_checked_as_for_a_training(hearing: Path, tmp_path: Path, override: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        config(hearing, tmp_path, override)


def test_the_command_says_where_the_model_is_and_refuses_a_folder_in_use(hearing: Path, tmp_path: Path) -> None:
    config(hearing, tmp_path)
    arguments = ["scribe", str(tmp_path / "scribe.yaml"), "loop.epochs=1", "epoch_batches=3"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert str(tmp_path / "scribe" / "best") in result.output
    assert isinstance(CliRunner().invoke(app, arguments).exception, UsageError)
    wrong = CliRunner().invoke(app, [*arguments, "words=[5, 2]"])
    assert isinstance(wrong.exception, UsageError)
