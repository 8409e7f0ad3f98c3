"""A speech recognizer with a recurrent acoustic model: small, fast, honest.

    import asr

    recognizer = asr.load_model()
    print(recognizer.transcribe("speech.wav").text)
    print(asr.score(["the cat sat"], ["the cat sad"]).wer)

Names load on first use, so that `import asr` costs nothing.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
_LAZY: dict[str, str] = {
    "load_model": "asr.transcription.recognizer",
    "Recognizer": "asr.transcription.recognizer",
    "DecodeOptions": "asr.transcription.decoder",
    "Request": "asr.transcription.reader",
    "Failure": "asr.transcription.result",
    "Segment": "asr.transcription.result",
    "Transcript": "asr.transcription.result",
    "Word": "asr.transcription.result",
    "score": "asr.scoring",
}
__all__ = ["__version__"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'asr' has no attribute {name!r}")
