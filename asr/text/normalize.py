"""Named normalizers: from a transcript as people write it to the letters that a model learns.

| name          | what it gives                                                                             |
|---------------|-------------------------------------------------------------------------------------------|
| `none`        | the text as it is, spaces tidied                                                          |
| `librispeech` | upper-case A–Z, apostrophe and space: accents stripped, quotes folded, punctuation a space |
| `ljspeech`    | abbreviations, numbers and money spelled out, then as `librispeech`                       |
| `whisper`     | Whisper's English one, for scoring: no case, no punctuation, numbers as digits            |

A letter, digit or spoken sign (`%`, `&`, `£`) that cannot be written in A–Z is an error and never dropped: without it
the transcript would no longer say what was spoken, and a model trained on it would learn to leave words out.
Every normalizer but Whisper's is idempotent: applied to its own output it changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache

from asr.errors import DataError, UsageError
from asr.text.numbers import spell_out

Normalizer = Callable[[str], str]

_APOSTROPHES = dict.fromkeys(map(ord, "’‘‛ʼʻ′´`＇"), "'")
# Letters that Unicode does not decompose into a base letter and an accent.
_LETTERS = {
    ord(letter): ascii_letters
    for letter, ascii_letters in {
        "Æ": "AE", "Œ": "OE", "Ø": "O", "Ð": "D", "Đ": "D", "Þ": "TH", "Ł": "L", "Ħ": "H", "Ŧ": "T", "ẞ": "SS",
    }.items()
}  # fmt: skip
_TAG = re.compile(r"\[[^\]]*\]|<[^<>]*>|\{[^}]*\}|\((?P<aside>(?:\s*\()?[^()]*(?:\)\s*)?)\)")
_ASIDES = frozenset(
    """ah applause beep breath breathing cough coughing coughs crosstalk eh er erm foreign hesitation hm hmm inaudible
    indistinct laugh laughing laughs laughter mhm mm music noise oh pause sigh sighs sil silence sneeze spn uh uhm
    um unclear unintelligible unk whispering""".split()  # noqa: SIM905 — a list of strings would be ten times as long
) | {"", "?", "??"}
# Signs that are read aloud: dropping one loses a word.
_SPOKEN_SIGNS = frozenset("%&@#+=°")
# An apostrophe belongs to a word ('TIS, DON'T, BOYS'); alone, or doubled as a quotation mark, it is punctuation.
# Text that is normal already, such as a published transcript, needs only this look: twenty times faster.
_WORD = r"'?[A-Z]+(?:'[A-Z]+)*'?"
_NORMAL = re.compile(f"{_WORD}(?: {_WORD})*")
_STRAY_APOSTROPHE = re.compile(r"''+|(?<![A-Z])'(?![A-Z])")


def refuse_tags(text: str) -> None:
    """Raise `DataError` for what stands in a transcript and is not spoken (see `find_tags`): it would become a word."""
    for match in find_tags(text):
        raise DataError(
            f"the text {_shorten(none(text))!r} holds {match[0]!r}, which nobody speaks",
            "Leave it out, or write the words.",
        )


def find_tags(text: str) -> Iterator[re.Match[str]]:
    """What stands in a transcript and is not spoken.

    That is whatever stands in square, angle or curly brackets (`[laughter]`, `<unk>`, `<s>`, `{a / b}`), and single
    words in parentheses that tell of a sound or a doubt (`(uh)`, `(noise)`, `(())`). Other parentheses are prose.
    """
    for match in _TAG.finditer(text):
        aside = match["aside"]
        if aside is None or aside.strip(" ()").lower() in _ASIDES:
            yield match


def get_normalizer(name: str) -> Normalizer:
    """The normalizer of that name. Raises `UsageError` naming the known ones, or how to install Whisper's."""
    if name == "whisper":
        return _whisper()
    try:
        return NORMALIZERS[name]
    except KeyError:
        known = ", ".join([*NORMALIZERS, "whisper"])
        raise UsageError(f"unknown normalizer {name!r}", f"Known are: {known}.") from None


@cache
def _whisper() -> Normalizer:
    try:
        from whisper_normalizer.english import EnglishTextNormalizer
    except ImportError as error:
        raise UsageError(
            "the normalizer 'whisper' is not installed", "In the project's folder: .venv/bin/pip install -e '.[score]'"
        ) from error
    normalize: Normalizer = EnglishTextNormalizer()
    return lambda text: none(normalize(text))


def none(text: str) -> str:
    """The text as it is, runs of white space made one space."""
    return " ".join(text.split())


def librispeech(text: str) -> str:
    """LibriSpeech's alphabet: upper-case A–Z, apostrophe and space.

    Hyphens, dashes and all other punctuation part words (`well-known` → `WELL KNOWN`, `U.S.` → `U S`).
    Raises `DataError` naming the letters, digits or spoken signs that the alphabet cannot hold.
    """
    return text if _NORMAL.fullmatch(text) else _respell(text)


def _respell(text: str) -> str:
    folded = text.translate(_APOSTROPHES).upper().translate(_LETTERS)
    decomposed = unicodedata.normalize("NFKD", folded)
    letters = "".join(map(_fold, decomposed.translate(_APOSTROPHES).upper()))
    foreign = sorted({letter for letter in letters if not (letter in " '" or "A" <= letter <= "Z")})
    if foreign:
        named = ", ".join(f"{letter!r}" for letter in foreign)
        raise DataError(
            f"the text {_shorten(text)!r} holds {named}, which A–Z and the apostrophe cannot write",
            "Spell it out as it is spoken; the `ljspeech` normalizer does so for numbers, money and abbreviations.",
        )
    return " ".join(_STRAY_APOSTROPHE.sub(" ", letters).split())


def ljspeech(text: str) -> str:
    """As `librispeech`, after abbreviations (`Mr.`), numbers (`1,064`), ordinals, years and money are spelled out."""
    return librispeech(spell_out(text))


def _fold(letter: str) -> str:
    """One character of decomposed upper-case text: itself, a space for punctuation, nothing for an accent."""
    if letter == "'" or letter in _SPOKEN_SIGNS:
        return letter
    category = unicodedata.category(letter)
    if category in ("Mn", "Cf", "Me"):
        return ""
    if category[0] in "PZC" or category in ("Sk", "Sm", "So"):
        return " "
    return letter


def _shorten(text: str, length: int = 60) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


NORMALIZERS: dict[str, Normalizer] = {"none": none, "librispeech": librispeech, "ljspeech": ljspeech}
