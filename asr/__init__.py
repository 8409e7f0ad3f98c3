"""A speech recognizer with a recurrent acoustic model: small, fast, honest.

    import asr

    recognizer = asr.load_model()
    print(recognizer.transcribe("speech.wav").text)
    print(asr.score(["the cat sat"], ["the cat sad"]).wer)

Names load on first use, so that `import asr` costs nothing; editors and type checkers see all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.scoring import score as score
    from asr.transcription.adaptation import adapt as adapt
    from asr.transcription.decoder import DecodeOptions as DecodeOptions
    from asr.transcription.reader import Request as Request
    from asr.transcription.recognizer import Recognizer as Recognizer
    from asr.transcription.recognizer import load_model as load_model
    from asr.transcription.result import Failure as Failure
    from asr.transcription.result import Segment as Segment
    from asr.transcription.result import Transcript as Transcript
    from asr.transcription.result import Word as Word

__version__ = "0.1.0"
_LAZY: dict[str, str] = {
    "DecodeOptions": "asr.transcription.decoder",
    "Failure": "asr.transcription.result",
    "Recognizer": "asr.transcription.recognizer",
    "Request": "asr.transcription.reader",
    "Segment": "asr.transcription.result",
    "Transcript": "asr.transcription.result",
    "Word": "asr.transcription.result",
    "adapt": "asr.transcription.adaptation",
    "load_model": "asr.transcription.recognizer",
    "score": "asr.scoring",
}
__all__ = ["__version__", *_LAZY]


if not TYPE_CHECKING:  # else every misspelled name would be of type Any

    def __getattr__(name: str) -> Any:
        from asr.former_names import PUBLIC

        name = PUBLIC.get(name, name)
        if name in _LAZY:
            from importlib import import_module

            return getattr(import_module(_LAZY[name]), name)
        raise AttributeError(f"module 'asr' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *_LAZY]
