"""recipes/pseudo_labels.py: what was heard becomes what is learned."""

from __future__ import annotations

import json
from pathlib import Path

from asr.corpus.manifest import Utterance, read_manifest, write_manifest
from tests.recipes.workspace import Workspace, sentences, speak


def test_what_a_model_heard_takes_the_place_of_what_was_said(tmp_path: Path, tiny_model: Path) -> None:
    workspace = Workspace(tmp_path)
    utterances = []
    for number, text in enumerate(sentences(4, seed=5)):
        speak(tmp_path / f"{number}.wav", text)
        utterances.append(Utterance(f"u{number}", tmp_path / f"{number}.wav", 1.0, text, speaker="s"))
    write_manifest(tmp_path / "said.jsonl", utterances)
    done = workspace.run("asr", "evaluate", tiny_model, "said.jsonl", "--greedy", "-o", "heard")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "heard/hypotheses.jsonl").read_text().splitlines()]
    lines[1]["pred_text"] = " "  # nothing was heard of this one
    lines[2]["pred_text"] = "SOMETHING ELSE"
    (tmp_path / "heard/hypotheses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in reversed(lines)))

    done = workspace.run("python", "recipes/pseudo_labels.py", "heard", "said.jsonl", "labeled.jsonl")
    assert done.returncode == 0, done.stderr
    said = {line["id"]: line["pred_text"] for line in lines}
    labeled = read_manifest(tmp_path / "labeled.jsonl")
    assert {one.id: one.text for one in labeled} == {name: text for name, text in said.items() if text.strip()}
    assert "u1" not in {one.id for one in labeled}
    heard_of = {one.id: one for one in utterances}
    assert all(one.audio == heard_of[one.id].audio and one.speaker == "s" for one in labeled)
    assert f"{len(labeled)} of 4 utterances" in done.stdout


def test_a_manifest_that_was_not_heard_whole_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    write_manifest(tmp_path / "said.jsonl", [Utterance(name, tmp_path / f"{name}.wav", 1.0, "A") for name in "xy"])
    heard = tmp_path / "heard"
    heard.mkdir()
    (heard / "hypotheses.jsonl").write_text('{"id": "x", "pred_text": "A"}\n')
    done = workspace.run("python", "recipes/pseudo_labels.py", "heard", "said.jsonl", "labeled.jsonl")
    assert done.returncode == 1
    assert "has not heard y" in done.stderr
    assert not (tmp_path / "labeled.jsonl").exists()
    (heard / "hypotheses.jsonl").write_text('{"id": "x", "pred_text": ""}\n{"id": "y", "pred_text": ""}\n')
    done = workspace.run("python", "recipes/pseudo_labels.py", "heard", "said.jsonl", "labeled.jsonl")
    assert done.returncode == 1
    assert "nothing was heard" in done.stderr


def test_labels_of_another_recognizer_stay_where_both_nearly_agree(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    heard_of = {
        "THE SEA WAS CALM": "THE SEE WAS CALM",  # 1 of 13 letters
        "A RED BARN": "A RED BAR N",  # the same letters
        "GOOD MORNING": "GOOD EVENING",  # 4 of 11
        "NOBODY SPOKE": "",
    }
    utterances = [Utterance(f"u{n}", tmp_path / f"{n}.wav", 1.0, text) for n, text in enumerate(heard_of)]
    write_manifest(tmp_path / "said.jsonl", utterances)
    (tmp_path / "heard").mkdir()
    lines = [{"id": one.id, "pred_text": heard_of[one.text]} for one in utterances]
    (tmp_path / "heard" / "hypotheses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command = ("python", "recipes/pseudo_labels.py", "heard", "said.jsonl", "labeled.jsonl", "--agree")
    done = workspace.run(*command, "0.1")
    assert done.returncode == 0, done.stderr
    assert [one.text for one in read_manifest(tmp_path / "labeled.jsonl")] == ["THE SEA WAS CALM", "A RED BARN"]
    assert workspace.run(*command, "0").returncode == 0
    assert [one.text for one in read_manifest(tmp_path / "labeled.jsonl")] == ["A RED BARN"]
