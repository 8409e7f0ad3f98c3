"""OpenAI's audio API: the fields of a request, checked, and transcripts and problems in the shapes of its answers.

Text and subtitles come from the writers that every command uses.
"""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from asr.errors import AsrError, AudioError, UsageError
from asr.transcription.result import Segment, Transcript, Word

ResponseFormat = Literal["json", "text", "srt", "vtt", "verbose_json"]
ALIASES = ("default", "whisper-1")
"""Names of the model that every server answers to: its own, and the one that many clients cannot be told to change."""


@dataclass
class Upload:
    """The fields of a form by name, each with its values in order, and what the client called its file."""

    fields: dict[str, list[str]] = field(default_factory=dict)
    file_name: str | None = None


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


_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
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
    spell with its `letters` are left out, and so are very long ones, and what goes beyond fifty, from the front: the
    end of a prompt is nearest to what is said next.
    """
    known = {form for letter in letters for form in (letter, letter.lower(), letter.upper())}

    def words_of(text: str) -> list[str]:
        words = _WORD.findall(text.replace("’", "'"))
        return [word for word in words if len(word) <= _LONGEST and known.issuperset(word)]

    words = [word for word in words_of(prompt) if len(word) > 2 and word.lower() not in _COMMON]
    phrases = (" ".join(words_of(phrase)) for phrase in keywords)
    wanted = [*words, *(phrase for phrase in phrases if 0 < len(phrase) <= 2 * _LONGEST)]
    return tuple(sorted(list(dict.fromkeys(map(str.upper, wanted)))[-_MOST:]))


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


_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class ApiError(Exception):
    """A request that cannot be served: HTTP `status`, what is wrong and what to do, and the field at fault."""

    def __init__(
        self, status: int, message: str, code: str, param: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """The reason and the mend, as OpenAI's API writes them."""
        kind = _KINDS.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def response(self) -> Response:
        """The error as a response."""
        return JSONResponse(self.body(), self.status, self.headers)


def of_recording(error: AsrError, path: str, name: str) -> ApiError:
    """What ended the recording at `path`, which its owner calls `name`; the path is nobody's business.

    What is no fault of the recording or of what was asked for is the server's own.
    """
    text = (f"{error.message}. {error.hint}" if error.hint else error.message).replace(path, name)
    if isinstance(error, AudioError):
        return ApiError(400, text, "invalid_audio", "file")
    return (
        ApiError(400, text, "invalid_value") if isinstance(error, UsageError) else ApiError(500, text, "internal_error")
    )


async def handle_api_error(request: Request, error: Exception) -> Response:
    """Answer with an `ApiError`."""
    assert isinstance(error, ApiError)
    return error.response()


async def handle_http_error(request: Request, error: Exception) -> Response:
    """Answer where there is no such page, or not with such a method."""
    status = getattr(error, "status_code", 500)
    if status == 404:
        message = f"there is nothing at {request.url.path[:200]}; docs/serving.md lists what there is"
        return ApiError(404, message, "not_found").response()
    if status == 405:
        message = f"{request.url.path[:200]} does not take {request.method}"
        return ApiError(405, message, "method_not_allowed", headers=getattr(error, "headers", None)).response()
    return ApiError(status, str(getattr(error, "detail", error)), "invalid_request").response()


async def handle_fault(request: Request, error: Exception) -> Response:
    """Answer after a bug: the client learns that it was one, the log has the rest."""
    return ApiError(500, "the server made a mistake; its log tells more", "internal_error").response()
