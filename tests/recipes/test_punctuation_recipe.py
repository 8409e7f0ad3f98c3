"""The packed text of recipes/punctuation: marks and capitals as printed, evaluation texts and held-out books apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asr.punctuation import Tag, write_words
from asr.training.punctuation import PunctuationExperiment
from asr.training.run import read_experiment
from tests.recipes.workspace import PROJECT

sys.path.append(str(PROJECT / "recipes" / "punctuation"))

import build_text
import evaluate
import held_out
import punctuated
import sentences


def read(text: str) -> str | None:
    """The text as the labels say it."""
    reader = punctuated.Reader()
    result = reader.read(punctuated.fold(text))
    if result is None:
        return None
    words, labels = result
    cases = np.minimum(labels >> 2, 2)
    return " ".join(
        write_words(reader.words(words.tolist()), [Tag(m, c) for m, c in zip(labels & 3, cases, strict=True)], {})
    )


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("He came; she left.", "He came, she left."),
        ("“Stop!” he cried. “Who’s there?”", "Stop, he cried. Who's there?"),
        ("“Stop!” He ran.", "Stop. He ran."),
        ("“Where?” she asked.", "Where? she asked."),
        ("I—that is, we—agreed.", "I, that is, we, agreed."),
        ("He (the old man) slept.", "He, the old man, slept."),
        ("Well... perhaps. Well... Perhaps.", "Well, perhaps. Well. Perhaps."),
        ("Mr. Brown met Dr. J. Smith.", "Mister Brown met Doctor J Smith."),
        ("I saw the U.S. flag, etc. and so on.", "I saw the U S flag, et cetera and so on."),
        ("In 1815, 23 well-known men died.", "In eighteen fifteen, twenty three well known men died."),
        ("Was it _he_? said I.", "Was it he? said I."),
        ("the café -- yes", "the cafe, yes"),
    ],
)
def test_marks_are_folded(text: str, labels: str) -> None:
    assert read(text) == labels


@pytest.mark.parametrize("text", ["Henry VIII died."])
def test_what_cannot_be_spoken_for_sure_is_not_read(text: str) -> None:
    assert read(text) is None


def test_capitals_for_emphasis_are_undone() -> None:
    reader = punctuated.Reader()
    words, labels = reader.read("It is NOT so. NOT at all, not in the USA. It is not the USA.")  # type: ignore[misc]
    counts = np.zeros((len(reader.vocabulary) + 1, 4), np.int64)
    for case in range(4):
        counts[:, case] = np.bincount(words[labels >> 2 == case], minlength=len(counts))
    punctuated.settle_capitals(words, labels, counts)
    spelled = dict(zip(reader.words(words.tolist()), (labels >> 2).tolist(), strict=True))
    assert spelled["USA"] == punctuated.UPPER
    assert (labels >> 2)[[2, 4]].tolist() == [punctuated.LOWER, punctuated.CAPITAL]


def book(number: int) -> str:
    """Forty paragraphs of nonsense in which every other word is a usual one."""
    random = np.random.default_rng(number)
    paragraphs = []
    for _ in range(40):
        rare = ["".join(random.choice(list("abdeiklmnorstu"), 5)) for _ in range(10)]
        words = [word for pair in zip(random.choice(USUAL, 10), rare, strict=True) for word in pair]
        paragraphs.append(f"It {' '.join(words[:12])}, and {' '.join(words[12:])}.")
    return "CHAPTER ONE\n\n" + "\n\n".join(paragraphs) + "\n"


USUAL = ["the", "of", "to", "in", "that", "was", "his", "he", "with"]


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror of one repository with forty books, two of them nearly the same."""
    repository = tmp_path / "mirror" / "some+books" / "repo"
    repository.mkdir(parents=True)
    for number in range(40):
        (repository / f"book{number}.txt").write_text(book(number))
    (repository / "again.txt").write_text((repository / "book7.txt").read_text() + "The end of it was good.\n")
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "books"],
    ):
        subprocess.run(["git", *command], cwd=repository, check=True)
    (tmp_path / "sources.tsv").write_text("books\tsome/books\tHEAD\t\\.txt$\tgutenberg\tfree\n")
    return tmp_path


def build(folder: Path, held_out: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    np.save(folder / "held.npy", held_out)
    arguments = [str(folder / "mirror"), str(folder / "text"), "--exclude", str(folder / "held.npy")]
    monkeypatch.setattr(sys, "argv", ["build_text.py", *arguments, "--sources", str(folder / "sources.tsv")])
    # One book in 256 is too few of forty.
    monkeypatch.setattr(build_text, "split_of", lambda path: {"3": "test", "5": "validation"}.get(path[4:-4], "train"))
    build_text.main()
    rows = [line.split("\t") for line in (folder / "text" / "files.tsv").read_text().splitlines()]
    return {path: what.split()[0] for _, _, path, what in rows}


def test_books_go_where_they_belong(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(mirror, np.zeros(0, np.uint64), monkeypatch)
    assert (first["book3.txt"], first["book5.txt"]) == ("test", "validation")
    assert sorted([first["book7.txt"], first["again.txt"]]) == ["again", "train"]
    words = np.load(mirror / "text" / "test" / "words.npy")
    names = ["", *(mirror / "text" / "vocabulary.txt").read_text().split("\n")]
    assert names[words[0]] == "IT"

    # A book that is an evaluation text goes to neither training nor test, and is in no language model's text.
    spoken = [[*map(str.upper, paragraph.split())] for paragraph in book(9).replace(".", "").split("\n\n")]
    (mirror / "spoken.txt").write_text("".join(f"{' '.join(words)}\n" for words in spoken))
    monkeypatch.setattr(sys, "argv", ["held_out.py", str(mirror / "held.npy"), str(mirror / "spoken.txt")])
    held_out.main()
    hashes = np.load(mirror / "held.npy")
    second = build(mirror, hashes, monkeypatch)
    assert second["book9.txt"] == "excluded"
    assert list(second.values()).count("train") == list(first.values()).count("train") - 1


def test_without_a_book_to_learn_from_it_says_where_all_went(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no book to learn from; .*files\.tsv"):
        build_text.Builder(np.zeros(0, np.uint64)).save(tmp_path)


def test_language_models_get_a_sentence_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = punctuated.Reader()
    prose = "He came; she left. Who? I do not know whom you mean, Sir. I do not know whom you mean, sir! He ran. No."
    words, labels = reader.read(punctuated.fold(prose))  # type: ignore[misc]
    for part in ("train", "excluded"):
        (tmp_path / part).mkdir()
        np.save(tmp_path / part / "words.npy", words)
        np.save(tmp_path / part / "labels.npy", labels)
    (tmp_path / "vocabulary.txt").write_text("".join(f"{word}\n" for word in reader.vocabulary))
    (tmp_path / "spoken.txt").write_text("he ran\n")
    arguments = [str(tmp_path), str(tmp_path / "out.txt"), "--leave-out", str(tmp_path / "spoken.txt")]
    monkeypatch.setattr(sys, "argv", ["sentences.py", *arguments])
    sentences.main()
    assert (tmp_path / "out.txt").read_text().splitlines() == [
        "HE CAME SHE LEFT",
        "WHO",
        "I DO NOT KNOW WHOM YOU MEAN SIR",
        "NO",
    ]


@pytest.mark.parametrize("name", ["bigru", "past_only"])
def test_configurations_are_valid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    experiment = read_experiment(PROJECT / f"recipes/punctuation/conf/{name}.yaml", ["loop.minutes=1"])
    assert isinstance(experiment, PunctuationExperiment)
    assert experiment.loop.minutes == 1


def test_the_trigram_learns_what_follows_what() -> None:
    words = np.array([1, 2, 3, 4, 1, 2, 5, 4] * 50)
    labels = np.array([4, 0, 2, 4, 4, 0, 1, 4] * 50)
    marks, capitals = evaluate.Trigram(words, labels).read(np.array([1, 2, 3, 4, 1, 2, 5, 4]))
    assert marks.tolist()[:7] == [0, 0, 2, 0, 0, 0, 1]
    assert capitals.tolist() == [True, False, False, True, True, False, False, True]
    assert "1.000" in evaluate.table(marks, capitals, marks, capitals)
