"""Training of the tagger: errors and pauses as a recognizer makes them, and a run that learns and goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asr.errors import DataError, UsageError
from asr.punctuation import CAPITALIZED, COARSE_PAUSE, COMMA, MARKS, NONE, STOP, UNKNOWN_PAUSE, load_punctuation
from asr.trainer.checkpoint import load_checkpoint, save_checkpoint
from asr.trainer.trainer import LAST
from asr.training.punctuation import PunctuationExperiment
from asr.training.punctuation_data import IGNORED, Noise, NoiseConfig, Words, make_batch, sound_alikes
from asr.training.run import read_experiment, run_task

ALIKE = np.array([[0], [2], [1], [0], [0], [0]], np.int32)
PAUSES = {"none": [9.0, 1, 0, 0, 0, 0], ",": [1.0, 5, 4, 0, 0, 0], ".": [0.0, 0, 0, 1, 2, 7], "?": [0.0, 0, 0, 1, 2, 7]}


def noise(**settings: float) -> Noise:
    quiet = {"clean_share": 0.0, "replaced": 0.0, "dropped": 0.0, "doubled": 0.0, "pauses_share": 0.0}
    return Noise(NoiseConfig(**{**quiet, **settings}), ALIKE, PAUSES)


def text(count: int = 300) -> Words:
    """`A b, c. D e.` over and over: words 1 to 5."""
    words = np.tile(np.array([1, 2, 3, 4, 5], np.uint32), count)
    labels = np.tile(np.array([4, 1, 2, 4, 2], np.uint8), count)
    return Words(words, labels)


def test_a_clean_batch_is_what_the_text_says() -> None:
    batch = make_batch(text(), np.array([0, 1]), 10, None, np.random.default_rng(0))
    # Whole sentences: behind the first end, up to the last.
    assert batch.words[0].tolist()[:7] == [4, 5, 1, 2, 3, 4, 5]
    assert batch.marks[0].tolist()[:7] == [NONE, STOP, NONE, COMMA, STOP, NONE, STOP]
    # The case of a sentence's first word follows from the mark, and is not learned.
    assert batch.cases[0].tolist()[:7] == [IGNORED, 0, IGNORED, 0, 0, IGNORED, 0]
    assert set(batch.pauses.flatten().tolist()) == {UNKNOWN_PAUSE}


def test_a_dropped_word_leaves_its_mark_and_a_doubled_one_bears_it_once() -> None:
    random = np.random.default_rng(1)
    words, marks, cases = (np.array(each) for each in ([1, 2, 3, 4] * 50, [0, 1, 2, 0] * 50, [1, 0, 0, 1] * 50))
    dropped = noise(dropped=0.3).errors(words, marks, cases, random)
    assert len(dropped[0]) < 200
    assert len(dropped[0]) == len(dropped[1]) == len(dropped[2])
    assert set(dropped[1][dropped[0] == 4]) <= {0}
    doubled = noise(doubled=0.5).errors(words, marks, cases, random)
    assert len(doubled[0]) > 200
    assert (doubled[1] == STOP).sum() == 50
    replaced = noise(replaced=1.0).errors(words, marks, cases, random)
    assert np.array_equal(replaced[1], marks)
    assert set(replaced[0][words == 3]) == {3}
    assert 0 < (replaced[0] != words).sum() <= 100


def test_pauses_follow_the_marks_and_may_be_coarse() -> None:
    random = np.random.default_rng(2)
    marks = np.array([NONE, STOP] * 2000)
    fine = noise(pauses_share=1.0, coarse_share=0.0, blurred=0.0).silence(marks, random)
    assert fine[marks == NONE].mean() < 1.5 < 4.5 < fine[marks == STOP].mean()
    coarse = noise(pauses_share=1.0, coarse_share=1.0, blurred=0.0).silence(marks, random)
    assert set(np.unique(coarse)) <= {UNKNOWN_PAUSE, *range(COARSE_PAUSE, 7)}
    assert set(noise(pauses_share=0.0).silence(marks, random)) == {UNKNOWN_PAUSE}


def test_words_that_differ_in_one_phone_sound_alike() -> None:
    words = ["THEIR", "THERE", "AIR", "PARLIAMENT"]
    spoken = {"THEIR": "ðɛr", "THERE": "ðɛr", "AIR": "ɛr", "PARLIAMENT": "pɑrlʌmʌnt"}
    table = sound_alikes(words, np.array([5, 9, 2, 1]), spoken)
    assert table[1].tolist()[:3] == [2, 3, 0]
    assert table[4].tolist()[0] == 0


def write_text(folder: Path) -> None:
    for name in ("train", "validation"):
        (folder / name).mkdir(parents=True)
        np.save(folder / name / "words.npy", text().words)
        np.save(folder / name / "labels.npy", text().labels)
    (folder / "vocabulary.txt").write_text("ANN\nBEES\nCOME\nDAN\nEATS\n")
    (folder / "mixed.tsv").write_text("McDan\t30\t40\nDeAnn\t1\t2\n")


SETTINGS = ["tokenizer.kind=characters", "network.embedding=16", "network.hidden=16", "batch=8", "window=20"]
SETTINGS += [
    "epoch_batches=30",
    "loop.epochs=2",
    "loop.schedule.peak=0.02",
    "loop.schedule.warmup_updates=5",
    "threads=1",
]


def experiment_in(folder: Path, *settings: str) -> PunctuationExperiment:
    (folder / "conf.yaml").write_text(f"task: punctuation\ntext: {folder / 'text'}\noutput: {folder / 'exp'}\n")
    experiment = read_experiment(folder / "conf.yaml", [*SETTINGS, *settings])
    assert isinstance(experiment, PunctuationExperiment)
    return experiment


def test_a_run_learns_saves_and_goes_on(tmp_path: Path) -> None:
    write_text(tmp_path / "text")
    run_task(experiment_in(tmp_path, "loop.epochs=1"), quiet=True)
    run_task(experiment_in(tmp_path), resume=True, quiet=True)
    model = load_punctuation(tmp_path / "exp" / "best")
    assert model.mixed == {"MCDAN": "McDan"}
    tags = model.tags(["ANN", "BEES", "COME", "DAN", "EATS", "ANN", "BEES", "COME"])
    assert [MARKS[tag.mark] for tag in tags] == ["", ",", ".", "", ".", "", ",", "."]
    assert [tag.case == CAPITALIZED for tag in tags] == [True, False, False, True, False, True, False, False]


def test_what_was_best_on_other_text_is_no_match(tmp_path: Path) -> None:
    write_text(tmp_path / "text")
    run_task(experiment_in(tmp_path, "loop.epochs=1"), quiet=True)
    last = tmp_path / "exp" / LAST
    state, states = load_checkpoint(last)
    save_checkpoint(last, replace(state, best=-1.0), states)  # as if the former text had been an easy one
    assert run_task(experiment_in(tmp_path), resume=True, quiet=True).best_epoch == 1
    write_text(tmp_path / "others")
    other = experiment_in(tmp_path, "loop.epochs=3", f"text={tmp_path / 'others'}")
    assert run_task(other, resume=True, quiet=True).best_epoch == 3


def test_pauses_that_fit_no_marks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pauses must have the keys"):
        experiment_in(tmp_path, "pauses={'.': [1, 2, 3, 4, 5, 6]}")


def test_text_that_is_missing_is_named(tmp_path: Path) -> None:
    write_text(tmp_path / "text")
    (tmp_path / "text" / "train" / "labels.npy").unlink()
    with pytest.raises(DataError, match="train holds no packed text"):
        run_task(experiment_in(tmp_path))


def test_too_little_text_to_validate_on_is_told_before_training(tmp_path: Path) -> None:
    write_text(tmp_path / "text")
    with pytest.raises(UsageError, match="validation_words must be more than 256"):
        experiment_in(tmp_path, "validation_words=256")
    for nothing in ("window=1", "batch=0", "epoch_batches=0"):
        with pytest.raises(UsageError, match="window must be at least 2, batch and epoch_batches at least 1"):
            experiment_in(tmp_path, nothing)
    for name in ("words", "labels"):
        path = tmp_path / "text" / "validation" / f"{name}.npy"
        np.save(path, np.load(path)[:256])
    with pytest.raises(DataError, match="validation has only 256 words"):
        run_task(experiment_in(tmp_path), quiet=True)


@pytest.mark.parametrize("file", ["train/words.npy", "mixed.tsv"])
@pytest.mark.parametrize("content", [None, b"", b"torn\n"])
def test_packed_text_that_is_torn_is_named(tmp_path: Path, file: str, content: bytes | None) -> None:
    write_text(tmp_path / "text")
    path = tmp_path / "text" / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    if (file, content) == ("mixed.tsv", b""):
        return  # there are no such words
    with pytest.raises(DataError, match=f"{path.parent.name} holds no packed text"):
        run_task(experiment_in(tmp_path), quiet=True)
