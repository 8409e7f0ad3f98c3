"""From log-probabilities to text: greedy, and prefix beam search with a language model and hotwords."""

from __future__ import annotations

from asr.decoding.greedy import greedy
from asr.decoding.hypothesis import Hypothesis, spell

__all__ = ["Hypothesis", "greedy", "spell"]
