"""recipes/synthetic and own_words: what is spoken, by whom, and how it is written for the synthesizer."""

from __future__ import annotations

import bz2
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.recipes.workspace import Workspace, load

phonemes, speak = load("synthetic/phonemes.py"), load("synthetic/speak.py")
found = load("own_words/found.py").found
DICTIONARY = {
    "cat": [["K", "AE1", "T"]],
    "butter": [["B", "AH1", "T", "ER0"]],
    "car": [["K", "AA1", "R"]],
    "carry": [["K", "EH1", "R", "IY0"]],
    "going": [["G", "OW1", "IH0", "NG"]],
    "is": [["IH1", "Z"]],
    "about": [["AH0", "B", "AW1", "T"]],
}


def predict(words: Sequence[str]) -> list[str]:
    return ["zɪŋkO" for _ in words]


@pytest.mark.parametrize(
    ("sentence", "american", "british"),
    [
        ("CAT", "kˈæt.", "kˈat."),
        ("THE BUTTER", "ðə bˈʌtəɹ.", "ðə bˈʌtə."),
        ("CAR", "kˈɑɹ.", "kˈɑː."),
        ("CARRY", "kˈɛɹi.", "kˈɛɹi."),
        ("GOING", "ɡˈOɪŋ.", "ɡˈQɪŋ."),
        ("IS ABOUT", "ɪz əbˈWt.", "ɪz əbˈWt."),
        ("ZINCO", "zˈɪŋkO.", "zˈɪŋkQ."),
    ],
)
def test_sentences_in_the_symbols_of_the_synthesizer(sentence: str, american: str, british: str) -> None:
    phonemize = phonemes.Phonemizer(predict, DICTIONARY)
    assert phonemize(sentence) == american
    assert phonemize(sentence, british=True) == british


@pytest.mark.parametrize(
    ("sentence", "spoken"),
    [
        ("WE SPEAK OF THINGS", True),
        ("I DON'T MIND", True),
        ("TOO SHORT", False),
        ("NUMBER 7 IS NOT", False),
        ("WHAT B IS THIS", False),
        ("THE BBC IS NOT", False),
        ("ONE TWO THREE FOUR FIVE SIX", False),
    ],
)
def test_which_sentences_are_spoken(sentence: str, spoken: bool) -> None:
    assert speak.usable(sentence, (3, 5)) is spoken


def test_the_order_is_drawn_and_what_is_excluded_is_not_in_it(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    lines = [f"WE SAY {word}" for word in ("THIS", "THAT", "MORE", "LESS", "NOTHING", "THIS")]
    text.write_text("\n".join(lines))
    one, again, other = (speak.sentences(text, seed, (3, 5), frozenset({"WE SAY MORE"})) for seed in (1, 1, 2))
    assert one == again != other
    assert sorted(one) == sorted(set(lines) - {"WE SAY MORE"})


@pytest.mark.parametrize("name", ["held_out.txt", "held_out.txt.bz2"])
def test_sentences_are_read_in_capitals_whoever_wrote_them(tmp_path: Path, name: str) -> None:
    content = "We say this \r\nWE SAY THAT".encode("utf-8-sig")
    (tmp_path / name).write_bytes(bz2.compress(content) if name.endswith("bz2") else content)
    assert speak.read_sentences(tmp_path / name) == {"WE SAY THIS", "WE SAY THAT"}


def test_a_model_without_language_model_has_no_new_words(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "mine.txt").write_text("WE NEED THIS\n")
    (tmp_path / "model").mkdir()
    done = workspace.run("recipes/own_words/run.sh", "mine.txt", "--model", "model", "--stage", 99)
    assert done.returncode == 0, done.stderr


def test_blends_are_of_distinct_voices_and_sum_to_one() -> None:
    blends = [speak.draw_blend(["a", "b", "c"], np.random.default_rng(seed)) for seed in range(60)]
    assert {len(blend) for blend in blends} == {1, 2, 3}
    for blend in blends:
        assert sum(weight for _, weight in blend) == pytest.approx(1)
        assert len({name for name, _ in blend}) == len(blend)
        assert blend[0][1] == max(weight for _, weight in blend)
    assert speak.draw_blend(["a"], np.random.default_rng(1)) == [("a", 1.0)]


def test_silence_is_trimmed_to_a_breath() -> None:
    tone = np.sin(np.arange(24000) / 5).astype(np.float32)
    padded = np.concatenate([np.zeros(24000, np.float32), tone, np.zeros(24000, np.float32)])
    sound = speak.trimmed(padded, np.random.default_rng(1))
    assert 16000 * 1.05 < len(sound) < 16000 * 1.45
    assert np.abs(sound).max() <= 0.98
    assert len(speak.trimmed(np.zeros(2400, np.float32), np.random.default_rng(1))) == 0


def test_what_is_there_is_not_spoken_again(tmp_path: Path) -> None:
    import soundfile

    (tmp_path / "af_one").mkdir()
    for number in (0, 1):
        soundfile.write(tmp_path / f"af_one/{number:06d}.opus", np.zeros(16000), 16000, format="OGG", subtype="OPUS")
    (tmp_path / "af_one/000000.txt").write_text("SAID\n")
    (tmp_path / "rejected").mkdir()
    (tmp_path / "rejected/000002.txt").write_text("NOT SAID\n")
    assert speak.done(tmp_path) == {0: pytest.approx(1.0, abs=0.01), 2: 0.0}, "a sound without its text is unfinished"


def test_a_fifth_of_the_sentences_is_judged(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    lines = "".join(f"We need {word} now.\r\n" for word in "abcdefghij")
    (tmp_path / "mine.txt").write_text(lines, encoding="utf-8-sig", newline="")
    done = workspace.run("python", "recipes/own_words/divide.py", "mine.txt", "out")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/test.txt").read_text() == "WE NEED E NOW\nWE NEED J NOW\n"
    assert len((tmp_path / "out/train.txt").read_text().splitlines()) == 8
    (tmp_path / "few.txt").write_text("one\n")
    done = workspace.run("python", "recipes/own_words/divide.py", "few.txt", "out")
    assert done.returncode == 1
    assert "few.txt has 1 sentences" in done.stderr


@pytest.mark.parametrize(
    ("said", "heard", "count"),
    [("A ZINCO IS A ZINCO", "A ZINCO IS", 1), ("A ZINCO", "ZINCO ZINCO", 1), ("NONE", "ZINCO", 0), ("A ZINCO", "", 0)],
)
def test_new_words_are_counted_where_they_were_said(said: str, heard: str, count: int) -> None:
    assert found(said, heard, frozenset({"ZINCO"})) == count
