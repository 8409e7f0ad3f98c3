"""The examples of docs/transcribing.md do what the page says: every block is run."""

from __future__ import annotations

import glob
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from asr.cli import main
from asr.model import folder
from tests.audio.recordings import encode, noisy

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "transcribing.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def workspace(tiny_model, tmp_path, monkeypatch) -> Path:
    """A folder with the recordings that the page speaks of, and the tiny model in the place of the bundled one."""
    import numpy as np

    stereo = np.stack([noisy(4.0, 1), noisy(4.0, 2)], axis=1)
    files = {"interview.wav": noisy(25.0, 3), "clips/a.wav": noisy(2.0, 4), "clips/b.wav": noisy(3.0, 5)}
    for name, samples in (files | {"calls/first.wav": stereo}).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encode(samples, 16000))
    model = shutil.copytree(tiny_model, tmp_path / "bundled")
    monkeypatch.setattr(folder, "BUNDLED", model)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_examples():
    assert len(blocks("console")) > 4
    assert len(blocks("python")) > 3


@pytest.mark.parametrize("line", [line[2:] for block in blocks("console") for line in block.splitlines()])
def test_commands(workspace, line, monkeypatch, capsys):
    words = [match for word in shlex.split(line) for match in (sorted(glob.glob(word)) or [word])]  # noqa: PTH207
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as exit_:
        main.run()
    out, err = capsys.readouterr()
    assert exit_.value.code in (0, None), err
    assert out or "-o" in words


def test_python(workspace, capsys):
    scope: dict[str, object] = {}
    for block in blocks("python"):
        exec(block, scope)
    assert "missing.wav does not exist" in capsys.readouterr().out
