"""Decoding a manifest so that an interrupted run goes on where it was.

Every finished utterance is a line of `hypotheses.part.jsonl`; the first line says what made it (model, data,
decoding). A run that finds such a file made in the same way takes its lines over; any other is begun anew.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from asr.audio.read import probe_audio, read_audio
from asr.corpus.manifest import Utterance
from asr.errors import AsrError, AudioError
from asr.transcription.adaptation import adapt, spread
from asr.transcription.reader import Request
from asr.transcription.recognizer import Recognizer
from asr.transcription.result import Failure

PART = "hypotheses.part.jsonl"


@dataclass(frozen=True)
class Decoded:
    """The text of one utterance. `seconds` of sound, decoded in `took` seconds by the clock."""

    id: str
    text: str
    seconds: float
    took: float


@dataclass
class Decoding:
    """What decoding a manifest came to: texts by id, and the utterances that could not be read, with the reason."""

    texts: dict[str, Decoded] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    resumed: int = 0

    @property
    def seconds(self) -> float:
        """Seconds of sound."""
        return sum(decoded.seconds for decoded in self.texts.values())

    @property
    def took(self) -> float:
        """Seconds by the clock, over all runs that it took."""
        return sum(decoded.took for decoded in self.texts.values())

    @property
    def real_time_factor(self) -> float | None:
        """Seconds of computing per second of sound; None without any sound."""
        return self.took / self.seconds if self.seconds else None


def decode_manifest(
    recognizer: Recognizer,
    utterances: Sequence[Utterance],
    folder: Path,
    made_by: Mapping[str, Any],
    on_progress: Callable[[int], None] = lambda count: None,
    adapt: bool = False,
) -> Decoding:
    """Decode `utterances`, keeping each in `folder` as soon as it is done; `on_progress` is told how many are.

    If `adapt`, the recognizer gets used to each speaker first; utterances without a speaker are decoded as ever.
    An utterance that cannot be read stops no other and is a failure. Raises `AsrError` when `folder` cannot be
    written.
    """
    part = folder / PART
    try:
        decoding = Decoding(_resume(part, made_by))
        decoding.resumed = len(decoding.texts)
        on_progress(decoding.resumed)
        with part.open("a", encoding="utf-8") as file:
            for group in _by_speaker(utterances) if adapt else [utterances]:
                wanted = [utterance for utterance in group if utterance.id not in decoding.texts]
                voice = group if adapt and group[0].speaker is not None else ()
                for decoded in _decode(recognizer, wanted, decoding.failures, voice):
                    decoding.texts[decoded.id] = decoded
                    file.write(json.dumps(asdict(decoded), ensure_ascii=False) + "\n")
                    file.flush()
                    on_progress(1)
    except OSError as error:
        raise AsrError(
            f"cannot write {part}: {error.strerror or error}", "Free some space or choose another place."
        ) from error
    return decoding


def _resume(part: Path, made_by: Mapping[str, Any]) -> dict[str, Decoded]:
    """The utterances that an earlier run left, if it was made in the same way; else a fresh file."""
    header = json.dumps(made_by, sort_keys=True)
    texts: dict[str, Decoded] = {}
    whole = 0
    if part.exists():
        data = part.read_bytes()
        first, _, rest = data.partition(b"\n")
        if first.decode("utf-8", "replace") == header:
            whole = len(first) + 1
            for line in rest.split(b"\n")[:-1]:  # what follows the last line feed was cut short
                try:
                    decoded = Decoded(**json.loads(line))
                except (ValueError, TypeError):  # written by another version, or not at all when the power failed
                    break
                texts[decoded.id] = decoded
                whole += len(line) + 1
    part.parent.mkdir(parents=True, exist_ok=True)
    if whole:
        os.truncate(part, whole)
    else:
        part.write_text(header + "\n", encoding="utf-8")
    return texts


def _by_speaker(utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    groups: defaultdict[str | None, list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        groups[utterance.speaker].append(utterance)
    return list(groups.values())


def _decode(
    recognizer: Recognizer, utterances: Sequence[Utterance], failures: dict[str, str], voice: Sequence[Utterance]
) -> Iterator[Decoded]:
    """Decode `utterances`, after the recognizer has got used to those of `voice`, if any."""
    waiting: deque[Utterance] = deque()

    def requests() -> Iterator[Request]:
        for utterance, request in _readable(recognizer, utterances, failures):
            waiting.append(utterance)
            yield request

    began = perf_counter()
    if voice and utterances:
        recognizer = adapt(recognizer, (request for _, request in _readable(recognizer, spread(voice), failures)))
    for outcome in recognizer.transcribe_many(requests(), words=False):
        utterance = waiting.popleft()
        now = perf_counter()
        if isinstance(outcome, Failure):
            failures[utterance.id] = str(outcome.error)
        else:
            yield Decoded(utterance.id, outcome.text, outcome.duration, round(now - began, 4))
        began = now


def _readable(
    recognizer: Recognizer, utterances: Sequence[Utterance], failures: dict[str, str]
) -> Iterator[tuple[Utterance, Request]]:
    """What of each utterance is to be read; one that cannot be opened is among the failures."""
    for utterance in utterances:
        try:
            yield utterance, request_of(utterance, recognizer.model.sample_rate)
        except AudioError as error:
            failures[utterance.id] = str(error)


_SLACK = 0.1
"""Seconds by which a recording may be longer than its utterance and still be all of it."""


def request_of(utterance: Utterance, sample_rate: int) -> Request:
    """What of the utterance's recording is to be read, by the recognizer as far as it is all of it.

    Raises `AudioError` for a recording that cannot be opened.
    """
    if not utterance.offset and probe_audio(utterance.audio).duration <= utterance.duration + _SLACK:
        return Request(utterance.audio, utterance.id)
    samples = read_audio(utterance.audio, sample_rate, offset=utterance.offset, duration=utterance.duration)
    return Request(samples, utterance.id, sample_rate=sample_rate)
