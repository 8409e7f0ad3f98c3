"""The recognizer: recordings in, transcripts out.

reader threads              this thread             decoder thread
read → resample → cut   →   batch → network     →   search → words   →   transcripts, in the order of the input
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from copy import copy
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from asr.audio.segmentation import SegmentationConfig
from asr.audio.source import AudioInput
from asr.audio.stream import Channel
from asr.decoding import Hypothesis
from asr.errors import UsageError
from asr.former_names import KEYS
from asr.lexicon.phones import VOCABULARY as PHONES
from asr.model.acoustic import AcousticModel
from asr.model.bundle import SavedModel, load_saved_model
from asr.model.forced_alignment import TokenAlignment, align_tokens
from asr.punctuation.model import PunctuationModel
from asr.text.case import Case
from asr.transcription.batching import batches, windows
from asr.transcription.confidence import Search, load_confidence, word_features
from asr.transcription.decoder import Decode, DecodeOptions, best_path, calibrated_search, decodes_phones, make_decode
from asr.transcription.punctuate import PunctuatedStream, load_punctuation_for, punctuate
from asr.transcription.reader import AudioReader, EndOfAudio, Request, RequestChunk
from asr.transcription.result import Failure, Segment, Transcript, Word
from asr.transcription.timestamps import keep_apart, spell_words, time_words

Floats = npt.NDArray[np.float32]
Audio = AudioInput | npt.NDArray[Any] | Iterable[npt.NDArray[Any]]
Precision = Literal["float32", "bfloat16", "int8"]
"""Arithmetic of the network."""


@dataclass
class StageTimes:
    """Seconds spent since loading: processor time of the readers, and by the clock what follows them."""

    reading: float = 0.0
    segmentation: float = 0.0
    features: float = 0.0
    network: float = 0.0
    search: float = 0.0
    words: float = 0.0


class Recognizer:
    """A model ready to transcribe. One object serves any number of recordings, and several threads at once."""

    def __init__(
        self,
        model: SavedModel,
        *,
        device: str = "auto",
        threads: int | None = None,
        decode: Decode = best_path,
        precision: Precision = "float32",
        segmentation: SegmentationConfig | None = None,
        phones: bool = False,
        search: Search | None = None,
    ) -> None:
        """`phones` says that `decode` reads phones and spells words with them, `search` which calibration is its."""
        self.model = model
        self.device = _device(device)
        self.segmentation = segmentation or SegmentationConfig()
        self.keeps_features = False
        """Whether words carry the features that their confidence was computed from, as calibration wants them."""
        self.times = StageTimes()
        self._precision = precision
        self._network = _in_precision(model.network.to(self.device).eval(), precision)
        self._threads = threads or os.cpu_count() or 1
        self._search_with(decode, phones, search)

    def with_search(self, search: DecodeOptions) -> Recognizer:
        """The same network, searched in another way: with other hotwords, say. Errors as in `load_model`."""
        other = copy(self)
        decode, phones = make_decode(self.model, search, self._threads), decodes_phones(self.model, search)
        other._search_with(decode, phones, calibrated_search(self.model.path, search))
        return other

    def _search_with(self, decode: Decode, phones: bool, search: Search | None) -> None:
        self.confidence = load_confidence(self.model.path, search)
        self._decode = decode
        self._phones = phones
        speech = self.model.lexicon if phones else None
        self.vocabulary = PHONES if phones else self.model.tokenizer.vocabulary
        self.encode = speech.encode if speech else self.model.tokenizer.encode
        """Text to the ids in `vocabulary` of what is heard when it is spoken."""

    @cached_property
    def punctuation(self) -> PunctuationModel | None:
        """What gives transcripts punctuation and capitals, loaded when first asked for; None where there is none."""
        return load_punctuation_for(self.model.path)

    def transcribe(
        self,
        audio: Audio,
        *,
        sample_rate: int | None = None,
        channel: Channel = "mix",
        case: Case = "sentence",
        words: bool = True,
        punctuation: bool = True,
    ) -> Transcript:
        """Transcribe a path, the bytes of a file, a binary file object, or samples at `sample_rate` Hz (see `Request`).

        Without `sample_rate`, samples are taken to be at the model's. `channel` counts from 1, or is "mix" or
        "split"; `case` is the letter case of the text; `words` asks for times and confidences; `punctuation` for
        punctuation and capitals, beside which words and segments keep what was recognized in `raw`.
        Raises `AudioError` naming a recording that cannot be read.
        """
        request = Request(audio, channel=channel, sample_rate=sample_rate)
        (outcome,) = self.transcribe_many([request], words=words)
        if isinstance(outcome, Failure):
            raise outcome.error
        model = self.punctuation if punctuation else None
        return (punctuate(outcome, model) if model else outcome).in_case(case)

    def stream(
        self,
        audio: Audio,
        *,
        sample_rate: int | None = None,
        channel: Channel = "mix",
        case: Case = "sentence",
        words: bool = True,
        punctuation: bool = True,
    ) -> Iterator[Segment]:
        """The segments of one recording, however long, as they are ready; arguments and errors as in `transcribe`.

        With punctuation a segment is held back until a few words of the next ones are known.
        """
        request = Request(audio, channel=channel, sample_rate=sample_rate)
        stream = PunctuatedStream(self.punctuation if punctuation else None)
        for item in self._recognize([request], words):
            if isinstance(item, _SegmentEvent):
                yield from (segment.in_case(case) for segment in stream.feed(item.segment))
            elif item.error is not None:
                raise item.error
        yield from (segment.in_case(case) for segment in stream.finish())

    def transcribe_many(
        self,
        requests: Iterable[Request],
        *,
        words: bool = True,
    ) -> Iterator[Transcript | Failure]:
        """Transcribe recordings together, in the model's own letter case: each outcome in the order of `requests`.

        A recording that cannot be read is a `Failure` and stops no other.
        """
        segments: list[Segment] = []
        for item in self._recognize(requests, words):
            if isinstance(item, _SegmentEvent):
                segments.append(item.segment)
                continue
            if item.error is not None:
                yield Failure(item.name, item.error)
            else:
                segments.sort(key=lambda each: (each.start, each.channel or 0))
                yield Transcript(item.name, round(item.duration, 3), tuple(segments), item.notices, item.channel)
            segments = []

    def emissions(self, batch: list[RequestChunk]) -> list[Floats]:
        """Natural log-probabilities (T, V) of each chunk, without the steps that belong to its neighbors.

        V counts the tokenizer's chunks, or the phones for a search that reads them.
        """
        signals = [each.chunk.samples for each in batch]
        lengths = torch.tensor([len(signal) for signal in signals])
        waveforms = torch.zeros(len(signals), int(lengths.max()))
        for row, signal in enumerate(signals):
            waveforms[row, : len(signal)] = torch.from_numpy(signal)
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self._precision == "bfloat16")
        began = perf_counter()
        with torch.inference_mode(), half:
            features, frames = self._network.features(waveforms.to(self.device), lengths.to(self.device))
            extracted = perf_counter()
            log_probs, steps = self._network.recognize(features, frames, self._phones)
        together, counts = log_probs.cpu().numpy(), steps.tolist()
        self.times.features += extracted - began
        self.times.network += perf_counter() - extracted
        step = self.model.frame_seconds * self.model.sample_rate
        emissions = []
        for row, each in enumerate(batch):
            first = round(each.chunk.before / step)
            last = max(first, counts[row] - round(each.chunk.after / step))
            emissions.append(together[row, first:last])
        return emissions

    def _recognize(self, requests: Iterable[Request], words: bool) -> Iterator[_SegmentEvent | EndOfAudio]:
        reader = AudioReader(requests, self.model.sample_rate, self.segmentation, self._threads)
        with closing(reader), ThreadPoolExecutor(1) as search_thread:
            ends: dict[int | None, float] = {}  # of what has been said in each channel of the recording at hand
            for window in windows(reader, self.model.sample_rate):
                for item in self._recognize_window(window, words, search_thread):
                    if isinstance(item, EndOfAudio):
                        ends = {}
                    else:
                        said_until = ends.get(item.segment.channel, 0.0)
                        item = _SegmentEvent(item.request, without_overlap(item.segment, said_until))
                        ends[item.segment.channel] = item.segment.end
                    yield item
            self.times.reading += reader.clock.reading
            self.times.segmentation += reader.clock.segmentation

    def _recognize_window(
        self,
        window: list[RequestChunk | EndOfAudio],
        words: bool,
        search_thread: ThreadPoolExecutor,
    ) -> Iterator[_SegmentEvent | EndOfAudio]:
        """The network runs on one batch while the search is at work on the one before."""
        rate = self.model.sample_rate
        pending: list[tuple[list[RequestChunk], Future[list[Segment | None]]]] = []
        for batch in batches([item for item in window if isinstance(item, RequestChunk)], rate):
            pending.append((batch, search_thread.submit(self.search, batch, self.emissions(batch), words)))
        segments = {
            id(each): segment for batch, search in pending for each, segment in zip(batch, search.result(), strict=True)
        }
        for item in window:
            if isinstance(item, EndOfAudio):
                yield item
            elif (segment := segments[id(item)]) is not None:
                yield _SegmentEvent(item.request, segment)

    def search(self, batch: list[RequestChunk], emissions: list[Floats], words: bool) -> list[Segment | None]:
        """What is said in each chunk of a batch, given its `emissions`; None where nothing is."""
        began = perf_counter()
        steps = [len(log_probs) for log_probs in emissions]
        padded = np.zeros((len(emissions), max(steps), emissions[0].shape[1]), dtype=np.float32)
        for row, log_probs in enumerate(emissions):
            padded[row, : len(log_probs)] = log_probs
        hypotheses = self._decode(padded, steps, posteriors=words)
        searched = perf_counter()
        alignments = align_tokens(padded, steps, [hypothesis.tokens for hypothesis in hypotheses]) if words else None
        segments = [
            self._segment(each, hypotheses[row], steps[row], alignments[row] if alignments else None)
            for row, each in enumerate(batch)
        ]
        self.times.search += searched - began
        self.times.words += perf_counter() - searched
        return segments

    def _segment(
        self, part: RequestChunk, hypothesis: Hypothesis, steps: int, alignment: TokenAlignment | None
    ) -> Segment | None:
        text = hypothesis.text if self._phones else self.model.tokenizer.decode(hypothesis.tokens)
        if not text:
            return None
        chunk, rate = part.chunk, self.model.sample_rate
        begin = (chunk.start + chunk.before) / rate
        end = (chunk.start + len(chunk.samples) - chunk.after) / rate
        words: tuple[Word, ...] = ()
        if alignment is not None:
            texts, spans = spell_words(hypothesis.tokens, self.vocabulary)
            texts = text.split() if self._phones else texts
            seconds = [begin + step * self.model.frame_seconds for step in range(steps + 1)]
            confidence = self.confidence(texts, spans, alignment, hypothesis.posteriors)
            features = word_features(texts, spans, alignment, hypothesis.posteriors) if self.keeps_features else None
            words = time_words(texts, spans, alignment, seconds, end, confidence, features)
            begin, end = words[0].start, words[-1].end
        return Segment(round(begin, 3), round(end, 3), text, words, part.channel)


@dataclass(frozen=True)
class _SegmentEvent:
    request: int
    segment: Segment


def without_overlap(segment: Segment, now: float) -> Segment:
    """The segment without overlap with what ended `now`."""
    if segment.start >= now:
        return segment
    words = keep_apart(segment.words, now)
    return replace(segment, start=now, end=words[-1].end if words else max(now, segment.end), words=words)


def _in_precision(network: AcousticModel, precision: Precision) -> AcousticModel:
    if precision not in ("float32", "bfloat16", "int8"):
        raise UsageError(f"precision must be float32, bfloat16 or int8, not {precision!r}")
    if precision != "int8":
        return network
    if next(network.parameters()).is_cuda:
        raise UsageError("int8 is for CPUs only", "Use --precision bfloat16.")
    from asr.model.quantized import quantize

    return quantize(network)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda"):
        raise UsageError(f"device must be auto, cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here", "Use --device cpu.")
    return torch.device(name)


def load_model(
    name_or_path: Path | str | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    precision: Precision = "float32",
    search: DecodeOptions | None = None,
    **options: Any,
) -> Recognizer:
    """A `Recognizer` from a model folder; None and "default" name the bundled model.

    `device` is "auto", "cpu" or "cuda"; `threads` bounds the processor threads of the network and the readers.
    `precision` is that of the network: "float32", where a recording's neighbors in a batch change nothing, or
    "bfloat16" or (on a CPU) "int8", which are faster and in rare cases choose another word. `search`
    says how to search, or its fields do one by one: `load_model(beam_size=50, hotwords=["GRYFFINDOR=8"])`.
    Raises `ModelError` when the folder is missing or damaged, `UsageError` for what is not to be had.
    """
    options = {KEYS.get(name, name): value for name, value in options.items()}
    try:
        search = replace(search or DecodeOptions(), **options)
    except TypeError as error:
        known = ", ".join(field.name for field in fields(DecodeOptions))
        raise UsageError(f"load_model was asked for {', '.join(options)}", f"It knows {known}.") from error
    model = _load(name_or_path, threads)
    decode = make_decode(model, search, threads)
    phones = decodes_phones(model, search)
    kind = calibrated_search(model.path, search)
    return Recognizer(
        model, device=device, threads=threads, decode=decode, precision=precision, phones=phones, search=kind
    )


def load_acoustic_model(
    name_or_path: Path | str | None = None, *, device: str = "auto", threads: int | None = None
) -> Recognizer:
    """A `Recognizer` for emissions alone, of phones where the model has them, and not for words.

    Nothing that only a search needs is loaded. Arguments and errors as in `load_model`.
    """
    model = _load(name_or_path, threads)
    return Recognizer(model, device=device, threads=threads, phones=model.lexicon is not None, search="align")


def _load(name_or_path: Path | str | None, threads: int | None) -> SavedModel:
    if threads is not None:
        torch.set_num_threads(threads)
    return load_saved_model(name_or_path)
