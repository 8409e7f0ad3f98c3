"""The samples and the demo that transcribes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from demo import main

from asr.audio.stream import probe_audio
from asr.text.normalize import librispeech

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "data/samples"
RECORDINGS = sorted(path for path in SAMPLES.iterdir() if path.suffix in (".wav", ".flac", ".ogg"))


def demo(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "recipes/demo.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def test_samples_are_small_varied_and_have_their_texts() -> None:
    assert len(RECORDINGS) == 6
    assert sum(path.stat().st_size for path in SAMPLES.iterdir()) < 1_000_000
    kinds = {(info.format, info.sample_rate, info.channels) for info in map(probe_audio, RECORDINGS)}
    assert kinds == {("WAV", 16000, 1), ("FLAC", 44100, 2), ("OGG", 16000, 1)}
    for recording in RECORDINGS:
        words = librispeech(recording.with_suffix(".txt").read_text()).split()
        assert 2 < len(words) / probe_audio(recording).duration < 4


def test_a_folder_without_samples_is_an_error(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"asr: no recordings with texts in {tmp_path}\n"


def test_the_demo_prints_transcripts_and_what_they_are_worth(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(SAMPLES, str(tiny_model))
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(RECORDINGS)
    assert all(out.splitlines())
    assert err.count("reference: ") == len(RECORDINGS)
    assert "WER of all 6: " in err


@pytest.mark.skipif(not (ROOT / "asr/pretrained/config.json").exists(), reason="needs the bundled model")
def test_the_bundled_model_is_the_default() -> None:
    done = demo(SAMPLES)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(RECORDINGS)
