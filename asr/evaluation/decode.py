"""What a recognizer makes of a manifest, computed once and kept: its texts, and the emissions behind them.

Of texts, every finished utterance is a line of `hypotheses.part.jsonl`, whose first line says what made it (model,
data, decoding). A run that finds such a file made in the same way takes its lines over; any other is begun anew.
Emissions are kept as a whole, for tuning, which decodes them again and again.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from asr.audio.stream import probe_audio, read_audio
from asr.corpus.manifest import Utterance, read_manifest
from asr.errors import AsrError, AudioError
from asr.io import fingerprint_files, write_whole
from asr.transcription.adaptation import adapt, spread
from asr.transcription.reader import AudioReader, EndOfAudio, Request, RequestChunk, batches, windows
from asr.transcription.recognizer import Recognizer
from asr.transcription.result import Failure

PART = "hypotheses.part.jsonl"
Floats = npt.NDArray[np.float32]


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
    header = json.dumps(made_by, sort_keys=True).encode() + b"\n"
    texts: dict[str, Decoded] = {}
    part.parent.mkdir(parents=True, exist_ok=True)
    data = part.read_bytes() if part.exists() else b""
    if not data.startswith(header):
        part.write_bytes(header)
        return texts
    whole = len(header)
    for line in data[whole:].split(b"\n")[:-1]:  # what follows the last line feed was cut short
        try:
            decoded = Decoded(**json.loads(line))
        except (ValueError, TypeError):  # written by another version, or not at all when the power failed
            break
        texts[decoded.id] = decoded
        whole += len(line) + 1
    os.truncate(part, whole)
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

    Raises `AudioError` for a recording that cannot be opened, or has no sound where the utterance is to be.
    """
    if not utterance.offset and probe_audio(utterance.audio).duration <= utterance.duration + _SLACK:
        return Request(utterance.audio, utterance.id)
    samples = read_audio(utterance.audio, sample_rate, offset=utterance.offset, duration=utterance.duration)
    if not len(samples):
        raise AudioError(f"{utterance.audio} has no sound of {utterance.duration:g} s from {utterance.offset:g} s on")
    return Request(samples, utterance.id, sample_rate=sample_rate)


@dataclass(frozen=True)
class Example:
    """One utterance: emissions, log-probabilities `(T, V)` of its chunks in turn, and its reference."""

    reference: str
    chunks: tuple[Floats, ...]


def manifest_emissions(
    recognizer: Recognizer, manifest: Path, cache: Path, on_progress: Callable[[int], None] = lambda count: None
) -> list[Example]:
    """Run the network over `manifest`, or read what an earlier call with the same weights and manifest kept in `cache`.

    The file keeps half precision, half a kilobyte a step at 256 pieces. `on_progress` is told of utterances done with.
    Raises `AsrError` naming a recording that cannot be read: without it the search would be tuned to a deaf network.
    """
    utterances = read_manifest(manifest)
    key = f"{fingerprint_files(*recognizer.model.folder.acoustic_files(), manifest)} of {len(recognizer.vocabulary)}"
    kept = _read(cache, key)
    if kept is None:
        kept = _compute(recognizer, utterances, on_progress)
        _write(cache, key, kept)
    return [Example(utterance.text, tuple(chunks)) for utterance, chunks in zip(utterances, kept, strict=True)]


def evenly(examples: Sequence[Example], count: int) -> list[Example]:
    """`count` of them from everywhere, the first among them; all where there are not as many."""
    count = min(count, len(examples))
    return [examples[place * len(examples) // count] for place in range(count)]


def _compute(
    recognizer: Recognizer, utterances: Sequence[Utterance], on_progress: Callable[[int], None]
) -> list[list[Floats]]:
    """The chunks of each utterance, cut as `asr evaluate` cuts them, as precise as they are kept."""
    chunks: list[list[tuple[int, Floats]]] = [[] for _ in utterances]
    rate = recognizer.model.sample_rate
    reader = AudioReader((request_of(utterance, rate) for utterance in utterances), rate, recognizer.segmentation)
    try:
        for window in windows(reader, rate):
            ends = [item for item in window if isinstance(item, EndOfAudio)]
            for end in ends:
                if end.error is not None:
                    raise end.error
            for batch in batches([item for item in window if isinstance(item, RequestChunk)], rate):
                for item, log_probs in zip(batch, recognizer.emissions(batch), strict=True):
                    chunks[item.request].append((item.chunk.start, log_probs.astype(np.float16).astype(np.float32)))
            on_progress(len(ends))
    finally:
        reader.close()
    return [[log_probs for _, log_probs in sorted(found, key=lambda pair: pair[0])] for found in chunks]


def _write(cache: Path, key: str, chunks: list[list[Floats]]) -> None:
    everything = [chunk for each in chunks for chunk in each]
    with write_whole(cache, "wb") as file:
        np.savez(
            file,
            key=np.array(key),
            log_probs=np.concatenate(everything).astype(np.float16) if everything else np.zeros((0, 0), np.float16),
            frames=np.array([len(chunk) for chunk in everything], np.int64),
            chunks=np.array([len(each) for each in chunks], np.int64),
        )


def _read(cache: Path, key: str) -> list[list[Floats]] | None:
    """What was written under `key`; None where nothing was, or it is torn."""
    try:
        with np.load(cache, allow_pickle=False) as kept:
            if str(kept["key"]) != key:
                return None
            log_probs = kept["log_probs"].astype(np.float32)
            edges, groups = ([0, *kept[name].cumsum().tolist()] for name in ("frames", "chunks"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    chunks = [log_probs[start:end] for start, end in pairwise(edges)]
    return [chunks[start:end] for start, end in pairwise(groups)]
