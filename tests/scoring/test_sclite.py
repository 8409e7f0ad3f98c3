"""Parity with NIST's tools on noisy readings of real transcripts: counts per utterance, and the matched-pairs test."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from functools import partial
from pathlib import Path

import jiwer
import pytest

from asr.scoring import Counts, score
from asr.scoring.readers import read_transcripts
from asr.scoring.significance import compare
from asr.scoring.views.data import render_pra

pytestmark = pytest.mark.slow
SPEAKER = re.compile(r"^(\d+)-")
BLOCK = re.compile(r"id: \((.*?)\)\nScores: \(#C #S #D #I\) (\d+) (\d+) (\d+) (\d+)")


def tool(name: str) -> str:
    """The path of one of NIST's programs; Debian keeps them beside its `sctk` frontend."""
    path = shutil.which(name) or shutil.which(name, path="/usr/lib/sctk/bin")
    if path is None:
        pytest.skip(f"needs {name} of the Debian package sctk")
    return path


@pytest.fixture(scope="module")
def references(corpora: Path) -> dict[str, str]:
    """The transcripts of dev-clean-2."""
    files = sorted((corpora / "LibriSpeech" / "dev-clean-2").glob("*/*/*.trans.txt"))
    return {identity: text for file in files for identity, text in read_transcripts(file, form="kaldi").texts.items()}


def noisy(references: dict[str, str], rate: float, seed: int) -> dict[str, str]:
    """Readings with about `rate` errors a word, half of the substitutes from the same sentence, so that ties abound."""
    generator = random.Random(seed)
    vocabulary = sorted({word for text in references.values() for word in text.split()})
    readings = {}
    for identity, text in references.items():
        heard: list[str] = []
        words = text.split()
        for word in words:
            dice = generator.random() / rate
            if dice < 0.6:
                heard.append(generator.choice(vocabulary if generator.random() < 0.5 else words))
            elif dice < 0.8:
                continue
            elif dice < 1:
                heard += [word, generator.choice(vocabulary)]
            else:
                heard.append(word)
        readings[identity] = " ".join(heard)
    return readings


def write_trn(path: Path, texts: dict[str, str]) -> Path:
    path.write_text("".join(f"{text} ({identity})\n" for identity, text in texts.items()))
    return path


def sclite(folder: Path, reference: Path, hypothesis: Path, output: str, *options: str) -> str:
    name = hypothesis.stem
    command = [tool("sclite"), "-r", reference, "trn", "-h", hypothesis, "trn", name, "-i", "rm", "-f", "0", *options]
    subprocess.run([*command, "-o", output, "-O", str(folder)], check=True, capture_output=True)
    return (folder / f"{hypothesis.name}.{'pra' if output == 'pralign' else output}").read_text(errors="replace")


@pytest.mark.parametrize("case_sensitive", [False, True])
@pytest.mark.parametrize("rate", [0.08, 0.25, 0.6])
def test_counts_equal_sclite_utterance_by_utterance(
    references: dict[str, str], tmp_path: Path, rate: float, case_sensitive: bool
) -> None:
    heard = noisy(references, rate, seed=round(rate * 100))
    generator = random.Random(3)
    heard = {
        name: " ".join(word.lower() if generator.random() < 0.1 else word for word in text.split())
        for name, text in heard.items()
    }
    reference, hypothesis = write_trn(tmp_path / "ref.trn", references), write_trn(tmp_path / "hyp.trn", heard)
    options = ["-s"] if case_sensitive else []
    theirs = BLOCK.findall(sclite(tmp_path, reference, hypothesis, "pralign", *options))
    nist = score(references.values(), heard.values(), ids=references, aligner="nist", case_sensitive=case_sensitive)
    ours = BLOCK.findall(render_pra(nist))
    assert len(ours) == len(references) == 1089
    assert sorted(ours) == sorted(theirs)
    unit = score(references.values(), heard.values())
    print(f"\n4/3/3 {nist.words} WER {nist.wer:.4%}; unit costs {unit.words} WER {unit.wer:.4%}")
    assert not case_sensitive or nist.words.errors >= unit.words.errors


@pytest.mark.parametrize("rates", [(0.2, 0.2), (0.2, 0.207), (0.2, 0.215), (0.1, 0.102)])
def test_matched_pairs_equal_sc_stats(references: dict[str, str], tmp_path: Path, rates: tuple[float, float]) -> None:
    reference = write_trn(tmp_path / "ref.trn", references)
    systems = [noisy(references, rate, seed) for seed, rate in enumerate(rates)]
    alignments = "".join(
        sclite(tmp_path, reference, write_trn(tmp_path / f"s{number}.trn", heard), "sgml", "-s")
        for number, heard in enumerate(systems)
    )
    command = [tool("sc_stats"), "-p", "-t", "mapsswe", "-v", "-n", "-"]
    # It leaves files of its own where it runs.
    ask = partial(subprocess.run, input=alignments, cwd=tmp_path, capture_output=True, text=True, check=True)
    verbose = ask(command, errors="replace")
    found = re.search(r"# segs: (\d+)\).*\(mean: +(\S+)\) \(std dev: +(\S+)\) \(Z Stat: +(\S+)\)", verbose.stdout)
    unified = ask([*command[:4], "-u", "-n", "-"])
    p_value = re.search(r"\|  +MP .*?(<?)(0\.\d+)", unified.stdout)
    assert found is not None
    assert p_value is not None
    ours = compare(
        *(score(references.values(), heard.values(), ids=references, aligner="nist") for heard in systems)
    ).matched_pairs
    # sc_stats takes the first system minus the second and looks p up in a table of Z to two places.
    assert ours.segments == int(found[1])
    assert (-ours.mean, ours.deviation, -ours.z) == pytest.approx(tuple(map(float, found.groups()[1:])), abs=6e-4)
    assert ours.p_value == pytest.approx(float(p_value[2]), abs=0.006)


def test_counts_equal_jiwer_on_dev_clean_2(references: dict[str, str]) -> None:
    heard = list(noisy(references, 0.25, 7).values())
    ours, words = score(references.values(), heard), jiwer.process_words(list(references.values()), heard)
    letters = jiwer.process_characters(list(references.values()), heard)
    assert ours.words == Counts(words.hits, words.substitutions, words.deletions, words.insertions)
    assert ours.characters == Counts(letters.hits, letters.substitutions, letters.deletions, letters.insertions)
    assert (ours.wer, ours.cer) == pytest.approx((words.wer, letters.cer))
