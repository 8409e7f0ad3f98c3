"""What a script of the recipes is given wrongly it tells in a line, as the command line does."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tests.recipes.workspace import PROJECT


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("own_words/found.py", ["nowhere.jsonl", "empty", "--", "WORD"]),
        ("punctuation/evaluate.py", ["trigram", "nowhere"]),
        ("punctuation/held_out.py", ["out.npy", "nowhere.txt"]),
        ("punctuation/pauses.py", ["nowhere.jsonl", "nowhere"]),
        ("punctuation/sentences.py", ["nowhere", "out.txt", "--leave-out", "nowhere.txt"]),
        ("punctuation/speech.py", ["nowhere", "nowhere.jsonl", "nowhere", "empty"]),
        ("punctuation/tune_bias.py", ["nowhere", "nowhere"]),
        ("robustness/variants.py", ["nowhere.jsonl", "out"]),
        ("wordless.py", ["out", "empty/nowhere.jsonl", "--count", "1"]),
    ],
)
def test_what_is_not_there_is_told_in_a_line(
    script: str,
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = PROJECT / "recipes" / script
    (tmp_path / "empty").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit):
        runpy.run_path(str(path), run_name="__main__")
    told = capsys.readouterr().err
    assert told.startswith("asr: ")
    assert "nowhere" in told
