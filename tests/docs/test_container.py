"""The container gets what the package asks for, but for what it does without; hadolint where it is at hand."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {"torch", "torchaudio", "librosa"}


def requirements(text: str) -> set[str]:
    return {re.sub(r",<.*", "", line) for line in text.splitlines() if line and not line.startswith("#")}


def test_its_requirements_are_those_of_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", project, re.DOTALL | re.MULTILINE)
    serve = re.search(r"^serve = \[(.*)\]", project, re.MULTILINE)
    assert listed
    assert serve
    wanted = re.findall(r'^\s*"([^"]+)"', listed[1], re.MULTILINE) + re.findall(r'"([^"]+)"', serve[1])
    kept = {name for name in wanted if re.split(r"[<>=]", name)[0] not in LEFT_OUT}
    assert requirements((ROOT / "container" / "requirements.txt").read_text(encoding="utf-8")) == kept


def test_what_it_does_without_is_never_imported() -> None:
    imports = re.compile(r"^\s*(import|from) (torchaudio|librosa)\b", re.MULTILINE)
    found = {path for path in (ROOT / "asr").rglob("*.py") if imports.search(path.read_text(encoding="utf-8"))}
    # Training's distortions of sound, and pictures: nothing that a server does.
    assert found == {ROOT / "asr" / "features" / "distortion.py", ROOT / "asr" / "transcription" / "picture.py"}


def test_the_dockerfile_is_linted() -> None:
    if shutil.which("hadolint") is None:
        pytest.skip("needs hadolint")
    subprocess.run(["hadolint", ROOT / "container" / "Dockerfile"], check=True)
