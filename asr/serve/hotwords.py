"""The words of a prompt that are worth listening for."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_MOST = 50
_LONGEST = 40
_COMMON = frozenset(
    """a about after again all also am an and any are as at be because been before being between both but by can come
    could did do does done down each even every few first for from get give go good got had has have having he her here
    hers him his how i if in into is it its just know last like little look made make man many may me men might mine
    more most much must my never new no not now of off oh old on once one only or other our ours out over own people
    said same say see shall she should so some such take than that the their theirs them then there these they thing
    think this those three through time to too two under until up upon us very was way we well went were what when
    where which while who whom whose why will with within without would year yes yet you your yours""".split()  # noqa: SIM905 — a list of strings would be twenty times as long
)


def hotwords_of(prompt: str, keywords: Iterable[str], letters: Iterable[str]) -> tuple[str, ...]:
    """What to expect: each of `keywords`, and the words of `prompt` that are not too common to need it.

    A prompt is often a sentence, and *the* would be heard everywhere if it were expected. Words that the model cannot
    spell with its `letters` are left out, and so is what goes beyond fifty words, from the front: the end of a prompt
    is nearest to what is said next.
    """
    words = [word.replace("’", "'") for word in _WORD.findall(prompt)]
    words = [word for word in words if word.lower() not in _COMMON and 2 < len(word) <= _LONGEST]
    phrases = (" ".join(_WORD.findall(phrase.replace("’", "'"))) for phrase in keywords)
    wanted = [*words, *(phrase[: _LONGEST * 2] for phrase in phrases if phrase)]
    known = {form for letter in letters for form in (letter, letter.lower(), letter.upper())} | {" "}
    spelled = {word.upper(): None for word in wanted if known.issuperset(word)}
    return tuple(sorted(list(spelled)[-_MOST:]))
