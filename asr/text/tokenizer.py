"""Tokenizers: text to the model's output symbols and back. Index 0 is always the CTC blank.

Both kinds write a word's start as "▁", so that one rule turns pieces into text: join, replace "▁" by a space, strip.
For characters the space is the lone piece "▁"; for sentencepiece models pieces look like "▁THE", "ING".
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from asr.errors import DataError, ModelError
from asr.io import parse_json, write_text, write_whole

BLANK = 0
BLANK_PIECE = "<blank>"
WORD_START = "▁"


class Tokenizer(ABC):
    """Text to token ids and back. `vocabulary` holds all pieces; index 0 is the blank."""

    kind: ClassVar[str]

    def __init__(self, vocabulary: list[str]) -> None:
        self.vocabulary = vocabulary

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Token ids of `text`. Raises `DataError` naming characters that the tokenizer does not have."""

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids, without blanks."""
        return pieces_to_text(self.vocabulary[i] for i in ids if i != BLANK)

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` (and `tokenizer.model` for sentencepiece) into a model folder."""
        description = {"kind": self.kind, "vocabulary": self.vocabulary}
        write_text(folder / "tokenizer.json", json.dumps(description, ensure_ascii=False, indent=1) + "\n")


@dataclass(frozen=True)
class TokenizerConfig:
    """Which tokenizer to train on the training transcripts."""

    kind: Literal["characters", "unigram", "bpe"] = "unigram"
    size: int = 256
    """Pieces, the blank included; ignored for characters."""


class CharacterTokenizer(Tokenizer):
    """One token per character."""

    kind = "characters"

    def __init__(self, characters: Sequence[str]) -> None:
        super().__init__([BLANK_PIECE, WORD_START, *characters])
        self._index = {piece: number for number, piece in enumerate(self.vocabulary)}

    @classmethod
    def train(cls, texts: Iterable[str]) -> CharacterTokenizer:
        """The alphabet of `texts`, sorted."""
        return cls(sorted(set().union(*map(set, texts)) - set(" " + WORD_START)))

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`. Raises `DataError` naming characters that the tokenizer does not have."""
        pieces = WORD_START.join(text.split())
        if missing := set(pieces) - self._index.keys():
            raise _lacks(missing, text)
        return [self._index[piece] for piece in pieces]


class SentencePieceTokenizer(Tokenizer):
    """Word pieces by sentencepiece (Kudo and Richardson 2018): unigram or BPE.

    The piece model's `<unk>` sits at id 0 and is never produced, so that id can serve as the blank.
    """

    kind = "sentencepiece"

    def __init__(self, model: bytes) -> None:
        from sentencepiece import SentencePieceProcessor

        self._model = model
        self._processor = SentencePieceProcessor(model_proto=model)
        pieces = [self._processor.id_to_piece(i) for i in range(1, self._processor.get_piece_size())]
        super().__init__([BLANK_PIECE, *pieces])
        self._letters = set("".join(pieces)) | {" "}

    @classmethod
    def train(cls, texts: Iterable[str], kind: Literal["unigram", "bpe"], size: int) -> SentencePieceTokenizer:
        """Train on `texts`. Raises `DataError` when the texts are too few for `size` pieces."""
        import io

        import sentencepiece

        target = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(texts),
                model_writer=target,
                model_type=kind,
                vocab_size=size,
                character_coverage=1.0,
                normalization_rule_name="identity",
                unk_id=BLANK,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                num_threads=1,
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            raise DataError(f"no {kind} tokenizer of {size} pieces can be trained on these texts: {error}") from error
        return cls(target.getvalue())

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`. Raises `DataError` naming characters that the tokenizer does not have."""
        ids: list[int] = self._processor.encode(text)
        if BLANK in ids:
            raise _lacks(set(text) - self._letters, text)
        return ids

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer.model`."""
        with write_whole(folder / "tokenizer.model", "wb") as file:
            file.write(self._model)
        super().save(folder)


def pieces_to_text(pieces: Iterable[str]) -> str:
    """Join pieces to words: "▁" starts a word."""
    return " ".join("".join(pieces).replace(WORD_START, " ").split())


def train_tokenizer(config: TokenizerConfig, texts: Sequence[str]) -> Tokenizer:
    """Train the configured tokenizer on transcripts that are already normalized."""
    if config.kind == "characters":
        return CharacterTokenizer.train(texts)
    return SentencePieceTokenizer.train(texts, config.kind, config.size)


def load_tokenizer(folder: Path | str) -> Tokenizer:
    """Load the tokenizer of a model folder. Raises `ModelError` naming the file when it is missing or torn."""
    path = Path(folder) / "tokenizer.json"
    try:
        description = parse_json(path.read_text(encoding="utf-8"))
        if description["kind"] == CharacterTokenizer.kind:
            tokenizer: Tokenizer = CharacterTokenizer([str(piece) for piece in description["vocabulary"][2:]])
        else:
            path = path.with_name("tokenizer.model")
            tokenizer = SentencePieceTokenizer(path.read_bytes())
    except FileNotFoundError as error:
        hint = "A model is a folder written by `asr train` or `asr average`."
        raise ModelError(f"{path} is missing", hint) from error
    except (OSError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
        raise ModelError(f"{path} is damaged: {error}") from error
    if tokenizer.vocabulary != description["vocabulary"]:
        raise ModelError(f"{path} is damaged: its pieces are not the vocabulary of tokenizer.json")
    return tokenizer


def _lacks(characters: set[str], text: str) -> DataError:
    return DataError(
        f"the tokenizer has no {', '.join(map(repr, sorted(characters)))} (in {text[:60]!r})",
        "Prepare the corpus with a normalizer that leaves only the model's letters.",
    )
