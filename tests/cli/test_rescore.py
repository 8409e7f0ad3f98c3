"""`--rescore` from the outside: a recurrent model is trained, rescores what is recognized, and has its weight tuned."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import Result
from typer.testing import CliRunner

from asr.cli.main import app
from asr.corpus.manifest import Utterance, write_manifest
from asr.decoding import DecodingConfig
from asr.errors import ModelError, UsageError
from tests.audio.recordings import noisy
from tests.decoding.conftest import ARPA

TEXT = "The quick brown fox jumps over the lazy dog's.\n"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def report(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return data


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    utterances = []
    for number, seconds in enumerate((1.0, 2.5, 1.5)):
        audio = tmp_path / f"{number}.wav"
        soundfile.write(audio, noisy(seconds, number), 16000)
        utterances.append(Utterance(f"u{number}", audio, seconds, "A B"))
    write_manifest(tmp_path / "dev.jsonl", utterances)
    return tmp_path / "dev.jsonl"


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model with a language model of words."""
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    (folder / "lm.arpa").write_text(ARPA, encoding="utf-8")
    (folder / "decoding.json").write_text('{"beam_size": 8, "nbest": 5}')
    return folder


def test_trained_it_rescores_what_is_evaluated_and_transcribed(model: Path, manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT * 30)
    options = ["tokenizer.kind=characters", "network.units=8", "loop.epochs=1", "batch_tokens=300"]
    (tmp_path / "rnn.yaml").write_text(f"task: rnn_lm\ntrain: [{tmp_path}/text.txt]\noutput: {tmp_path}/rnn\n")
    trained = run("train", tmp_path / "rnn.yaml", *options)
    assert trained.exit_code == 0, trained.output
    rnn = Path(trained.stdout.strip())
    beam = ["--lm", "none", "--beam", "8"]  # long readings and short ones are then close to one another
    for weight in ("0", "5"):
        rescoring = ["--rescore", rnn, "--rescore-weight", weight, "--rescore-bonus", "0"]
        result = run("evaluate", model, manifest, *beam, *rescoring, "-o", tmp_path / f"w{weight}", "--device", "cpu")
        assert result.exit_code == 0, result.output
    result = run("evaluate", model, manifest, *beam, "-o", tmp_path / "plain", "--device", "cpu")
    assert result.exit_code == 0, result.output
    texts = {name: (tmp_path / name / "hypotheses.trn").read_text() for name in ("plain", "w0", "w5")}
    assert texts["w0"] == texts["plain"] != texts["w5"]
    decoding = report(tmp_path / "w5")["settings"]["decoding"]
    assert (decoding["rescore"], decoding["rescore_weight"], decoding["nbest"]) == (str(rnn), 5.0, 5)
    before = decoding["rescore_fingerprint"]
    assert before == report(tmp_path / "w0")["settings"]["decoding"]["rescore_fingerprint"]
    assert "rescore" not in report(tmp_path / "plain")["settings"]["decoding"]

    command = ["transcribe", "-m", model, tmp_path / "1.wav", "--device", "cpu", "--case", "upper", "--no-punctuation"]
    transcribed = run(*command, *beam, "--rescore", rnn, "--rescore-weight", "5", "--rescore-bonus", "0")
    assert transcribed.exit_code == 0, transcribed.output
    assert transcribed.stdout.split() == texts["w5"].splitlines()[1].removesuffix(" (u1)").split()

    (rnn / "config.json").write_text((rnn / "config.json").read_text() + "\n")
    run("evaluate", model, manifest, "--rescore", rnn, "-o", tmp_path / "again", "--device", "cpu")
    assert report(tmp_path / "again")["settings"]["decoding"]["rescore_fingerprint"] != before


def test_tuned_settings_are_used(model: Path, tiny_rnn_lm: Path, manifest: Path, tmp_path: Path) -> None:
    tuning = ["lm", "tune", model, manifest, "--lm", model / "lm.arpa", "-o", tmp_path / "tuning", "--beam", "8"]
    result = run(*tuning, "--rescore", tiny_rnn_lm)
    assert result.exit_code == 0, result.output
    assert f"rescored with {tiny_rnn_lm}: weight" in result.stdout
    tuned = json.loads((tmp_path / "tuning" / "tuning.json").read_text())
    written = json.loads((model / "decoding.json").read_text())
    assert DecodingConfig(**written) == DecodingConfig(**tuned["best"])
    assert written["nbest"] == 5
    rescoring = tuned["rescoring"]
    assert np.shape(rescoring["wer"]) == (len(rescoring["weights"]), len(rescoring["bonuses"]))
    assert rescoring["best_wer"] == np.min(rescoring["wer"]) <= tuned["best_wer"]

    evaluation = ["evaluate", model, manifest, "--device", "cpu", "-o", tmp_path / "out"]
    assert run(*evaluation, "--rescore", tiny_rnn_lm).exit_code == 0
    evaluated = report(tmp_path / "out")
    assert evaluated["settings"]["decoding"]["rescore_weight"] == written["rescore_weight"]
    assert evaluated["wer"] == pytest.approx(rescoring["best_wer"])

    assert run(*evaluation).exit_code == 0  # tuning made the recurrent model the folder's own
    assert report(tmp_path / "out")["settings"]["decoding"]["rescore"] == str(model / "rnn")
    assert report(tmp_path / "out")["wer"] == evaluated["wer"]

    assert run(*tuning, "--rescore", tiny_rnn_lm, "--nbest", "3").exit_code == 0
    assert json.loads((model / "decoding.json").read_text())["nbest"] == 3

    (model / "decoding.json").write_text(json.dumps(written | {"rescore_weight": 0.7}))
    result = run(*tuning, "--rescore", "none")
    assert result.exit_code == 0, result.output
    assert "rescored" not in result.stdout
    assert json.loads((model / "decoding.json").read_text())["rescore_weight"] == 0.7


@pytest.mark.parametrize(
    ("options", "error", "complaint"),
    [
        (["--greedy", "--rescore", "rnn"], UsageError, "greedy search knows no"),
        (["--greedy", "--rescore-bonus", "1"], UsageError, "greedy search knows no"),
        (["--rescore-weight", "1"], UsageError, "no recurrent model to weigh"),
        (["--rescore", "none", "--rescore-weight", "1"], UsageError, "no recurrent model to weigh"),
        (["--rescore", "gone", "--rescore-weight", "-1"], UsageError, "must not be negative"),
        (["--rescore", "gone"], ModelError, "gone/config.json is missing"),
    ],
)
def test_faults(model: Path, manifest: Path, options: list[str], error: type[Exception], complaint: str) -> None:
    result = run("evaluate", model, manifest, *options)
    assert isinstance(result.exception, error), result.output
    assert complaint in str(result.exception)
