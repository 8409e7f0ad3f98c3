"""The words whose pronunciations are known, with the speller that guesses those of all others.

On disk it is the folder `pronunciation/` of a model: `words.tsv.gz`, a word and its pronunciations a line,
`speller.safetensors`, and the `LICENSE` of the dictionary that the words came from, where it asks for that. Loading
reads numbers and text only; the speller, and PyTorch with it, comes in when the first word is asked for that is not
listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr.errors import DataError, ModelError, UsageError
from asr.files import write_text
from asr.pronunciation.letters import letters_of
from asr.pronunciation.phones import VOCABULARY
from asr.pronunciation.possessive import owner_of, possessive
from asr.pronunciation.words import HINT, flaw, read_words, write_words
from asr.text.tokenizer import WORD_START

if TYPE_CHECKING:
    from asr.pronunciation.spelling import Speller

FOLDER = "pronunciation"
WORDS = "words.tsv.gz"
SPELLER = "speller.safetensors"
LICENSE = "LICENSE"

_IDS = {piece: number for number, piece in enumerate(VOCABULARY)}


class Pronunciations:
    """How words are spoken: of each word its pronunciations, strings of the signs of `PHONES`, the best one first."""

    def __init__(
        self, words: Mapping[str, Sequence[str]], speller: Speller | Path | None = None, license: str = ""
    ) -> None:
        """The listed `words`, in any letter case, and the speller for others: a network, its file, or none at all.

        `license` is the text that whoever passes the words on must pass on as well.

        Raises `DataError` naming a word that holds white space or has no pronunciation made of `PHONES`.
        """
        # Joined as in the file: a hundred thousand tuples would take longer to make than everything else.
        self._words = {word.upper(): " ".join(spoken) for word, spoken in words.items()}
        self._speller = speller
        self.license = license
        self._guesses: dict[str, str] = {}
        if wrong := flaw(self._words):
            raise DataError(wrong)

    @classmethod
    def _of_checked(cls, words: dict[str, str], speller: Path, license: str) -> Pronunciations:
        """Of words as `read_words` gives them."""
        pronunciations = cls({}, speller, license)
        pronunciations._words = words
        return pronunciations

    def __len__(self) -> int:
        """Listed words."""
        return len(self._words)

    def __contains__(self, word: str) -> bool:
        """Whether `word` is listed, in any letter case."""
        return word.upper() in self._words

    def of(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The pronunciations of each of `words`, in their order, under the word as it is given.

        A word is looked up, then without accents and signs, then as the possessive of a listed word; what is left is
        guessed, all at once and once only. Words that cannot be spoken are left out: those without letters, and those
        that are not listed where there is no speller. Raises `ModelError` when the speller's file does not hold one.
        """
        words = list(dict.fromkeys(words))
        # Nearly all of a language model's words are listed as they are given: those shall cost next to nothing.
        spoken = [listed or self._known(word) for word, listed in zip(words, map(self._words.get, words), strict=True)]
        self._guess([word for word, known in zip(words, spoken, strict=True) if known is None])
        joined = [
            self._guesses.get(letters_of(word), "") if known is None else known
            for word, known in zip(words, spoken, strict=True)
        ]
        return {word: tuple(known.split(" ")) for word, known in zip(words, joined, strict=True) if known}

    def encode(self, text: str) -> list[int]:
        """Ids in `VOCABULARY` of how `text` is spoken, each word as it mostly is, with "▁" between words.

        To guess the unlisted words of many texts together, ask `of` for them first. Raises `DataError` naming a word
        that cannot be spoken.
        """
        words = text.split()
        spoken = self.of(words)
        missing = [word for word in words if word not in spoken]
        if missing:
            raise DataError(
                f"nobody can tell how {missing[0]!r} is spoken (in {text[:60]!r})",
                "Spell it out as it is spoken; the `ljspeech` normaliser does so for numbers, money and abbreviations.",
            )
        return [_IDS[sign] for sign in WORD_START.join(spoken[word][0] for word in words)]

    def restricted_to(self, words: Iterable[str]) -> Pronunciations:
        """A copy that lists just `words`, those that are guessed included, with the same speller for others."""
        return Pronunciations(self.of(words), self._speller, self.license)

    def save(self, folder: Path | str) -> None:
        """Write `pronunciation/` into `folder`: what is listed, not what was guessed. The same content, the same bytes.

        Raises `UsageError` where there is no speller.
        """
        speller = self._loaded_speller()
        if speller is None:
            raise UsageError("these pronunciations have no speller", "Train one with recipes/pronunciation.py.")
        target = Path(folder) / FOLDER
        speller.save(target / SPELLER)
        write_words(target / WORDS, self._words)
        if self.license:
            write_text(target / LICENSE, self.license)

    def _known(self, word: str) -> str | None:
        """What is listed or was guessed, by blanks: of the word, of its letters, of the one it is the possessive of."""
        word = word.upper()
        if listed := self._words.get(word):
            return listed
        letters = letters_of(word)
        if listed := self._words.get(letters):
            return listed
        if listed := self._words.get(owner_of(letters)):
            return " ".join(map(possessive, listed.split(" ")))
        return self._guesses.get(letters)

    def _guess(self, words: Sequence[str]) -> None:
        """Ask the speller for `words`, and remember what it says, even if it is nothing."""
        unknown = list(dict.fromkeys(letters_of(word.upper()) for word in words))
        speller = self._loaded_speller() if unknown else None
        guesses = speller.guess(unknown) if speller else [""] * len(unknown)
        self._guesses.update(zip(unknown, guesses, strict=True))

    def _loaded_speller(self) -> Speller | None:
        if isinstance(self._speller, Path):
            from asr.pronunciation.spelling import load_speller

            self._speller = load_speller(self._speller)
        return self._speller


def load_pronunciations(folder: Path | str) -> Pronunciations | None:
    """The pronunciations of a model folder, or `None` where it has no `pronunciation/`.

    Raises `ModelError` naming the file that is missing, torn or damaged.
    """
    source = Path(folder) / FOLDER
    if not source.is_dir():
        return None
    words = read_words(source / WORDS)
    _check_whole(source / SPELLER)
    return Pronunciations._of_checked(words, source / SPELLER, _read_license(source / LICENSE))


def _read_license(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is damaged: {error}", HINT) from error


def _check_whole(path: Path) -> None:
    """Whether the speller's file is as long as it claims, without PyTorch: better now than at the first rare word."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing", HINT) from error
    except (OSError, SafetensorError, ValueError) as error:
        raise ModelError(f"{path} is damaged: {error}", HINT) from error
