"""An utterance as something to transcribe: a whole recording, or a part of one."""

from __future__ import annotations

from asr.audio.probe import probe_audio
from asr.audio.read import read_audio
from asr.corpus.manifest import Utterance
from asr.transcription.listening import Job

_SLACK = 0.1
"""Seconds by which a recording may be longer than its utterance and still be all of it."""


def job_of(utterance: Utterance, sample_rate: int) -> Job:
    """What of the utterance's recording is to be read, by the recogniser as far as it is all of it.

    Raises `AudioError` for a recording that cannot be opened.
    """
    if not utterance.offset and probe_audio(utterance.audio).duration <= utterance.duration + _SLACK:
        return Job(utterance.audio, utterance.id)
    samples = read_audio(utterance.audio, sample_rate, offset=utterance.offset, duration=utterance.duration)
    return Job(samples, utterance.id, sample_rate=sample_rate)
