"""recipes/robustness: the same speech under other conditions, sounds without words, and a table of what it cost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.corpus.manifest import read_manifest
from tests.recipes.workspace import load
from tests.training.experiments import write_speech

variants, tables = load("robustness/variants.py"), load("robustness/table.py")


def test_every_condition_says_the_same_and_the_same_again(tmp_path: Path) -> None:
    manifest = write_speech(tmp_path / "speech", count=6)
    for folder in ("one", "again"):
        variants.main(manifest, tmp_path / folder, 2)
    said = read_manifest(manifest)[::2]
    for name in variants.CONDITIONS:
        made = read_manifest(tmp_path / f"one/{name}.jsonl")
        assert [(one.id, one.text) for one in made] == [(one.id, one.text) for one in said]
        for one, source in zip(made, said, strict=True):
            pace = 0.85 if name == "vocoder-0.85" else 1.0
            assert one.duration == pytest.approx(source.duration / pace, abs=1e-3)
            samples = soundfile.read(one.audio)[0]
            np.testing.assert_array_equal(samples, soundfile.read(tmp_path / f"again/{name}/{one.id}.flac")[0])
            clean = soundfile.read(tmp_path / f"one/clean/{one.id}.flac")[0]
            assert (name == "clean") == (len(samples) == len(clean) and bool(np.allclose(samples, clean, atol=1e-4)))


def test_sounds_without_a_word_last_six_seconds_at_one_level() -> None:
    found = variants.sounds()
    assert set(found) == {"white-noise", "pink-noise", "dial-tone", "chords", "hum"}
    for samples in found.values():
        assert len(samples) == 6 * 16000
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(0.05, rel=1e-3)
        assert np.abs(samples).max() < 1


def test_the_table_gives_the_loss_against_clean_speech(tmp_path: Path) -> None:
    for model, rates in (("new", {"clean": 0.1, "telephone": 0.15}), ("old", {"clean": 0.2, "telephone": 0.5})):
        for condition, wer in rates.items():
            (tmp_path / model / condition).mkdir(parents=True)
            (tmp_path / model / condition / "report.json").write_text(json.dumps({"wer": wer}))
        (tmp_path / model / "no-words").mkdir()
        (tmp_path / model / "no-words/hum.txt").write_text("" if model == "new" else "who knows\n")
    lines = tables.table([tmp_path / "new", tmp_path / "old"]).splitlines()
    assert lines[2:] == [
        "| clean | 10.0 |  | 20.0 |  |",
        "| telephone | 15.0 | +50 | 50.0 | +150 |",
        "| hum | 0 words | | 2 words | |",
    ]
    with pytest.raises(SystemExit, match="holds no reports"):
        tables.table([tmp_path / "neither"])
