"""The door: what a user's editor, type checker and shell see of the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import asr

ROOT = Path(__file__).resolve().parents[1]
USER_CODE = """
import asr
recognizer = asr.load_model()
reveal_type(recognizer)
reveal_type(recognizer.transcribe("a.wav").segments[0].words[0].confidence)
reveal_type(asr.score(["a"], ["b"]).wer)
asr.load_modle()
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


@pytest.mark.slow
def test_a_type_checker_sees_the_types(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="needs mypy")
    (tmp_path / "user.py").write_text(USER_CODE)
    done = python("-m", "mypy", "--cache-dir", str(tmp_path / "cache"), str(tmp_path / "user.py"))
    seen = [line.split(": ", 2)[2] for line in done.stdout.splitlines() if line.startswith(str(tmp_path))]
    revealed = ["asr.transcription.recognizer.Recognizer", "float", "float"]
    for line, kind in zip(seen, revealed, strict=False):
        assert line.startswith(f'Revealed type is "{kind}') or line.startswith(f'Revealed type is "builtins.{kind}')
    assert 'has no attribute "load_modle"' in seen[3]


def test_names_can_be_completed_and_all_of_them_load() -> None:
    assert set(asr.__all__) <= set(dir(asr))
    for name in asr.__all__:
        assert getattr(asr, name) is not None
    assert asr.Job is asr.Request, "a former name"
    with pytest.raises(AttributeError, match="no attribute 'Recogniser'"):
        _ = asr.Recogniser


def test_python_m_asr_tells_its_version() -> None:
    done = python("-m", "asr", "--version")
    assert (done.returncode, done.stdout) == (0, f"asr {asr.__version__}\n")


def test_completion_can_be_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'asr'; from asr.cli.main import command; command()"],
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "_ASR_COMPLETE": "complete_bash", "COMP_WORDS": "asr tr", "COMP_CWORD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["transcribe", "train"]


@pytest.mark.parametrize("command", ["transcribe", "evaluate", "score", "align", "train", "info"])
def test_help_names_every_argument_once_with_plain_dots(command: str) -> None:
    done = python("-m", "asr", command, "--help")
    assert done.returncode == 0
    assert "...}..." not in done.stdout
    assert "......" not in done.stdout
