"""The comparisons of recipes/librispeech: every one can be trained as written, and the table says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import compare
import numpy as np
import pytest
import results
from safetensors.numpy import save_file

from asr.config import read_yaml, validate
from asr.errors import UsageError
from asr.training.run import read_experiment
from tests.recipes.workspace import PROJECT

PLAN = PROJECT / "recipes/librispeech/comparisons.yaml"


@pytest.fixture(autouse=True)
def in_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)


@pytest.mark.parametrize("path", [PLAN, PLAN.with_name("seeds.yaml")], ids=lambda path: path.name)
def test_each_changes_something_that_the_training_knows(path: Path) -> None:
    plan = compare.read_comparisons(path)
    first = read_experiment(plan.conf, plan.comparisons[plan.baseline].settings)
    for name, variant in plan.comparisons.items():
        changed = read_experiment(plan.conf, variant.settings)
        assert (changed == first) == (name == plan.baseline), name


def test_an_unknown_word_in_a_variant_is_named() -> None:
    data = read_yaml(PLAN)
    data["comparisons"]["mfcc"]["setings"] = []
    with pytest.raises(UsageError, match=r"unknown key comparisons\.mfcc\.setings"):
        validate(compare.Comparisons, data, "made")


def evaluated(folder: Path, texts: list[str], wer: float, hours: float, size: int) -> None:
    """What training and judging leave behind."""
    for search in ("greedy", "lm"):
        (folder / search).mkdir(parents=True)
        (folder / search / "report.json").write_text(json.dumps({"wer": wer, "cer": wer / 2}))
    lines = [f"{text} (u{number:03d}-x)" for number, text in enumerate(texts)]
    (folder / "greedy" / "hypotheses.trn").write_text("\n".join(lines) + "\n")
    (folder / "metrics.jsonl").write_text(json.dumps({"audio_hours": hours}) + "\n")
    (folder / "best").mkdir()
    save_file({"w": np.zeros((size, 1000), np.float32)}, folder / "best" / "model.safetensors")


def test_the_table_has_sizes_hours_errors_and_the_paired_difference(tmp_path: Path) -> None:
    manifest = tmp_path / "dev.jsonl"
    texts = ["ONE TWO THREE FOUR"] * 120
    manifest.write_text(
        "".join(
            json.dumps({"id": f"u{number:03d}-x", "audio_filepath": "a.wav", "duration": 1.0, "text": text}) + "\n"
            for number, text in enumerate(texts)
        )
    )
    wrong = ["ONE TWO THREE FIVE" if number % 2 else text for number, text in enumerate(texts)]
    evaluated(tmp_path / "first", wrong, 0.125, 10.0, 1000)
    evaluated(tmp_path / "second", texts, 0.0, 15.0, 2000)
    variants = {name: compare.Variant(f"the {name}", ["x=1"]) for name in ("first", "second", "not run")}
    plan = compare.Comparisons(tmp_path / "conf.yaml", tmp_path, manifest, "first", variants)
    rows = [line.strip("| ").split(" | ") for line in compare.table(plan).splitlines()[2:]]
    assert rows[0] == ["first", "the first", "1.00 M", "10", "12.5", "", "6.2", "12.5", "`x=1`"]
    assert rows[1][:5] == ["second", "the second", "2.00 M", "15", "0.0"]
    assert rows[1][5].startswith("-12.5 (-1")
    assert len(rows) == 2
    before = compare.table(plan).replace("| second | the second", "| not run | elsewhere").replace("| 12.5 |", "| 99 |")
    again = compare.table(plan, before).splitlines()[2:]
    assert [line.split(" | ")[:2] for line in again] == [
        ["| first", "the first"],
        ["| second", "the second"],
        ["| not run", "elsewhere"],
    ]
    assert again[0] == compare.table(plan).splitlines()[2]


def test_a_page_gets_its_table_once_the_first_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manifest = tmp_path / "dev.jsonl"
    line = {"id": "u000-x", "audio_filepath": "a.wav", "duration": 1.0, "text": "ONE"}
    manifest.write_text(json.dumps(line) + "\n")
    plan = {"conf": "conf.yaml", "output": "exp", "evaluate": "dev.jsonl", "baseline": "first"}
    (tmp_path / "plan.yaml").write_text(json.dumps(plan | {"comparisons": {"first": {"what": "the first"}}}))
    page = "# Results\n<!-- comparisons: plan.yaml -->\nNot run yet.\n<!-- end -->\n"
    assert results.renewed(page) == page
    evaluated(tmp_path / "exp" / "first", ["ONE"], 0.0, 1.0, 10)
    assert "| first | the first | 0.01 M | 1 | 0.0 |" in results.renewed(page)
