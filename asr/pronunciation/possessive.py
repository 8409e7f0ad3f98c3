"""How English speaks the possessive: the word, and a sound that its last one decides."""

from __future__ import annotations

from asr.pronunciation.phones import from_arpabet

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
