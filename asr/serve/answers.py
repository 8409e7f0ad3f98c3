"""Transcripts in the shapes of OpenAI's API. Text and subtitles come from the writers that every command uses."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

from asr.serve.fields import Wanted
from asr.transcription.result import Segment, Transcript, Word
from asr.transcription.writers import render

TEXT_TYPES = {
    "text": "text/plain; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "vtt": "text/vtt; charset=utf-8",
}


def as_text(transcript: Transcript, wanted: Wanted) -> str:
    """A transcript as text, srt or vtt."""
    return render(transcript, "txt" if wanted.response_format == "text" else wanted.response_format)


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
    """A word with the fields that OpenAI's has, and how sure the recogniser is of it."""
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
