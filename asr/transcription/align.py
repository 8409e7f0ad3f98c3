"""When each word of a known text is spoken: forced alignment of a whole recording."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import numpy as np

from asr.audio.source import audio_name
from asr.audio.stream import Channel
from asr.errors import DataError
from asr.model.forced_alignment import align_tokens
from asr.text.normalize import get_normalizer
from asr.transcription.confidence import word_features
from asr.transcription.reader import EndOfAudio, Request, RequestChunk, read_chunks
from asr.transcription.recognizer import Audio, Floats, Recognizer
from asr.transcription.result import Segment, Transcript
from asr.transcription.timestamps import time_words

# The lattice of steps × states that fits into memory: about half an hour of speech.
_LARGEST_LATTICE = 1_000_000_000


def align_text(recognizer: Recognizer, audio: Audio, text: str, channel: Channel = "mix") -> Transcript:
    """The words of `text` with times and confidences: a segment for each of its lines that has words.

    Words stay as they are written; numbers and the like must be spelled as they are spoken. Raises `AudioError` for
    the recording, and `DataError` for a text that has no words, letters that the model does not know, or more words
    than can be spoken in the recording's time.
    """
    name = audio_name(audio)
    lines = [line for line in (_tokens(recognizer, line) for line in text.splitlines()) if line]
    words = list(chain(*lines))
    if not words:
        raise DataError("there are no words to align")
    between = _between(recognizer, words[0])
    tokens, spans = list(words[0].tokens), [(0, len(words[0].tokens))]
    for word in words[1:]:
        tokens += between
        spans.append((len(tokens), len(tokens) + len(word.tokens)))
        tokens += word.tokens
    log_probs, seconds, end = _emissions(recognizer, Request(audio, name, channel))
    if len(log_probs) * (2 * len(tokens) + 1) > _LARGEST_LATTICE:
        raise DataError(f"{name} and its text are too long to be aligned in one go", "Cut both into parts.")
    if not len(log_probs):
        reason = "; it ".join(["no speech was found in it", *end.notices[-1:]])
        raise DataError(f"{name}: {reason}", "Look at it with `asr info`; --channel N takes one channel.")
    alignment = align_tokens(log_probs, tokens)
    if alignment is None:
        raise DataError(f"{name} is too short for {len(words)} words in {end.duration:.1f} s")
    texts = [word.text for word in words]
    features = word_features(texts, spans, alignment)
    kept = features if recognizer.keeps_features else None
    timed = time_words(texts, spans, alignment, seconds, end.duration, recognizer.confidence(features), kept)
    segments, first = [], 0
    for line in lines:
        here = timed[first : first + len(line)]
        segments.append(Segment(here[0].start, here[-1].end, " ".join(word.text for word in here), here))
        first += len(line)
    return Transcript(name, round(end.duration, 3), tuple(segments), end.notices, end.channel)


@dataclass(frozen=True)
class _Spelled:
    text: str
    normalized: str
    tokens: list[int]


def _tokens(recognizer: Recognizer, line: str) -> list[_Spelled]:
    """The words of a line with their tokens; punctuation by itself is no word."""
    normalize = get_normalizer(recognizer.model.normalizer)
    words = [(word, normalize(word)) for word in line.split()]
    return [_Spelled(word, normalized, recognizer.encode(normalized)) for word, normalized in words if normalized]


def _between(recognizer: Recognizer, word: _Spelled) -> list[int]:
    """What stands between two words: a boundary among characters and phones, nothing where pieces bear it."""
    twice = recognizer.encode(f"{word.normalized} {word.normalized}")
    return twice[len(word.tokens) : len(twice) - len(word.tokens)]


def _emissions(recognizer: Recognizer, request: Request) -> tuple[Floats, list[float], EndOfAudio]:
    """Log-probabilities (T, V) of all chunks one after the other, and the time of each step and of the end."""
    rate, step = recognizer.model.sample_rate, recognizer.model.frame_seconds
    parts: list[Floats] = []
    seconds: list[float] = []
    end = EndOfAudio(0, request.name)
    for item in read_chunks(0, request, rate, recognizer.segmentation):
        if isinstance(item, RequestChunk):
            log_probs = recognizer.emissions([item])[0]
            begin = (item.chunk.start + item.chunk.before) / rate
            parts.append(log_probs)
            seconds += [begin + number * step for number in range(len(log_probs))]
        else:
            end = item
    width = len(recognizer.vocabulary)
    return np.concatenate([np.empty((0, width), np.float32), *parts]), [*seconds, end.duration], end
