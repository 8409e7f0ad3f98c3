"""`asr score` as a person runs it: exit codes, files, what stands on standard output, and that it is quick."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr.cli.main import app
from asr.errors import AsrError


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    reference, hypothesis = tmp_path / "ref.trn", tmp_path / "hyp.trn"
    reference.write_text("the copper kettle (84-1)\nhid the map (85-1)\n")
    hypothesis.write_text("the copper cattle (84-1)\nhid a map (85-1)\n")
    return reference, hypothesis


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = "from asr.cli.main import run; run()"
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_summary_and_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = {name: tmp_path / "out" / f"report.{name}" for name in ("json", "html", "csv", "pra", "sys")}
    options = [part for name, path in out.items() for part in (f"--{name}", str(path))]
    result = CliRunner().invoke(
        app, ["score", *map(str, files), "--speaker-from", r"^(\d+)-", "--by", "speaker", *options]
    )
    assert result.exit_code == 0, result.output
    assert "WER 33.33 %" in result.stdout
    assert "by speaker" in result.stdout
    assert json.loads(out["json"].read_text())["wer"] == pytest.approx(2 / 6)
    assert all(path.stat().st_size > 100 for path in out.values())


def test_json_on_standard_output_is_json_alone(files: tuple[Path, Path]) -> None:
    result = command("score", *files, "--json", "-")
    assert result.returncode == 0
    assert json.loads(result.stdout)["words"]["substitutions"] == 2


def test_missing_hypotheses_fail_unless_allowed(files: tuple[Path, Path]) -> None:
    reference, hypothesis = files
    hypothesis.write_text("the copper kettle (84-1)\n")
    refused = command("score", reference, hypothesis)
    assert refused.returncode == 1
    assert "85-1" in refused.stderr
    assert refused.stdout == ""
    deleted = command("score", reference, hypothesis, "--missing", "delete")
    assert deleted.returncode == 0
    assert "WER 50.00 %" in deleted.stdout
    assert "1 without a hypothesis, counted as deleted: 85-1" in deleted.stdout
    skipped = command("score", reference, hypothesis, "--missing", "skip")
    assert skipped.returncode == 0
    assert "WER 0.00 %" in skipped.stdout


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii", "cp437", "utf-8"])
def test_any_encoding_of_the_terminal(files: tuple[Path, Path], encoding: str) -> None:
    reference, hypothesis = files
    hypothesis.write_text("the copper 地図 (84-1)\nhid a map (85-1)\n", encoding="utf-8")
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    program = [sys.executable, "-c", "from asr.cli.main import run; run()", "score", *map(str, files)]
    options = ["--speaker-from", r"^(\d+)", "--by", "speaker", "--worst", "1", "--against", str(reference)]
    result = subprocess.run([*program, *options], capture_output=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert "(kettle -> 地図) 1".encode(encoding, "replace") in result.stdout
    assert b"85" in result.stdout.split(b"by speaker")[1]
    result = subprocess.run([*program, "--json", "-"], capture_output=True, env=environment, check=False)
    assert json.loads(result.stdout.decode())["utterances"][0]["hypothesis"] == "the copper 地図"


def test_what_was_read_as_what_is_said(files: tuple[Path, Path]) -> None:
    assert "reference read as trn, hypothesis read as trn" in command("score", *files).stdout


def test_one_speaker_has_no_interval_and_few_utterances_none_beyond_their_rates(files: tuple[Path, Path]) -> None:
    result = command("score", *files, "--speaker-from", r"^(8)").stdout
    assert "no interval over speakers: too few speakers (1, at least 20" in result
    assert "95 % interval over 2 utterances: 33.33 to 33.33 %" in result


def test_several_systems(files: tuple[Path, Path], tmp_path: Path) -> None:
    names = ["--name", "best", "--name", "plain"]
    result = command(
        "score", files[0], files[0], files[1], *names, "--html", tmp_path / "b.html", "--json", tmp_path / "b.json"
    )
    assert result.returncode == 0, result.stderr
    assert "2 systems on 2 utterances" in result.stdout
    assert "best against plain: -33.33 points" in result.stdout
    assert json.loads((tmp_path / "b.json").read_text())["best"] == "best"
    assert (tmp_path / "b-1-2.html").exists()
    assert command("score", *files, files[1], "--csv", tmp_path / "x.csv").returncode == 2
    assert command("score", *files, "--name", "a", "--name", "b").returncode == 2


def test_nist_folds_case_unless_told_otherwise(files: tuple[Path, Path]) -> None:
    files[1].write_text("The Copper KETTLE (84-1)\nHid the map (85-1)\n")
    assert "WER 0.00 %" in command("score", *files, "--aligner", "nist").stdout
    assert "WER 66.67 %" in command("score", *files, "--aligner", "nist", "-s").stdout
    assert "4 of 4 errors (100 %) are letter case alone" in command("score", *files).stdout


@pytest.mark.parametrize(
    "options",
    [
        ["--csv", "-"],
        ["--missing", "ignore"],
        ["--aligner", "magic"],
        ["--normalizer", "magic"],
        ["--by", "accent"],
        ["--embed-audio"],
    ],
)
def test_usage_errors(files: tuple[Path, Path], options: list[str]) -> None:
    result = CliRunner().invoke(app, ["score", *map(str, files), *options])
    assert result.exit_code == 2 or (isinstance(result.exception, AsrError) and result.exception.exit_code == 2)


def test_comparison(files: tuple[Path, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.trn"
    other.write_text("the copper kettle (84-1)\nhid the map (85-1)\n")
    result = CliRunner().invoke(app, ["score", *map(str, files), "--against", str(other)])
    assert "Against other WER 0.00 %" in result.stdout
    assert "nothing may be concluded" in result.stdout


def test_neither_torch_nor_librosa_is_loaded(files: tuple[Path, Path]) -> None:
    program = (
        "import sys\nfrom asr.cli.main import run\nsys.argv = ['asr', 'score', *sys.argv[1:]]\n"
        "try:\n    run()\nfinally:\n"
        "    loaded = {'torch', 'librosa', 'matplotlib', 'numba', 'scipy'} & set(sys.modules)\n"
        "    assert not loaded, loaded\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, files)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
