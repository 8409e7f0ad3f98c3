"""Models and words wherever they stand; a model that is kept unpacked is the one that was packed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from asr.errors import DataError, ModelError
from asr.lm import load
from asr.lm.binary import read_binary, write_binary
from asr.lm.load import load_language_model, read_words
from asr.lm.ngram import NgramModel
from asr.lm.perplexity import measure
from tests.lm.test_binary import ARRAYS
from tests.lm.test_ngram import random_model

LINES = ["\\data\\", "ngram 1=4", "", "\\1-grams:", "-1\t<unk>", "-99\t<s>", "-1\t</s>", "-1\tCAT", "", "\\end\\"]


def test_words_of_a_text_a_manifest_and_a_language_model(tmp_path: Path) -> None:
    text, manifest, model = tmp_path / "text.txt", tmp_path / "some.jsonl", tmp_path / "lm.arpa"
    text.write_text("The cat, the café.\nA cat\n", encoding="utf-8")
    manifest.write_text(json.dumps({"id": "a", "audio_filepath": "a.wav", "duration": 1, "text": "A CAT SAT"}) + "\n")
    model.write_text("\n".join(LINES) + "\n")
    assert read_words(text) == ["THE", "CAT", "CAFE", "A"]
    assert read_words(manifest) == ["A", "CAT", "SAT"]
    assert read_words(model) == ["CAT"]
    # A model in the binary form is known by its content, whatever its name.
    write_binary(load_language_model(model), tmp_path / "words.lm")
    assert read_words(tmp_path / "words.lm") == ["CAT"]
    with pytest.raises(DataError, match=r"nowhere\.txt"):
        read_words(tmp_path / "nowhere.txt")
    with pytest.raises(ModelError, match=r"nowhere\.ngram"):
        read_words(tmp_path / "nowhere.ngram")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that cannot be read")
def test_a_file_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ModelError, match=r"cannot read the language model /proc/self/mem"):
        load_language_model("/proc/self/mem")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, in which models of any size are kept."""
    monkeypatch.setattr(load, "LARGE", 0)
    monkeypatch.setattr(load, "user_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """The file of a model."""
    write_binary(random_model(3, 30, 3), tmp_path / "lm.ngram")
    return tmp_path / "lm.ngram"


def _same(model: NgramModel, other: NgramModel) -> bool:
    arrays = all(np.array_equal(getattr(model, name), getattr(other, name)) for name in ARRAYS)
    return arrays and (model.order, model.words) == (other.order, other.words)


def test_kept_once_and_the_same_from_then_on(
    cache: Path, packed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = read_binary(packed)
    assert _same(load.load_binary(packed), model)
    assert str(cache) in capsys.readouterr().err
    monkeypatch.setattr(load, "read_binary", lambda path: pytest.fail(f"{path} was unpacked again"))
    again = load.load_binary(packed)
    assert _same(again, model)
    assert not any(getattr(again, name).flags.writeable for name in ARRAYS)
    assert measure(again, ["A B C"]) == measure(model, ["A B C"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("torn", [b"", b"short", b"\0" * 100_000])
def test_what_is_torn_is_written_again(cache: Path, packed: Path, torn: bytes) -> None:
    load.load_binary(packed)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(torn)
    assert _same(load.load_binary(packed), read_binary(packed))
    assert kept.read_bytes() == whole


def test_without_a_place_to_keep_it_nothing_is_lost(cache: Path, packed: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert _same(load.load_binary(packed), read_binary(packed))


def test_on_a_full_disk_nothing_is_kept(cache: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "NEEDED_SPACE", 1 << 60)
    assert _same(load.load_binary(packed), read_binary(packed))
    assert list(cache.iterdir()) == []


def test_the_models_used_last_are_kept(cache: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{seed}.ngram" for seed in range(3)]
    for age, file in enumerate(files):
        write_binary(random_model(age, 30, 2), file)
    for file in files[:2]:
        load.load_binary(file)
    first, second = sorted(cache.iterdir(), key=lambda kept: kept.stat().st_mtime_ns)
    os.utime(first, (1, 1))
    load.load_binary(files[2])
    assert len(list(cache.iterdir())) == load.KEPT
    assert second.exists()
    assert not first.exists()


def test_what_another_user_keeps_is_mapped(cache: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load.load_binary(packed)

    def refuse(path: Path) -> None:
        raise PermissionError(path)

    monkeypatch.setattr(os, "utime", refuse)
    monkeypatch.setattr(load, "read_binary", lambda path: pytest.fail(f"{path} was unpacked again"))
    assert _same(load.load_binary(packed), model)


def test_what_killed_writers_left_is_removed(cache: Path, packed: Path) -> None:
    cache.mkdir()
    old, fresh, other = (cache / name for name in (".asr-ngram-1.aa.part", ".asr-ngram-2.bb.part", ".other.cc.part"))
    for path in (old, fresh, other):
        path.write_bytes(b"half a model")
    for path in (old, other):
        os.utime(path, (1, 1))
    load.load_binary(packed)
    assert not old.exists()
    assert fresh.exists()
    assert other.exists()


def test_a_torn_file_is_refused_though_its_content_is_kept(cache: Path, packed: Path) -> None:
    load.load_binary(packed)
    packed.write_bytes(packed.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"lm\.ngram: the content is not what the header says"):
        load.load_binary(packed)
    assert len(list(cache.iterdir())) == 1
