"""How words are spoken: phones, a dictionary, and a speller that guesses what the dictionary does not list."""

from asr.pronunciation.dictionary import Pronunciations, load_pronunciations

__all__ = ["Pronunciations", "load_pronunciations"]
