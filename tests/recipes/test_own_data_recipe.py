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
