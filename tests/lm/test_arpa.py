"""ARPA files: as other toolkits write them, as we write them, and broken in every way."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from asr.errors import ModelError
from asr.lm.arpa import LN10, read_arpa, write_arpa
from asr.lm.load import load_language_model

ARPA = """\
\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.3
-0.7\t</s>
-0.6\tgo\t-0.2
-0.5\thome\t-0.1

\\2-grams:
-0.4\t<s> go\t-0.25
-0.3\tgo home\t-0.15
-0.2\thome </s>

\\3-grams:
-0.05\tgo home </s>

\\end\\
"""


def write(folder: Path, text: str | bytes, name: str = "lm.arpa") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def log10_score(path: Path, sentence: str) -> float:
    return load_language_model(path).score_sentence(sentence.split()) / LN10


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("go home", -0.4 - 0.25 - 0.3 - 0.05),
        ("home go", -0.3 - 0.5 - 0.1 - 0.6 - 0.2 - 0.7),
        ("go away", -0.4 - 0.25 - 0.2 - 1.0 - 0.7),
    ],
)
def test_sentences_score_as_the_file_says(tmp_path: Path, sentence: str, expected: float) -> None:
    assert log10_score(write(tmp_path, ARPA), sentence) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        ARPA.replace("\t", " "),
        ARPA.replace("\n", "\r\n"),
        "\ufeff" + ARPA,
        "remarks of a toolkit\n\n" + ARPA,
        ARPA.replace("<unk>", "<UNK>"),
        ARPA.replace("\\1-grams:", "\n\n\\1-grams:"),
        ARPA.replace("-0.2\thome </s>", "-0.2\thome </s>\t0"),
        ARPA.replace("ngram 3=1", "ngram 3 = 1"),
    ],
    ids=["spaces", "crlf", "byte order mark", "remarks", "upper-case unk", "blank lines", "back-off 0", "spaced"],
)
def test_spellings_of_other_toolkits(tmp_path: Path, text: str) -> None:
    assert log10_score(write(tmp_path, text), "go home away") == pytest.approx(-0.95 - 0.15 - 0.1 - 1 - 0.7, abs=1e-5)


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, gzip.compress(ARPA.encode()), "lm.whatever")
    assert log10_score(path, "go home") == pytest.approx(-1.0, abs=1e-5)


def test_without_unk_and_begin_the_stated_defaults_hold(tmp_path: Path) -> None:
    text = ARPA.replace("ngram 1=5", "ngram 1=3").replace("-1.0\t<unk>\n", "").replace("-99\t<s>\t-0.3\n", "")
    text = text.replace("ngram 2=3", "ngram 2=2").replace("-0.4\t<s> go\t-0.25\n", "")
    assert log10_score(write(tmp_path, text), "home") == pytest.approx(-0.5 - 0.2, abs=1e-5)
    assert log10_score(write(tmp_path, text), "away") == pytest.approx(-100 - 0.7, abs=1e-4)


def test_log_zero_is_finite(tmp_path: Path) -> None:
    path = write(tmp_path, ARPA.replace("-99\t<s>", "-inf\t<s>"))
    assert np.all(np.isfinite(read_arpa(path).log_prob))


BROKEN = {
    "torn in a section": (ARPA[: ARPA.index("home </s>") + 3], "line 16"),
    "torn between sections": (ARPA[: ARPA.index("\\3-grams")], "expected \\\\3-grams:, found the end of the file"),
    "no end": (ARPA.replace("\\end\\", ""), "the end of the file"),
    "count too small": (ARPA.replace("ngram 2=3", "ngram 2=2"), "line 16: expected \\\\3-grams:"),
    "count without end": (ARPA.replace("ngram 1=5", f"ngram 1={'5' * 5000}"), "no numbers of n-grams"),
    "count too large": (ARPA.replace("ngram 2=3", "ngram 2=4"), "line 18: expected another 2-gram"),
    "order skipped": (ARPA.replace("ngram 2=3\n", ""), "line 3"),
    "no counts": (ARPA.replace("ngram", "gram"), "no numbers of n-grams"),
    "not a number": (ARPA.replace("-0.4\t", "x\t"), "line 14: not a number"),
    "not a log-probability": (ARPA.replace("-0.4\t", "0.4\t"), "line 14: not a log-probability"),
    "nan": (ARPA.replace("-0.4\t", "nan\t"), "line 14: not a log-probability"),
    "word missing": (ARPA.replace("-0.4\t<s> go", "-0.4\t<s>"), "line 14"),
    "word without unigram": (ARPA.replace("go home </s>", "go out </s>"), "line 19: the word 'out' is not among"),
    "word twice": (ARPA.replace("-0.5\thome", "-0.5\tgo"), "line 11: the word 'go' is listed twice"),
    "no sentence end": (ARPA.replace("</s>", "stop"), "no </s>"),
    "latin-1": (ARPA.replace("home", "café").encode("latin-1"), "line 11: the word .* is not UTF-8"),
    "utf-16": (ARPA.encode("utf-16"), "UTF-8"),
    "empty": ("", "not an ARPA language model"),
    "prose": ("Once upon a time\n", "not an ARPA language model"),
    "torn gzip": (gzip.compress(ARPA.encode())[:-20], "torn"),
    "damaged gzip": (gzip.compress(ARPA.encode())[:60] + b"\0" * 40, "torn"),
}


@pytest.mark.parametrize(("content", "complaint"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, content: str | bytes, complaint: str) -> None:
    path = write(tmp_path, content)
    with pytest.raises(ModelError, match=complaint) as error:
        load_language_model(path)
    assert str(path) in error.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"lm\.arpa does not exist"):
        load_language_model(tmp_path / "lm.arpa")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        load_language_model(tmp_path)


@pytest.mark.parametrize("name", ["lm.arpa", "lm.arpa.gz"])
def test_written_files_read_back(tmp_path: Path, name: str) -> None:
    model = read_arpa(write(tmp_path, ARPA))
    write_arpa(model, tmp_path / name)
    again = read_arpa(tmp_path / name)
    assert again.words == model.words
    assert again.counts == model.counts == [5, 3, 1]
    for part in ("word", "first_child", "suffix"):
        assert np.array_equal(getattr(again, part), getattr(model, part))
    np.testing.assert_allclose(again.log_prob, model.log_prob, rtol=1e-6)
    np.testing.assert_allclose(again.backoff, model.backoff, rtol=1e-6)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    model = read_arpa(write(tmp_path, ARPA))
    write_arpa(model, tmp_path / "a.arpa.gz")
    write_arpa(model, tmp_path / "b.arpa.gz")
    assert (tmp_path / "a.arpa.gz").read_bytes() == (tmp_path / "b.arpa.gz").read_bytes()
