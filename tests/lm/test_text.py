"""Reading texts: every kind of file, and faults named with their line."""

from __future__ import annotations

import bz2
import gzip
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from asr.errors import DataError
from asr.lm.text import most_frequent, number_words, read_sentences, tokenize
from asr.text.normalize import librispeech

TEXT = "The lamp burned low.\n\nShe closed the door\n"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress], ids=["plain", "gzip", "bzip2"])
def test_a_sentence_a_line_from_any_file(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "text"
    path.write_bytes(pack(TEXT.encode()))
    assert list(read_sentences(path)) == ["The lamp burned low.", "She closed the door"]
    assert list(read_sentences(path, librispeech)) == ["THE LAMP BURNED LOW", "SHE CLOSED THE DOOR"]


def test_a_byte_order_mark_is_no_part_of_the_first_word(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("hello world\nwe walk\n", encoding="utf-8-sig")
    assert list(read_sentences(path)) == ["hello world", "we walk"]


def test_tags_are_refused_before_a_normalizer_takes_their_brackets_off(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("we <unk> along\n")
    with pytest.raises(DataError, match="nobody speaks"):
        list(read_sentences(path, librispeech))


def test_a_manifest_gives_its_texts(tmp_path: Path) -> None:
    path = tmp_path / "dev.jsonl"
    path.write_text('{"id": "a", "text": "GO HOME"}\n{"id": "b", "text": ""}\n\n')
    assert list(read_sentences(path)) == ["GO HOME"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress], ids=["plain", "gzip", "bzip2"])
def test_a_pipe_is_read_from_its_beginning(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    sentences = [f"sentence {number} of many" for number in range(2000)]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = pack("\n".join(sentences).encode())
    writer = threading.Thread(target=lambda: pipe.write_bytes(content), daemon=True)
    writer.start()
    assert list(read_sentences(pipe)) == sentences
    writer.join()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("t.txt", b"fine\nx < 1\nend </s> here\n", "line 3: .*</s>.*nobody speaks"),
        ("t.txt", b"fine\nwe [laughter] walked\n", "line 2: .*laughter.*nobody speaks"),
        ("t.txt", b"fine\nna\xefve\n", "line 2: not UTF-8"),
        ("t.jsonl", b'{"id": "a"}\n', "line 1: not a line of a manifest"),
        ("t.jsonl", b"{", "line 1: not a line of a manifest"),
        ("t.gz", gzip.compress(TEXT.encode(), mtime=0)[:-9], "torn"),
        ("t.bz2", bz2.compress(TEXT.encode())[:-9], "torn"),
    ],
)
def test_faults_are_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=complaint) as error:
        list(read_sentences(path))
    assert str(path) in error.value.message


def test_what_the_normalizer_refuses_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("fine\n42 apples\n")
    with pytest.raises(DataError, match=r"line 2: .*'4'"):
        list(read_sentences(path, librispeech))


def test_a_missing_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read the text .*absent\.txt"):
        list(read_sentences(tmp_path / "absent.txt"))


def test_words_become_numbers() -> None:
    tokens = tokenize(["b a", "c b"])
    assert tokens.words == ["<unk>", "<s>", "</s>", "a", "b", "c"]
    assert tokens.ids.tolist() == [1, 4, 3, 2, 1, 5, 4, 2]
    assert (tokens.sentences, tokens.unknown) == (2, 0)
    assert tokenize(["b z"], words=tokens.words).ids.tolist() == [1, 4, 0, 2]
    # b is most frequent; of a and c the alphabet prefers a
    assert most_frequent([number_words(["b a", "c b"])], [1.0], limit=2)[3:] == ["a", "b"]
