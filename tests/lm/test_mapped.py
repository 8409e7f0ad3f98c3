"""A model that is kept unpacked is the model that was packed, and nothing depends on its being kept."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from asr.errors import ModelError
from asr.lm import mapped
from asr.lm.binary import read_binary, write_binary
from asr.lm.ngram import NgramModel
from asr.lm.perplexity import measure
from tests.lm.test_binary import ARRAYS
from tests.lm.test_ngram import random_model


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, in which models of any size are kept."""
    monkeypatch.setattr(mapped, "LARGE", 0)
    monkeypatch.setattr(mapped, "user_cache", lambda: tmp_path / "cache")
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
    assert _same(mapped.load_binary(packed), model)
    assert str(cache) in capsys.readouterr().err
    monkeypatch.setattr(mapped, "read_binary", lambda path: pytest.fail(f"{path} was unpacked again"))
    again = mapped.load_binary(packed)
    assert _same(again, model)
    assert not any(getattr(again, name).flags.writeable for name in ARRAYS)
    assert measure(again, ["A B C"]) == measure(model, ["A B C"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("torn", [b"", b"short", b"\0" * 100_000])
def test_what_is_torn_is_written_again(cache: Path, packed: Path, torn: bytes) -> None:
    mapped.load_binary(packed)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(torn)
    assert _same(mapped.load_binary(packed), read_binary(packed))
    assert kept.read_bytes() == whole


def test_without_a_place_to_keep_it_nothing_is_lost(cache: Path, packed: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert _same(mapped.load_binary(packed), read_binary(packed))


def test_on_a_full_disk_nothing_is_kept(cache: Path, packed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "NEEDED_SPACE", 1 << 60)
    assert _same(mapped.load_binary(packed), read_binary(packed))
    assert list(cache.iterdir()) == []


def test_the_models_used_last_are_kept(cache: Path, tmp_path: Path) -> None:
    files = [tmp_path / f"{seed}.ngram" for seed in range(3)]
    for age, file in enumerate(files):
        write_binary(random_model(age, 30, 2), file)
    for file in files[:2]:
        mapped.load_binary(file)
    first, second = sorted(cache.iterdir(), key=lambda kept: kept.stat().st_mtime_ns)
    os.utime(first, (1, 1))
    mapped.load_binary(files[2])
    assert len(list(cache.iterdir())) == mapped.KEPT
    assert second.exists()
    assert not first.exists()


def test_a_torn_file_is_refused_though_its_content_is_kept(cache: Path, packed: Path) -> None:
    mapped.load_binary(packed)
    packed.write_bytes(packed.read_bytes()[:-1])
    with pytest.raises(ModelError, match=r"lm\.ngram: the content is not what the header says"):
        mapped.load_binary(packed)
    assert len(list(cache.iterdir())) == 1
