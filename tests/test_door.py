"""The door: what a user's editor, type checker and shell see of the package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_type_hints

import pytest
from typer.testing import CliRunner

import asr
from asr.cli.help import GROUPS
from asr.cli.main import app
from tests.command_line import COMMANDS

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


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_argument_with_plain_dots(name: str) -> None:
    text = CliRunner().invoke(app, [*name.split(), "--help"]).output
    assert re.search(r"\.\.\.\W*\.\.\.", text.partition("\n\n")[0]) is None, text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_tells_the_default_of_every_number(name: str) -> None:
    command, untold = COMMANDS[name], []
    context = command.make_context(name, [], resilient_parsing=True)
    for parameter in command.params:
        kind = get_type_hints(command.callback, include_extras=False).get(parameter.name)
        if kind in (int, float, int | None, float | None) and parameter.opts[0] not in ("--overfit", "--prune"):
            text = parameter.get_help_record(context)
            untold += [] if text is None or "[default: " in text[1] else [parameter.opts[0]]
    assert untold == []


def test_many_options_are_listed_in_groups() -> None:
    titles = {"transcribe": "Output Search Text Machine", "score": "Input Output", "lm tune": "Output Search Machine"}
    for name, groups in titles.items():
        text = CliRunner().invoke(app, [*name.split(), "--help"]).output
        assert re.findall(r"^(\w+):$", text, re.MULTILINE) == ["Arguments", "Options", *groups.split()]
    names = {parameter.name for command in COMMANDS.values() for parameter in command.params}
    assert {each for group in GROUPS.values() for each in group.split()} <= names
