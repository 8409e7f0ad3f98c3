"""The picture of the rooms stays true, and the door stays light."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ["torch", "torchaudio", "librosa", "numba", "matplotlib", "sentencepiece", "scipy"]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


def test_rooms_import_only_what_the_plan_allows() -> None:
    pytest.importorskip("importlinter", reason="needs import-linter")
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--help"],
        ["train", "--help"],
        ["transcribe", "--help"],
        ["score"],
        ["train", "nowhere.yaml", "--no-such-option"],
    ],
    ids=lambda arguments: " ".join(["asr", *arguments]),
)
def test_help_and_usage_errors_import_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
sys.argv = ["asr", *{arguments!r}]
from asr.cli.main import run
try:
    run()
except SystemExit:
    pass
print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)
"""
    assert python("-c", code).stderr.splitlines()[-1] == "[]"


def test_importing_the_package_costs_nothing() -> None:
    done = python("-c", f"import sys, asr; print(sorted(set(sys.modules) & {{'numpy', *{HEAVY!r}}}))")
    assert done.stdout.strip() == "[]"


def cpu_seconds(*arguments: str) -> float:
    """User and system time of one run of Python."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = python(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_takes_less_than_a_third_of_a_second_of_computing() -> None:
    # The best of a few: what else the machine does only ever adds.
    bare = min(cpu_seconds("-c", "pass") for _ in range(3))
    helped = min(cpu_seconds("-m", "asr.cli.main", "--help") for _ in range(5))
    assert helped - bare < 0.3
