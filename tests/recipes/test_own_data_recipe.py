"""recipes/own_data: a folder of recordings in, a model of one's own and two error rates out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from asr.corpus.manifest import Utterance, read_manifest, write_manifest
from tests.recipes.workspace import Workspace, sentences, speak

RUN = "recipes/own_data/run.sh"
BRIEF = ["batches={seconds: 4}", "longest_seconds=3", "loop={epochs: 2, schedule: {peak: 0.001}}", "threads=1"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_model_of_ones_own(tmp_path: Path, tiny_model: Path) -> None:
    workspace = Workspace(tmp_path)
    shutil.copytree(tiny_model, tmp_path / "tiny_model")
    (tmp_path / "tiny_model/decoding.json").write_text('{"lm_weight": 0.4}')
    for number, text in enumerate(sentences(20, seed=3)):
        speak(tmp_path / "voice" / f"take{number}.wav", text)
        (tmp_path / "voice" / f"take{number}.txt").write_text(text.lower())
    options = ["voice", "--speaker", "me", "--model", "tiny_model", "--hold-out", 0.3]
    done = workspace.run(RUN, *options, "--", *BRIEF)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| voice-test")]
    assert [row.split("asr evaluate ")[1].split()[0] for row in rows] == ["tiny_model", "exp/own-voice/model"]
    assert "Against before" in done.stdout
    assert "Warning" not in done.stderr
    assert (tmp_path / "exp/own-voice/model/decoding.json").exists(), "the search settings go along"
    manifests = tmp_path / "data/manifests"
    train, test = (read_manifest(manifests / f"voice-{side}.jsonl") for side in ("train", "test"))
    assert len(train) + len(test) == 20
    assert {one.speaker for one in train + test} == {"me"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_torn_recording_stops_it_with_a_way_out(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for name in ("good", "torn"):
        speak(tmp_path / "voice" / f"{name}.wav", "AB CD")
        (tmp_path / "voice" / f"{name}.txt").write_text("ab cd")
    (tmp_path / "voice/torn.wav").write_bytes(b"RIFF")
    done = workspace.run(RUN, "voice")
    assert done.returncode == 1
    assert "torn.wav" in done.stderr
    assert "--stage 2" in done.stderr
    assert not (tmp_path / "exp").exists()


def test_the_folder_that_one_stands_in_has_its_own_name(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    speak(tmp_path / "voice/take.wav", "AB CD")
    (tmp_path / "voice/take.txt").write_text("ab cd")
    done = workspace.run("sh", "-c", f"cd voice && exec ../{RUN} . --stop-stage 1")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "data/manifests").iterdir()] == ["voice.jsonl"]


def test_what_goes_along_with_a_fine_tuned_model(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for name in ("lm.ngram", "rnn/model", "punctuation/model", "decoding.json", "confidence.json", "model.safetensors"):
        (tmp_path / "origin" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "origin" / name).touch()
    (tmp_path / "tuned").mkdir()
    (tmp_path / "tuned/lm.arpa.gz").touch()  # of another origin, before
    script = tmp_path / "recipes/own_data/keep.sh"
    script.write_text('. "$(dirname "$0")/../common.sh"\nkeep_language_models "$@"\n')
    done = workspace.run("bash", script, "origin", "tuned")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "tuned").iterdir()} == {"lm.ngram", "rnn", "decoding.json", "punctuation"}


@pytest.mark.parametrize(
    "command",
    [
        ("recipes/setting.py", "output", "recipes/own_data/finetune.yaml", "loop.epochs"),
        ("recipes/tokenizer.py", "recipes/own_data/finetune.yaml", "train=[{manifest: none.jsonl}]"),
        ("recipes/own_data/hold_out.py", "none.jsonl", "0.3"),
        ("recipes/own_words/divide.py", "none.txt", "out"),
        ("recipes/results.py", "exp/none/reports/*/report.json"),
        ("recipes/compare.py", "none.yaml"),
        ("recipes/compare.py", "recipes/librispeech/comparisons.yaml", "no-such"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, command: tuple[str, ...]) -> None:
    done = Workspace(tmp_path).run("python", *command)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("asr: ")
    assert "Traceback" not in done.stderr


def test_a_sentence_is_on_one_side_with_all_its_recordings(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    utterances = [
        Utterance(f"{take}-{number}", tmp_path / f"{take}-{number}.wav", 1.5, f"SENTENCE {chr(65 + number)}")
        for take in "ab"
        for number in range(20)
    ]
    write_manifest(tmp_path / "mine.jsonl", utterances)
    done = workspace.run("python", "recipes/own_data/hold_out.py", "mine.jsonl", 0.3)
    assert done.returncode == 0, done.stderr
    train, test = ({one.text for one in read_manifest(tmp_path / f"mine-{side}.jsonl")} for side in ("train", "test"))
    assert len(train) + len(test) == 20
    assert not train & test
    assert 0 < len(test) < 14

    done = workspace.run("python", "recipes/own_data/hold_out.py", "mine.jsonl", 0)
    assert done.returncode == 1
    assert "no sentence falls on the test side" in done.stderr
