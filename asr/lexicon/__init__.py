"""How words are spoken: phones, a lexicon of words, and a G2P model for words that it does not list."""

from asr.lexicon.lexicon import Lexicon, load_lexicon

__all__ = ["Lexicon", "load_lexicon"]
