"""How the command ends: at once, with its exit code, all that was printed, and what was to be done at the end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "samples" / "bread.wav"


def asr(*arguments: object, stdout: object = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "asr.cli.main", *map(str, arguments)]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("arguments", "code"), [(["info", SAMPLE], 0), (["info", "nowhere.wav"], 1), (["info", "--nothing"], 2)]
)
def test_exit_codes(arguments: list[object], code: int) -> None:
    assert asr(*arguments).returncode == code


def test_all_that_was_printed_arrives() -> None:
    assert "16,000 Hz" in asr("info", SAMPLE).stdout
    assert "nowhere.wav" in asr("info", "nowhere.wav").stderr


def test_what_was_to_be_done_at_the_end_is_done() -> None:
    program = (
        "import atexit, sys; from asr.cli.main import command; "
        "atexit.register(print, 'the end'); sys.argv = ['asr', '--help']; command()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.rstrip().endswith("the end")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("closed", "recording", "message"),
    [
        (">&-", SAMPLE, "asr: cannot write to standard output: it is closed\n"),
        ("<&-", "-", "asr: -: standard input is closed\n"),
    ],
)
def test_a_stream_that_is_closed_is_one_error(closed: str, recording: object, message: str) -> None:
    command = ["sh", "-c", f'exec "$0" "$@" {closed}', sys.executable, "-m", "asr.cli.main", "transcribe", "-q"]
    done = subprocess.run([*command, str(recording)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["info", SAMPLE], ["--help"]])
def test_an_output_that_takes_nothing_is_one_error(arguments: list[object]) -> None:
    with Path("/dev/full").open("w") as full:
        done = asr(*arguments, stdout=full)
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
