"""OpenAI's audio API: the fields of a request, checked, and transcripts in the shapes of its answers.

Text and subtitles come from the writers that every command uses.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from typing import Any, Literal, get_args

from asr.serve.problems import ApiError
from asr.serve.upload import Upload
from asr.transcription.result import Segment, Transcript, Word

ResponseFormat = Literal["json", "text", "srt", "vtt", "verbose_json"]
ALIASES = ("default", "whisper-1")
"""Names of the model that every server answers to: its own, and the one that many clients cannot be told to change."""


@dataclass(frozen=True)
class Wanted:
    """What a client asked for."""

    response_format: ResponseFormat = "json"
    words: bool = False
    segments: bool = True
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    stream: bool = False


def read_fields(upload: Upload, model: str) -> Wanted:
    """The fields of a form for a server of `model`. Raises `ApiError` for those that ask for what there is not."""
    if upload.file_name is None:
        raise ApiError(400, "the form has no part `file`; send the recording as one", "missing_file", "file")
    check_model(_one(upload, "model", model), model)
    _check_language(_one(upload, "language", "en"))
    _check_temperature(_one(upload, "temperature", "0"))
    form = _one(upload, "response_format", "json")
    if form not in get_args(ResponseFormat):
        known = ", ".join(get_args(ResponseFormat))
        raise _refused("response_format", f"response_format must be one of {known}, not {form[:60]!r}")
    granularities = set(_all(upload, "timestamp_granularities"))
    if strangers := granularities - {"word", "segment"}:
        name = sorted(strangers)[0]
        raise _refused("timestamp_granularities", f"timestamp_granularities are word and segment, not {name[:60]!r}")
    stream = _is_true(_one(upload, "stream", "false"))
    if granularities and form != "verbose_json":
        raise _refused("timestamp_granularities", "timestamp_granularities need response_format=verbose_json")
    if stream and form in ("srt", "vtt"):
        raise _refused("stream", f"{form} is not streamed: a subtitle depends on the next; leave stream out")
    return Wanted(
        form,  # type: ignore[arg-type]
        "word" in granularities,
        "segment" in granularities or not granularities,
        _one(upload, "prompt", ""),
        tuple(_all(upload, "keywords")),
        stream,
    )


def _one(upload: Upload, name: str, default: str) -> str:
    values = upload.fields.get(name, [default])
    if len(values) > 1:
        raise _refused(name, f"the field {name} is given {len(values)} times; give it once")
    return values[0].strip() or default


def _all(upload: Upload, name: str) -> list[str]:
    """A field that may be given several times, with or without the brackets that OpenAI's clients write."""
    return [*upload.fields.get(name, []), *upload.fields.get(f"{name}[]", [])]


def check_model(name: str, model: str) -> None:
    """Raise `ApiError` unless a server of `model` answers to `name`."""
    if name not in (model, *ALIASES):
        raise ApiError(
            404,
            f"the model {name[:60]!r} is not served here; use {model!r}, or see /v1/models",
            "model_not_found",
            "model",
        )


def _check_language(name: str) -> None:
    if name.lower().replace("_", "-").split("-")[0] not in ("en", "english"):
        text = f"the language {name[:60]!r} is not known to this model, which hears English; leave it out, or say en"
        raise ApiError(400, text, "unsupported_language", "language")


def _check_temperature(text: str) -> None:
    """It changes nothing, because the search draws no lots, but nonsense is refused."""
    try:
        good = 0 <= float(text) <= 1
    except ValueError:
        good = False
    if not good:
        raise _refused("temperature", f"temperature must be a number from 0 to 1, not {text[:60]!r}")


def _is_true(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise _refused("stream", f"stream must be true or false, not {text[:60]!r}")
    return text.lower() in ("true", "1")


def _refused(param: str, message: str) -> ApiError:
    return ApiError(400, message, "invalid_value", param)


TEXT_FORMATS = {
    "text": ("txt", "text/plain; charset=utf-8"),
    "srt": ("srt", "application/x-subrip; charset=utf-8"),
    "vtt": ("vtt", "text/vtt; charset=utf-8"),
}
"""Of each response format that is no JSON: who writes it, and its media type."""


def as_json(transcript: Transcript, wanted: Wanted) -> dict[str, Any]:
    """A transcript as json or verbose_json."""
    usage = {"type": "duration", "seconds": math.ceil(transcript.duration)}
    if wanted.response_format == "json":
        return {"text": transcript.text, "usage": usage}
    answer: dict[str, Any] = {
        "task": "transcribe",
        "language": "english",
        "duration": transcript.duration,
        "text": transcript.text,
    }
    if wanted.segments:
        answer["segments"] = [segment_record(number, segment) for number, segment in enumerate(transcript.segments)]
    if wanted.words:
        answer["words"] = [word_record(word) for word in transcript.words]
    return answer | {"usage": usage, "notices": list(transcript.notices)}


def segment_record(number: int, segment: Segment) -> dict[str, Any]:
    """A segment with the fields that OpenAI's has.

    `avg_logprob` is the mean of the words' log confidences; `compression_ratio` is computed as whisper does. There are
    no tokens to tell, the search is not random, and a segment is where speech is.
    """
    data = segment.text.encode()
    logs = [math.log(max(word.confidence, 1e-4)) for word in segment.words]
    return {
        "id": number,
        "seek": round(segment.start * 100),
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(sum(logs) / len(logs), 4) if logs else 0.0,
        "compression_ratio": round(len(data) / len(zlib.compress(data)), 4),
        "no_speech_prob": 0.0,
    }


def word_record(word: Word) -> dict[str, Any]:
    """A word with the fields that OpenAI's has, and how sure the recognizer is of it."""
    return {"word": word.text, "start": word.start, "end": word.end, "confidence": word.confidence}


def delta_event(number: int, segment: Segment, wanted: Wanted) -> bytes:
    """The server-sent event of one more segment; for verbose_json the segment comes with it."""
    event: dict[str, Any] = {"type": "transcript.text.delta", "delta": f" {segment.text}" if number else segment.text}
    if wanted.response_format == "verbose_json":
        event["segment"] = segment_record(number, segment) | {"words": [word_record(word) for word in segment.words]}
    return event_bytes(event)


def done_event(transcript: Transcript, wanted: Wanted) -> bytes:
    """The last server-sent event, with the whole text."""
    event: dict[str, Any] = {"type": "transcript.text.done", "text": transcript.text}
    if wanted.response_format == "verbose_json":
        event |= {"duration": transcript.duration, "notices": list(transcript.notices)}
    return event_bytes(event)


def event_bytes(data: dict[str, Any]) -> bytes:
    """A server-sent event of JSON on one line."""
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def live_segment(number: int, segment: Segment, provisional: bool = False) -> dict[str, Any]:
    """A live segment as a message; a provisional one has the number of the segment that it may become."""
    return {
        "type": "provisional" if provisional else "segment",
        "id": number,
        "start": segment.start,
        "end": segment.end,
        "text": segment.text,
        "words": [word_record(word) for word in segment.words],
    }
