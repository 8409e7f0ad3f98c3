"""The dictionary: what is listed, what follows from it, what is predicted; and a folder that is whole or refused."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import DataError, ModelError, UsageError
from asr.lexicon import Lexicon, load_lexicon
from asr.lexicon.g2p import G2P
from asr.lexicon.phones import SYMBOLS, VOCABULARY
from tests.lexicon.test_g2p import G2P_FILE

LISTED = {
    "A": ("ʌ", "E"),
    "CAT": ("kæt",),
    "DOG": ("dɔɡ",),
    "HORSE": ("hɔrs",),
    "READ": ("rɛd", "rid"),
    "CAFE": ("kʌfE",),
    "IT'S": ("ɪts",),
    "SAT": ("sæt",),
}
KNOWN = Lexicon(LISTED)
words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(
    lambda word: word.upper().split() == [word.upper()] and word.upper() == word.upper().upper()
)
entries = st.dictionaries(words, st.lists(st.text(SYMBOLS, min_size=1, max_size=6), min_size=1, max_size=3), max_size=6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder with pronunciations."""
    Lexicon(LISTED, G2P_FILE).save(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("word", "spoken"),
    [
        ("CAT", ("kæt",)),
        ("cat", ("kæt",)),
        ("READ", ("rɛd", "rid")),
        ("CAT'S", ("kæts",)),
        ("cat’s", ("kæts",)),
        ("DOG'S", ("dɔɡz",)),
        ("HORSE'S", ("hɔrsʌz",)),
        ("READ'S", ("rɛdz", "ridz")),
        ("IT'S", ("ɪts",)),
        ("Café", ("kʌfE",)),
        ("CAFÉ'S", ("kʌfEz",)),
        ("CAT,", ("kæt",)),
    ],
)
def test_listed_words_and_their_possessives(word: str, spoken: tuple[str, ...]) -> None:
    assert KNOWN.lookup([word]) == {word: spoken}


@pytest.mark.parametrize("word", ["COW", "COW'S", "CATS", "'S", "", "42", "日本", "\ud800"])
def test_without_a_g2p_model_other_words_are_left_out(word: str) -> None:
    assert KNOWN.lookup([word, "CAT"]) == {"CAT": ("kæt",)}


def test_other_words_are_predicted_once_and_together(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    predict = G2P.predict

    def noted(self: G2P, words: list[str]) -> list[str]:
        asked.append(words)
        return predict(self, words)

    monkeypatch.setattr(G2P, "predict", noted)
    pronunciations = Lexicon(LISTED, G2P_FILE)
    found = pronunciations.lookup(["COW", "CAT", "cow", "SHEEP", "COW", "42"])
    assert asked == [["COW", "SHEEP", ""]]
    assert found == pronunciations.lookup(["COW", "CAT", "cow", "SHEEP", "42"])
    assert found["COW"] == found["cow"] == (predict(G2P_FILE, ["COW"])[0],)
    assert list(found) == ["COW", "CAT", "cow", "SHEEP"]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("", ""),
        ("A CAT", "ʌ▁kæt"),
        ("  a\tcat\n", "ʌ▁kæt"),
        ("A CAT'S HORSE SAT", "ʌ▁kæts▁hɔrs▁sæt"),
        ("READ READ", "rɛd▁rɛd"),
    ],
)
def test_encode(text: str, spoken: str) -> None:
    ids = KNOWN.encode(text)
    assert "".join(VOCABULARY[number] for number in ids) == spoken
    assert 0 not in ids


def test_encode_in_numbers() -> None:
    assert KNOWN.encode("A CAT") == [4, 1, 21, 3, 32]


@pytest.mark.parametrize("lexicon", [KNOWN, Lexicon(LISTED, G2P_FILE)], ids=["listed", "predicted"])
def test_a_word_that_cannot_be_spoken_is_named(lexicon: Lexicon) -> None:
    with pytest.raises(DataError, match="'42'") as caught:
        lexicon.encode("A CAT SAT 42 CAT")
    assert "A CAT SAT 42" in str(caught.value)
    assert "normalizer" in caught.value.hint


def test_restricted_to_lists_what_is_asked_for_predictions_included() -> None:
    whole = Lexicon(LISTED, G2P_FILE)
    part = whole.restricted_to(["CAT", "DOG'S", "COW", "42"])
    assert len(part) == 3
    assert [word in part for word in ("CAT", "cat", "DOG'S", "COW", "DOG", "42")] == [True] * 4 + [False] * 2
    assert part.lookup(["CAT", "DOG'S", "COW"]) == whole.lookup(["CAT", "DOG'S", "COW"])
    assert part.lookup(["SHEEP"]) == whole.lookup(["SHEEP"])


@pytest.mark.parametrize(
    ("listed", "named"),
    [
        ({"CAT": []}, "'CAT' lacks"),
        ({"CAT": [""]}, "'CAT' lacks"),
        ({"CAT": ["kæt", ""]}, "'CAT' lacks"),
        ({"A": ["ʌ"], "CAT": ["cæt"]}, "'CAT' is spoken with 'c'"),
        ({"CAT": ["kæt▁"]}, "'CAT' is spoken with '▁'"),
        ({"CAT": ["k\nB\tb"]}, "'CAT' is spoken with"),
        ({"": ["ʌ"]}, "'' is not a word"),
        ({"A CAT": ["ʌ"]}, "'A CAT' is not a word"),
        ({"A\tʌ\nB": ["b"]}, "is not a word"),
        ({"A\x85": ["ʌ"]}, "is not a word"),
        ({"A\u2028": ["ʌ"]}, "is not a word"),
        ({"\udc80": ["ʌ"]}, "is not a word"),
    ],
)
def test_what_cannot_be_listed_is_named(listed: dict[str, list[str]], named: str) -> None:
    with pytest.raises(DataError, match=named):
        Lexicon(listed)


@settings(max_examples=15, deadline=None)
@given(entries)
def test_saved_and_loaded(tmp_path_factory: pytest.TempPathFactory, listed: dict[str, list[str]]) -> None:
    folder = tmp_path_factory.mktemp("saved")
    saved = Lexicon(listed, G2P_FILE)
    saved.save(folder)
    loaded = load_lexicon(folder)
    assert loaded is not None
    assert len(loaded) == len(saved)
    assert loaded.lookup(listed) == saved.lookup(listed)
    again = tmp_path_factory.mktemp("again")
    loaded.save(again)
    for name in ("words.tsv.gz", "g2p.safetensors"):
        assert (again / "lexicon" / name).read_bytes() == (folder / "lexicon" / name).read_bytes()


def test_the_same_words_give_the_same_bytes(tmp_path: Path) -> None:
    Lexicon(LISTED, G2P_FILE).save(tmp_path / "a")
    Lexicon(dict(reversed(LISTED.items())), G2P_FILE).save(tmp_path / "b")
    first, second = ((tmp_path / name / "lexicon/words.tsv.gz").read_bytes() for name in "ab")
    assert first == second
    assert gzip.decompress(first).decode().startswith("A\tʌ E\nCAFE\tkʌfE\nCAT\tkæt\n")


def test_predictions_are_remembered_but_not_saved(folder: Path, tmp_path: Path) -> None:
    loaded = load_lexicon(folder)
    assert loaded is not None
    assert loaded.lookup(["COW"])
    loaded.save(tmp_path / "again")
    again = load_lexicon(tmp_path / "again")
    assert again is not None
    assert "COW" not in again
    assert again.lookup(["COW"]) == loaded.lookup(["COW"])


def test_a_folder_can_be_saved_over_itself(folder: Path) -> None:
    loaded = load_lexicon(folder)
    assert loaded is not None
    loaded.save(folder)
    again = load_lexicon(folder)
    assert again is not None
    assert again.lookup([*LISTED, "COW"]) == loaded.lookup([*LISTED, "COW"])


def test_without_a_g2p_model_nothing_is_saved(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no G2P model"):
        KNOWN.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_without_pronunciations_has_none(tmp_path: Path) -> None:
    assert load_lexicon(tmp_path) is None
    assert load_lexicon(tmp_path / "nowhere") is None


@pytest.mark.parametrize("name", ["words.tsv.gz", "g2p.safetensors"])
def test_missing_torn_and_foreign_files_are_named(name: str, folder: Path) -> None:
    path = folder / "lexicon" / name
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2 if name == "words.tsv.gz" else 0] ^= 0xFF
    cuts = [whole[: len(whole) * share // 10] for share in range(10)] + [whole[:-1]]
    for damaged in [*cuts, bytes(flipped), b"PK\x03\x04" * 20]:
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match="is damaged") as caught:
            load_lexicon(folder)
        assert str(path) in str(caught.value)
    path.unlink()
    with pytest.raises(ModelError, match="is missing") as caught:
        load_lexicon(folder)
    assert str(path) in str(caught.value)
    path.mkdir()
    with pytest.raises(ModelError, match="is damaged") as caught:
        load_lexicon(folder)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"CAT\tk\xff\n", "utf-8"),
        ("CAT\tkæt".encode(), "cut off"),
        (b"CAT\n", ""),
        ("CAT\tkæt\tkæt\n".encode(), ""),
        ("CAT\tkæt\n\nDOG\tdɔɡ\n".encode(), ""),
        ("CAT\tkæt\nCAT\tkæt\n".encode(), "twice"),
        (b"CAT\t\n", "'CAT' lacks"),
        ("CAT\tkæt  kæt\n".encode(), "'CAT' lacks"),
        ("CAT\tkæt \n".encode(), "'CAT' lacks"),
        (b"CAT\t<blank>\n", "'CAT' is spoken with"),
        ("\tkæt\n".encode(), "'' is not a word"),
        ("A CAT\tkæt\n".encode(), "'A CAT' is not a word"),
        ("A\rB\tkæt\n".encode(), "is not a word"),
        ("cat\tkæt\n".encode(), "'cat' is not in capitals"),
    ],
)
def test_damaged_words_are_refused(content: bytes, named: str, folder: Path) -> None:
    (folder / "lexicon/words.tsv.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ModelError, match=r"words\.tsv\.gz is damaged") as caught:
        load_lexicon(folder)
    assert named in str(caught.value)


def test_a_file_without_words_is_a_list_of_none(folder: Path) -> None:
    (folder / "lexicon/words.tsv.gz").write_bytes(gzip.compress(b""))
    loaded = load_lexicon(folder)
    assert loaded is not None
    assert len(loaded) == 0


def test_a_g2p_model_that_vanished_later_is_named(folder: Path) -> None:
    loaded = load_lexicon(folder)
    assert loaded is not None
    shutil.rmtree(folder / "lexicon")
    assert loaded.lookup(["CAT"]) == {"CAT": ("kæt",)}
    with pytest.raises(ModelError, match=r"g2p\.safetensors"):
        loaded.lookup(["COW"])
