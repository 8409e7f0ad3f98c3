"""recipes/splice.py: where words are cut apart, and what becomes of the spans."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.corpus.manifest import Utterance, read_manifest, write_manifest
from asr.transcription.result import Word
from tests.recipes.workspace import load

splice = load("splice.py")
RATE = splice.RATE


def seconds(*parts: tuple[float, float]) -> np.ndarray:
    """Noise of (seconds, loudness) one after the other."""
    noise = np.random.default_rng(1).uniform(-1, 1, RATE * 10)
    return np.concatenate([level * noise[: round(length * RATE)] for length, level in parts]).astype(np.float32)


def test_words_are_cut_apart_where_it_is_quietest() -> None:
    samples = seconds((0.5, 0.5), (0.03, 0.01), (0.47, 0.5), (0.5, 0.4))
    words = [Word("A", 0.05, 0.55, 1.0), Word("B", 0.55, 1.02, 1.0), Word("C", 1.02, 1.45, 1.0)]
    first, second, third, last = splice.cut(samples, words)
    assert (first, last) == (0, len(samples))  # what is before the first word and behind the last is theirs
    assert 0.5 <= second / RATE <= 0.53
    assert 1.02 - splice.REACH <= third / RATE <= 1.02 + splice.REACH


def test_cuts_rise_even_where_the_times_of_words_are_none() -> None:
    samples = seconds((1.0, 0.5))
    cuts = splice.cut(samples, [Word(text, 0.5, 0.5, 1.0) for text in "ABCD"])
    assert len(cuts) == 5
    assert (np.diff(cuts) > 0).all()


def spoken(speaker: str, words: list[str], level: float) -> object:
    """Every word is a second at a level that tells its speaker."""
    samples = np.full(RATE * len(words), level, np.float32)
    return splice.Example(speaker, samples, words, [RATE * number for number in range(len(words) + 1)])


def test_every_word_of_a_speaker_comes_again_once_and_beside_nobody_else() -> None:
    said = [("a", [f"A{n}" for n in range(23)]), ("a", [f"A{n}" for n in range(23, 40)]), ("b", ["B0", "B1", "B2"])]
    levels = {"a": 0.25, "b": 0.5}
    made = list(splice.splice([spoken(who, words, levels[who]) for who, words in said], np.random.default_rng(3)))
    for speaker, level in levels.items():
        here = [(text.split(), samples) for who, text, samples in made if who == speaker]
        assert sorted(word for text, _ in here for word in text) == sorted(
            word for who, words in said if who == speaker for word in words
        )
        for text, samples in here:
            assert len(samples) == RATE * len(text)
            assert np.isin(samples[RATE // 2 :: RATE], [level]).all()
    order = [word for who, text, _ in made if who == "a" for word in text.split()]
    assert order != sorted(order, key=lambda word: int(word[1:]))


def test_spans_end_without_a_click() -> None:
    samples = splice.faded(np.ones(RATE, np.float32))
    assert samples[0] == samples[-1] == 0
    assert np.abs(np.diff(samples)).max() < 0.02
    assert (samples[round(splice.FADE * RATE) : -round(splice.FADE * RATE)] == 1).all()


@pytest.mark.parametrize(("times", "channels"), [(1, 1), (3, 2)])
def test_the_script(
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    times: int,
    channels: int,
) -> None:
    samples = np.repeat(np.concatenate([seconds((3.0, 0.1))] * 2), times)
    soundfile.write(tmp_path / "all.wav", np.stack([samples] * channels, axis=1), times * RATE)
    texts = ["THE QUICK BROWN FOX", "THE LAZY DOG", "THE " * 200]
    manifest = tmp_path / "old.jsonl"
    audio, starts = tmp_path / "all.wav", [0.0, 3.0, 0.0]
    said = enumerate(zip(texts, starts, strict=True))
    write_manifest(manifest, [Utterance(f"u{n}", audio, 3.0, text, "s", start) for n, (text, start) in said])
    target = tmp_path / "new.jsonl"
    arguments = [str(tiny_model), str(manifest), str(tmp_path / "audio"), str(target), "--times", "2", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", ["splice.py", *arguments])
    splice.main()
    made = read_manifest(target)
    assert sorted(" ".join(one.text for one in made).split()) == sorted(2 * " ".join(texts[:2]).split())
    assert sum(one.duration for one in made) == pytest.approx(12.0, abs=0.01)
    assert {soundfile.info(one.audio).duration for one in made} == {one.duration for one in made}
    assert "u2: left out: " in capsys.readouterr().out
