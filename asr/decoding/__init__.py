"""From log-probabilities to text: greedy, and prefix beam search with a language model and hotwords.

`BeamDecoder` loads on first use, since it brings the compiler with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asr.decoding.config import DecodingConfig as DecodingConfig
from asr.decoding.greedy import Hypothesis as Hypothesis
from asr.decoding.greedy import greedy as greedy
from asr.decoding.greedy import spell as spell
from asr.decoding.hotwords import Hotword as Hotword

if TYPE_CHECKING:
    from asr.decoding.beam_search import BeamDecoder as BeamDecoder


def __getattr__(name: str) -> Any:
    if name == "BeamDecoder":
        from asr.decoding.beam_search import BeamDecoder

        return BeamDecoder
    raise AttributeError(f"module 'asr.decoding' has no attribute {name!r}")
