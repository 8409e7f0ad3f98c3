"""The lines of docs/serving.md do what the page says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.serve.conftest import Running

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
OWN = "http://127.0.0.1:8000"


@pytest.fixture
def workspace(tmp_path: Path, speech: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "interview.wav").write_bytes(speech)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_curl(server: Running, workspace: Path) -> None:
    lines = re.findall(r"^    (curl .*)$", PAGE, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        command = shlex.split(line.replace(OWN, server.address))
        done = subprocess.run([*command, "--silent", "--fail"], capture_output=True, text=True, check=True)
        assert done.stdout.strip()


def test_python(server: Running, workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("openai", reason="needs the package openai")
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(block.replace(OWN, server.address), {})
    assert capsys.readouterr().out.strip()


def test_the_error_is_shown_as_it_is(server: Running, speech: bytes) -> None:
    form = {"language": "de"}
    answer = httpx.post(f"{server.address}/v1/audio/transcriptions", files={"file": ("a.wav", speech)}, data=form)
    assert answer.json()["error"]["message"] in PAGE.replace("\n     ", " ")


def test_every_option_is_told() -> None:
    from asr.cli.serve import serve

    for name in ("host", "token", "max-upload", "queue", "live", "cors"):
        assert f"--{name}" in PAGE
        assert name.replace("-", "_") in serve.__annotations__
