"""The recogniser: recordings in, transcripts out.

reader threads              this thread             decoder thread
read → resample → cut   →   batch → network     →   search → words   →   transcripts, in the order of the input
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from asr.audio.cut import CutConfig
from asr.audio.source import AudioInput
from asr.audio.stream import Channel
from asr.decoding import Hypothesis, greedy
from asr.errors import UsageError
from asr.model.alignment import align_tokens
from asr.model.saved import SavedModel, load_saved_model
from asr.text.case import Case
from asr.transcription.batching import batches, windows
from asr.transcription.listening import End, Heard, Job, Listener
from asr.transcription.result import Failure, Segment, Transcript, Word
from asr.transcription.words import words_of

Floats = npt.NDArray[np.float32]
Decode = Callable[[Floats, list[int]], list[Hypothesis]]
"""From log-probabilities (B, T, V) and their lengths to the best reading of each."""
Audio = AudioInput | npt.NDArray[Any]


@dataclass
class StageTimes:
    """Seconds spent since loading: processor time of each stage's own thread (the network's may use several)."""

    reading: float = 0.0
    network: float = 0.0
    search: float = 0.0
    words: float = 0.0


def load_model(
    name_or_path: Path | str | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    decode: Decode = greedy,
) -> Recognizer:
    """A `Recognizer` from a model folder; None and "default" name the bundled model.

    `device` is "auto", "cpu" or "cuda"; `threads` bounds the processor threads of the network and the readers.
    Raises `ModelError` when the folder is missing or damaged, `UsageError` for a device that is not there.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    return Recognizer(load_saved_model(name_or_path), device=device, threads=threads, decode=decode)


class Recognizer:
    """A model ready to transcribe. One object serves any number of recordings, one call at a time."""

    def __init__(
        self,
        model: SavedModel,
        *,
        device: str = "auto",
        threads: int | None = None,
        decode: Decode = greedy,
        cutting: CutConfig | None = None,
    ) -> None:
        self.model = model
        self.device = _device(device)
        self.cutting = cutting or CutConfig()
        self.times = StageTimes()
        self._network = model.network.to(self.device).eval()
        self._threads = threads or os.cpu_count() or 1
        self._decode = decode

    def transcribe(
        self,
        audio: Audio,
        *,
        sample_rate: int | None = None,
        channel: Channel = "mix",
        case: Case = "sentence",
        words: bool = True,
    ) -> Transcript:
        """Transcribe a path, the bytes of a file, a binary file object, or samples (N,) at `sample_rate` Hz.

        Without `sample_rate`, samples are taken to be at the model's. `channel` counts from 1, or is "mix" or
        "split"; `case` is the letter case of the text; `words` asks for times and confidences.
        Raises `AudioError` naming a recording that cannot be read.
        """
        job = Job(audio, _name(audio), channel, sample_rate)
        (outcome,) = self.transcribe_many([job], words=words)
        if isinstance(outcome, Failure):
            raise outcome.error
        return outcome.in_case(case)

    def stream(
        self,
        audio: Audio,
        *,
        sample_rate: int | None = None,
        channel: Channel = "mix",
        case: Case = "sentence",
        words: bool = True,
    ) -> Iterator[Segment]:
        """The segments of one recording, however long, as they are ready; arguments and errors as in `transcribe`."""
        job = Job(audio, _name(audio), channel, sample_rate)
        for item in self._recognise([job], words):
            if isinstance(item, _Spoken):
                yield item.segment.in_case(case)
            elif item.error is not None:
                raise item.error

    def transcribe_many(
        self,
        jobs: Iterable[Job],
        *,
        words: bool = True,
        heard: Callable[[float], None] | None = None,
    ) -> Iterator[Transcript | Failure]:
        """Transcribe recordings together, in the model's own letter case: each outcome in the order of `jobs`.

        A recording that cannot be read is a `Failure` and stops no other. `heard` is told of every stretch of speech
        done with, in seconds.
        """
        segments: list[Segment] = []
        for item in self._recognise(jobs, words, heard):
            if isinstance(item, _Spoken):
                segments.append(item.segment)
                continue
            if item.error is not None:
                yield Failure(item.name, item.error)
            else:
                segments.sort(key=lambda each: (each.start, each.channel or 0))
                yield Transcript(item.name, round(item.duration, 3), tuple(segments), item.notices)
            segments = []

    def log_probabilities(self, signals: list[Floats]) -> tuple[Floats, list[int]]:
        """Natural log-probabilities (B, T, V) of signals (N,) at the model's rate, and the steps of each."""
        lengths = torch.tensor([len(signal) for signal in signals])
        waveforms = torch.zeros(len(signals), int(lengths.max()))
        for row, signal in enumerate(signals):
            waveforms[row, : len(signal)] = torch.from_numpy(signal)
        with torch.inference_mode():
            log_probs, steps = self._network(waveforms.to(self.device), lengths.to(self.device))
        return log_probs.cpu().numpy(), steps.tolist()

    def _recognise(
        self, jobs: Iterable[Job], words: bool, heard: Callable[[float], None] | None = None
    ) -> Iterator[_Spoken | End]:
        listener = Listener(jobs, self.model.sample_rate, self.cutting, self._threads)
        with closing(listener), ThreadPoolExecutor(1) as searcher:
            for window in windows(listener, self.model.sample_rate):
                yield from self._recognise_window(window, words, searcher, heard)
            self.times.reading += listener.seconds

    def _recognise_window(
        self,
        window: list[Heard | End],
        words: bool,
        searcher: ThreadPoolExecutor,
        heard: Callable[[float], None] | None,
    ) -> Iterator[_Spoken | End]:
        """The network runs on one batch while the search is at work on the one before."""
        rate = self.model.sample_rate
        pending: list[tuple[list[Heard], Future[list[Segment | None]]]] = []
        for batch in batches([item for item in window if isinstance(item, Heard)], rate):
            began = perf_counter()
            log_probs, steps = self.log_probabilities([each.piece.samples for each in batch])
            self.times.network += perf_counter() - began
            pending.append((batch, searcher.submit(self._read, batch, log_probs, steps, words)))
            if heard is not None:
                heard(sum(len(each.piece.samples) for each in batch) / rate)
        segments = {
            id(each): segment for batch, search in pending for each, segment in zip(batch, search.result(), strict=True)
        }
        for item in window:
            if isinstance(item, End):
                yield item
            elif (segment := segments[id(item)]) is not None:
                yield _Spoken(item.job, segment)

    def _read(self, batch: list[Heard], log_probs: Floats, steps: list[int], words: bool) -> list[Segment | None]:
        """Search a batch for its texts, and the texts for their words."""
        began = thread_time()
        log_probs, steps = self._without_context(batch, log_probs, steps)
        readings = self._decode(log_probs, steps)
        searched = thread_time()
        alignments = align_tokens(log_probs, steps, [reading.tokens for reading in readings]) if words else None
        segments = []
        for row, (each, reading) in enumerate(zip(batch, readings, strict=True)):
            segments.append(self._segment(each, reading, alignments[row] if alignments else None))
        self.times.search += searched - began
        self.times.words += thread_time() - searched
        return segments

    def _without_context(self, batch: list[Heard], log_probs: Floats, steps: list[int]) -> tuple[Floats, list[int]]:
        """Drop the steps that belong to a piece's neighbours: they have served the network, not the text."""
        if not any(each.piece.before or each.piece.after for each in batch):
            return log_probs, steps
        step = self.model.frame_seconds * self.model.sample_rate
        log_probs, steps = log_probs.copy(), list(steps)
        for row, each in enumerate(batch):
            first = round(each.piece.before / step)
            last = max(first, steps[row] - round(each.piece.after / step))
            log_probs[row, : last - first] = log_probs[row, first:last].copy()
            steps[row] = last - first
        return log_probs, steps

    def _segment(self, heard: Heard, reading: Hypothesis, alignment: Any) -> Segment | None:
        text = self.model.tokenizer.decode(reading.tokens)
        if not text:
            return None
        piece, rate = heard.piece, self.model.sample_rate
        begin = (piece.start + piece.before) / rate
        end = (piece.start + len(piece.samples) - piece.after) / rate
        words: tuple[Word, ...] = ()
        if alignment is not None:
            words = words_of(
                reading.tokens, self.model.tokenizer.vocabulary, alignment, self.model.frame_seconds, begin, end
            )
            begin, end = words[0].start, words[-1].end
        return Segment(round(begin, 3), round(end, 3), text, words, heard.channel)


@dataclass(frozen=True)
class _Spoken:
    job: int
    segment: Segment


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise UsageError(f"device must be auto, cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here", "Use --device cpu.")
    return torch.device(name)


def _name(audio: Audio) -> str:
    if isinstance(audio, (str, os.PathLike)):
        return os.fspath(audio)
    return "the recording" if isinstance(audio, (bytes, np.ndarray)) else str(getattr(audio, "name", "the recording"))
