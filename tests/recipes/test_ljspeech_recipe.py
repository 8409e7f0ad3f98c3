"""recipes/ljspeech from corpus to table, on clips of spoken tones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from asr.corpus.ljspeech import random_side
from tests.recipes.workspace import PROJECT, TINY, Workspace, sentences, speak

CLIPS = [f"LJ001-{number:04d}" for number in range(1, 187)]
HELD_OUT = [f"LJ002-{number:04d}" for number in range(1, 9)]
RUN = "recipes/ljspeech/run.sh"
BRIEF = ["batches={seconds: 4}", "longest_seconds=3", "loop={epochs: 1, schedule: {peak: 0.001}}", "threads=1"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two chapters, one of them held out; every side of both divisions has clips."""
    root = tmp_path / "corpora" / "LJSpeech-1.1"
    sides = {side: [one for one in CLIPS if random_side(one) == side] for side in ("train", "dev", "test")}
    names = sides["train"][:14] + sides["dev"][:3] + sides["test"][:3] + HELD_OUT
    lines = []
    for name, text in zip(names, sentences(len(names), seed=1), strict=True):
        speak(root / "wavs" / f"{name}.wav", text)
        lines.append(f"{name}|{text}|{text}\n")
    (root / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    return Workspace(tmp_path)


@pytest.mark.parametrize("options", [[], ["--lm", "mine.ngram"], ["--rescore", "rnn"]])
def test_language_models_that_are_asked_for_are_tuned(tmp_path: Path, options: list[str]) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "bin/asr").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    (tmp_path / "calls").touch()
    model = tmp_path / "exp/ljspeech-finetune-random/model"
    model.mkdir(parents=True)
    done = workspace.run(RUN, *options, "--stage", 6, "--stop-stage", 6)
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text()
    assert (model / "lm.ngram").exists() is not bool(options), "those of the model that it began from"
    assert calls.startswith("lm tune exp/ljspeech-finetune-random/model") is bool(options)
    if options:
        assert f"{options[0]} {tmp_path / options[1]} " in calls


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_scratch(workspace: Workspace) -> None:
    done = workspace.run(RUN, "--config", "scratch", "--corpora", "corpora", "--lm", "words.ngram", "--stop-stage", 3)
    assert done.returncode == 0, done.stderr
    manifests = workspace.folder / "data/manifests"
    workspace.run("asr", "lm", "train", manifests / "ljspeech-random-train.jsonl", "-o", "words.ngram")
    spoken = PROJECT / "asr" / "pretrained"
    rest = ["--config", "scratch", "--lm", "words.ngram", "--stage", 4, "--", *TINY, f"lexicon={spoken}"]
    done = workspace.run(RUN, *rest)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ljspeech-random-test")]
    assert len(rows) == 2
    assert "greedy" in rows[0]
    assert "lm.ngram" in rows[1]
    model = workspace.folder / "exp/ljspeech-scratch-random/model"
    assert (model / "lm.ngram").read_bytes() == (workspace.folder / "words.ngram").read_bytes()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fine_tuning_with_chapters_held_out(workspace: Workspace, tiny_model: Path) -> None:
    shutil.copytree(tiny_model, workspace.folder / "tiny_model")
    options = ["--split", "chapters", "--corpora", "corpora"]
    done = workspace.run(RUN, *options, "--", "init_from=tiny_model", *BRIEF)
    assert done.returncode == 0, done.stderr
    reports = workspace.folder / "exp/ljspeech-finetune-chapters/reports"
    found = {path.parent.name: json.loads(path.read_text()) for path in reports.glob("*/report.json")}
    assert found.keys() == {"before-greedy", "before-lm", "greedy", "lm"}
    assert {report["utterance_count"] for report in found.values()} == {len(HELD_OUT)}
    assert found["before-greedy"]["settings"]["model"]["folder"] == "tiny_model"
    assert found["greedy"]["settings"]["model"]["folder"].endswith("chapters/model")
