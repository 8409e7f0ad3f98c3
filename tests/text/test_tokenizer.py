"""Tokenizers: every text comes back, what cannot be spelled is named, and what is loaded is what was saved."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.config import validate
from asr.errors import DataError, UsageError
from asr.text.tokenizer import (
    BLANK,
    CharacterTokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    TokenizerConfig,
    load_tokenizer,
    pieces_to_text,
    train_tokenizer,
)

TEXTS = ["THE CAT SAT ON THE MAT", "A RAT ATE THE CAT'S HAT", "THAT CAT", "MEN MET AT TEN", "THE MEN SAT"]
LETTERS = sorted(set("".join(TEXTS)) - {" "})
CONFIGS = [TokenizerConfig("characters"), TokenizerConfig("unigram", 24), TokenizerConfig("bpe", 24)]
TOKENIZERS = [train_tokenizer(config, TEXTS) for config in CONFIGS]
tokenizers = pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=[config.kind for config in CONFIGS])


@given(tokenizer=st.sampled_from(TOKENIZERS), text=st.text(st.sampled_from([*LETTERS, " "]), max_size=30))
def test_every_text_comes_back_with_single_spaces(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert BLANK not in ids
    assert all(0 < i < len(tokenizer.vocabulary) for i in ids)
    assert tokenizer.decode(ids) == " ".join(text.split())


@tokenizers
def test_blanks_are_not_read(tokenizer: Tokenizer) -> None:
    spaced = [i for token in tokenizer.encode("THE CAT") for i in (BLANK, token, BLANK)]
    assert tokenizer.decode(spaced) == "THE CAT"
    assert tokenizer.decode([]) == ""


@tokenizers
def test_index_0_is_the_blank_and_pieces_are_distinct(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocabulary[BLANK] == "<blank>"
    assert len(set(tokenizer.vocabulary)) == len(tokenizer.vocabulary)
    assert set(LETTERS) <= set("".join(tokenizer.vocabulary[1:]))


@tokenizers
@pytest.mark.parametrize(
    ("text", "named"), [("CAFÉ", "'É'"), ("the", "'e', 'h', 't'"), ("CAT 7", "'7'"), ("QQ", "'Q'")]
)
def test_what_cannot_be_spelled_is_named(tokenizer: Tokenizer, text: str, named: str) -> None:
    with pytest.raises(DataError, match=named) as caught:
        tokenizer.encode(text)
    assert text in str(caught.value)
    assert "normalizer" in caught.value.hint


@tokenizers
def test_saved_and_loaded(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.vocabulary == tokenizer.vocabulary
    for text in TEXTS:
        assert again.encode(text) == tokenizer.encode(text)


def test_the_vocabulary_has_the_asked_size() -> None:
    assert [len(tokenizer.vocabulary) for tokenizer in TOKENIZERS] == [2 + len(LETTERS), 24, 24]


def test_training_again_gives_the_same() -> None:
    for config, tokenizer in zip(CONFIGS, TOKENIZERS, strict=True):
        assert train_tokenizer(config, TEXTS).vocabulary == tokenizer.vocabulary


def test_word_pieces_are_fewer_than_characters() -> None:
    text = "THE CAT SAT ON THE MAT"
    counts = [len(tokenizer.encode(text)) for tokenizer in TOKENIZERS]
    assert counts[0] == len(text)
    assert max(counts[1:]) < counts[0]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize(("texts", "size"), [(["A"], 500), (TEXTS, 3), ([], 24)])
def test_sizes_that_the_texts_cannot_give_are_refused(kind: str, texts: list[str], size: int) -> None:
    with pytest.raises(DataError, match=f"no {kind} tokenizer of {size} pieces"):
        SentencePieceTokenizer.train(texts, kind, size)


def test_an_unknown_kind_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'characters', 'unigram' or 'bpe'"):
        validate(TokenizerConfig, {"kind": "words"}, "here")


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["▁THE", "▁C", "AT"], "THE CAT"),
        (["T", "HE", "▁", "CAT"], "THE CAT"),
        (["▁", "▁", "A", "▁"], "A"),
        ([], ""),
    ],
)
def test_pieces_to_text(pieces: list[str], text: str) -> None:
    assert pieces_to_text(pieces) == text


def test_an_empty_alphabet_is_still_a_tokenizer() -> None:
    assert CharacterTokenizer.train([]).vocabulary == ["<blank>", "▁"]
