"""`asr lm` from the outside: files in, files out, plain errors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr.cli import main
from asr.cli.lm import app

TEXT = """\
The lamp burned low, and the wind went round the house.
She closed the door and went out into the garden.
The wind went out of the north.
He went round the garden and closed the gate.
"""


def asr(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "asr.cli.main", "lm", *map(str, arguments)], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def trained(text: Path) -> Path:
    folder = text.parent
    result = asr("train", text, "-o", folder / "lm.ngram", "-o", folder / "lm.arpa.gz", "--order", "3")
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert "37 words" in result.stderr
    return folder


def test_both_forms_give_the_same_perplexity(trained: Path, text: Path) -> None:
    results = [asr("perplexity", trained / name, text) for name in ("lm.ngram", "lm.arpa.gz")]
    assert results[0].stdout.splitlines()[0] == "4 sentences, 37 words, 0.00% unknown"
    assert results[0].stdout == results[1].stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["convert", "lm.ngram", "-o", "x.ngram", "--prune", "1e-8", "--size", "10k"], "choose one of"),
        (["convert", "lm.ngram", "-o", "x.ngram", "--prune", "-2"], "must not be negative"),
        (["train", "text.txt", "-o", "x.ngram", "--prune", "-2"], "must not be negative"),
        (["train", "text.txt", "-o", "x.ngram", "--resume"], "x.ngram --resume"),
        (["train", "text.txt", "-o", "x.ngram", "--set", "network.units=5"], "are trained by `asr train`"),
        (
            ["train", "text.txt", "-o", "x", "--rnn", "--vocabulary", "9"],
            "With `task: rnn_lm` in CONFIG.yaml: asr train",
        ),
    ],
)
def test_what_would_be_passed_over_is_refused(trained: Path, options: list[str], complaint: str) -> None:
    result = asr(*(str(trained / one) if (trained / one).exists() or one[0] == "x" else one for one in options))
    assert (result.returncode, result.stdout) == (2, "")
    assert complaint in result.stderr
    assert not (trained / "x.ngram").exists()


def test_a_pipe_is_not_replaced(trained: Path, text: Path) -> None:
    pipe = trained / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        assert asr("train", text, "-o", pipe).returncode == 0
        written = reader.communicate(timeout=60)[0]
    assert pipe.is_fifo()
    assert written == (trained / "lm.ngram").read_bytes()
    result = asr("perplexity", pipe, text)
    assert (result.returncode, "is a pipe or a device" in result.stderr) == (1, True)


def test_sampling_is_repeatable(trained: Path) -> None:
    first, again = (asr("sample", trained / "lm.ngram", "-n", "3", "--seed", "7").stdout for _ in range(2))
    assert first == again
    assert len(first.splitlines()) == 3


def test_conversion_prunes(trained: Path) -> None:
    result = asr("convert", trained / "lm.arpa.gz", "-o", trained / "small.arpa", "--prune", "0.05")
    assert result.returncode == 0, result.stderr
    assert (trained / "small.arpa").read_text().startswith("\\data\\\nngram 1=2")


def test_kinds_of_text_are_interpolated(text: Path, tmp_path: Path) -> None:
    """A text of other words, and weights that the first text decides: it counts nearly alone."""
    run = CliRunner().invoke
    other, words = tmp_path / "other.txt", tmp_path / "words.txt"
    other.write_text("ONE TWO THREE\nTWO THREE FOUR\n")
    words.write_text("\n".join(sorted({*TEXT.lower().replace(",", "").replace(".", "").split(), "one", "TWO"})))
    options = [
        "--cutoffs",
        "0,0+0,1",
        "--weights-for",
        str(text),
        "--vocabulary",
        str(words),
        "-o",
        str(tmp_path / "lm.ngram"),
    ]
    result = run(app, ["train", str(text), "+", str(other), *options])
    assert result.exit_code == 0, result.output
    assert "vocabulary 24, unknown 0.00%" in result.stderr
    assert "vocabulary 24, unknown 50.00%" in result.stderr
    weights = result.stderr.split("interpolating by ")[1].split("\n")[0].split()
    assert float(weights[0]) > 0.9
    mixed = run(app, ["perplexity", str(tmp_path / "lm.ngram"), str(text)]).stdout
    assert mixed.startswith("4 sentences, 37 words, 0.00% unknown\n")


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["train", "absent.txt", "-o", "x.ngram"], 1, "absent.txt"),
        (["train", "absent.txt"], 2, "--out"),
        (["train", "absent.txt", "-o", os.curdir], 2, "is a directory"),
        (["train", "absent.txt", "-o", "x.ngram", "--order", "9"], 2, "choose 1 to 6"),
        (["train", "absent.txt", "-o", "x.ngram", "--size", "big"], 2, "is not a size"),
        (["train", "absent.txt", "-o", "x.ngram", "--cutoffs", "a"], 2, "cut-offs"),
        (["train", "absent.txt", "-o", "x.ngram", "--cutoffs", "1,0"], 2, "that do not fall"),
        (["train", os.devnull, "absent.txt", "-o", "x.ngram"], 1, "the text absent.txt does not exist"),
        (["train", "a.txt", "+", "b.txt", "-o", "x.ngram"], 2, "need weights"),
        (["train", "a.txt", "+", "b.txt", "-o", "x.ngram", "--weights", "0.5,0.6"], 2, "do not sum to one"),
        (["train", "a.txt", "-o", "x.ngram", "--cutoffs", "0,1+0,0"], 2, "2 lists of cut-offs for 1 kinds"),
        (["train", "a.txt", "+", "-o", "x.ngram", "--weights", "0.5,0.5"], 2, "a + stands between texts"),
        (["train", "a.txt", "-o", "x.ngram", "--vocabulary", "absent.txt"], 2, "neither a number nor a file"),
        (["train", "a.txt", "-o", "x.ngram", "--vocabulary", os.devnull], 2, "needs at least one word"),
        (["train", "absent.txt", "-o", "x.ngram", "--size", "9MB", "--prune", "1e-8"], 2, "choose one"),
        (["train", "absent.txt", "-o", "x.ngram", "--normalizer", "what"], 2, "librispeech"),
        (["perplexity", "absent.ngram", "absent.txt"], 1, "absent.ngram does not exist"),
        (["sample", "absent.ngram"], 1, "absent.ngram does not exist"),
        (["sample", "absent.ngram", "--seed", "-1"], 2, "greater than or equal to 0"),
    ],
)
def test_faults_are_plain(arguments: list[str], code: int, complaint: str) -> None:
    result = asr(*arguments)
    assert result.returncode == code
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_a_recurrent_model_is_trained_measured_and_sampled(text: Path, tmp_path: Path) -> None:
    settings = ["tokenizer.kind=characters", "network.units=8", "loop.epochs=1", "batch_tokens=200"]
    (tmp_path / "rnn.yaml").write_text(f"task: rnn_lm\ntrain: [{text}]\nvalidation: [{text}]\noutput: {tmp_path}/rnn\n")
    run = CliRunner().invoke  # in this process, which has torch loaded already
    result = run(main.app, ["train", str(tmp_path / "rnn.yaml"), *settings])
    assert result.exit_code == 0, result.output
    best = str(tmp_path / "rnn" / "best")
    assert best in result.stdout
    assert run(app, ["perplexity", best, str(text)]).stdout.startswith("4 sentences, 37 words\nperplexity ")
    assert len(run(app, ["sample", best, "-n", "2"]).stdout.splitlines()) == 2
    rehearsed = run(main.app, ["train", str(tmp_path / "rnn.yaml"), "--dry-run", *settings])
    assert rehearsed.exit_code == 0, rehearsed.output
    for part in ("task: rnn_lm", "units: 8", "4 sentences", "M parameters", "an epoch, "):
        assert part in rehearsed.stdout
