"""Other toolkits as judges: KenLM reads our files, kaldingram trains on the same text."""

from __future__ import annotations

import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from asr.lm.arpa import LN10, read_arpa, write_arpa
from asr.lm.kneser_ney import train_ngram
from asr.lm.perplexity import measure
from asr.lm.prune import prune
from asr.lm.text import read_sentences, tokenize

pytestmark = [pytest.mark.slow, pytest.mark.speech]


@pytest.fixture(scope="module")
def sentences(corpora: Path) -> list[str]:
    """A tenth of the transcripts; the last sentences are held out."""
    return list(islice(read_sentences(corpora / "text" / "train-clean-100.txt.bz2"), 4000))


def kenlm_perplexity(path: Path, sentences: list[str]) -> tuple[float, float]:
    """Perplexity of known words and of all, by KenLM."""
    kenlm = pytest.importorskip("kenlm", reason="needs the PyPI package kenlm")
    model = kenlm.Model(str(path))
    scores = [(score, unknown) for sentence in sentences for score, _, unknown in model.full_scores(sentence)]
    known = [score for score, unknown in scores if not unknown]
    return 10 ** (-sum(known) / len(known)), 10 ** (-sum(score for score, _ in scores) / len(scores))


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("threshold", [0.0, 1e-6])
def test_kenlm_reads_our_file_and_agrees(tmp_path: Path, sentences: list[str], order: int, threshold: float) -> None:
    estimate = train_ngram(tokenize(sentences[:3000]), order)
    model = prune(estimate.model, threshold, estimate.context_log_prob) if threshold else estimate.model
    path = tmp_path / "lm.arpa"
    write_arpa(model, path)
    ours = measure(model, sentences[3000:])
    known, everything = kenlm_perplexity(path, sentences[3000:])
    assert ours.perplexity == pytest.approx(known, rel=1e-4)
    assert ours.perplexity_with_unknown == pytest.approx(everything, rel=1e-4)


def test_kenlm_agrees_sentence_by_sentence(tmp_path: Path, sentences: list[str]) -> None:
    kenlm = pytest.importorskip("kenlm", reason="needs the PyPI package kenlm")
    write_arpa(train_ngram(tokenize(sentences[:3000]), order=3).model, tmp_path / "lm.arpa")
    ours, theirs = read_arpa(tmp_path / "lm.arpa"), kenlm.Model(str(tmp_path / "lm.arpa"))
    for sentence in sentences[3000:3200]:
        assert ours.score_sentence(sentence.split()) / LN10 == pytest.approx(theirs.score(sentence), rel=1e-4)


def test_an_established_toolkit_trains_no_better_model(tmp_path: Path, sentences: list[str]) -> None:
    """Kaldi's Kneser-Ney has one discount for each order, so ours should be a little better; at most 3 % worse."""
    pytest.importorskip("kaldingram", reason="needs the PyPI package kaldingram")
    text, theirs = tmp_path / "text", tmp_path / "theirs.arpa"
    text.write_text("\n".join(sentences[:3000]) + "\n")
    command = "from kaldingram.cli import main; import sys; sys.exit(main())"
    arguments = ["train", "--ngram-order", "3", "--text", str(text), "--lm", str(theirs)]
    subprocess.run([sys.executable, "-c", command, *arguments], check=True, capture_output=True)
    other = measure(read_arpa(theirs), sentences[3000:])
    ours = measure(train_ngram(tokenize(sentences[:3000]), order=3).model, sentences[3000:])
    assert ours.unknown == other.unknown
    assert ours.perplexity < 1.03 * other.perplexity
