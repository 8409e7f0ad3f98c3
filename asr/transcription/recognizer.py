"""The recognizer: recordings in, transcripts out.

reader threads              this thread     worker threads
read → resample → cut   →   batch       →   features → network → search → words   →   this thread: transcripts

A worker takes a batch from its sound to its words on a core of its own: two that shared all cores, one of them in the
network and one in the search, would mostly wait for each other's threads.
"""

from __future__ import annotations

import copy
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from asr.audio.segmentation import SegmentationConfig
from asr.audio.source import AudioInput
from asr.audio.stream import Channel
from asr.corpus.dataset import pad_waveforms
from asr.decoding import Hypothesis
from asr.errors import UsageError
from asr.former_names import KEYS
from asr.lexicon.phones import VOCABULARY as PHONES
from asr.model.acoustic import AcousticModel
from asr.model.bundle import SavedModel, load_saved_model
from asr.model.forced_alignment import align_tokens
from asr.nn.machine import processors, release_unused
from asr.nn.precision import Arithmetic, chosen, int8_is_fast
from asr.nn.rnn import Recurrent
from asr.punctuation import PunctuationModel
from asr.text.case import Case
from asr.transcription.confidence import Search, load_confidence, word_features
from asr.transcription.decoder import Decode, DecodeOptions, best_path, make_decode, plan_search
from asr.transcription.punctuate import PunctuatedStream, load_punctuation_for, punctuate
from asr.transcription.reader import (
    BATCH_SECONDS,
    LARGEST_WINDOW,
    STREAM_WINDOW,
    AudioReader,
    EndOfAudio,
    Request,
    RequestChunk,
    batches,
    windows,
)
from asr.transcription.result import Failure, Segment, Transcript, Word
from asr.transcription.timestamps import spell_words, time_words, without_overlap

Floats = npt.NDArray[np.float32]
Audio = AudioInput | npt.NDArray[Any] | Iterable[npt.NDArray[Any]]
_MOST_WORKERS = 4
_WINDOWS_AT_WORK = 1


class Recognizer:
    """A model ready to transcribe. One object serves any number of recordings, and several threads at once."""

    def __init__(
        self,
        model: SavedModel,
        *,
        device: str = "auto",
        threads: int | None = None,
        precision: Arithmetic = "auto",
        segmentation: SegmentationConfig | None = None,
        phones: bool = False,
        search: Search | None = None,
    ) -> None:
        """A greedy search reads what the network writes, or its `phones`; `search` says which calibration is its."""
        # oneDNN keeps a routine, with its memory, for each shape that it meets, and every batch has another.
        os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
        self.model = model
        self.device = _device(device)
        self.segmentation = segmentation or SegmentationConfig()
        self.keeps_features = False
        """Whether words carry the features that their confidence was computed from, as calibration wants them."""
        self.precision = _chosen(precision, self.device)
        beside = "auto" if self.precision == "int8" else self.precision
        self._half = chosen(beside, self.device) == torch.bfloat16
        self._network = _in_precision(model.network.to(self.device).eval(), self.precision, self._half)
        self._threads = threads or processors()
        self._workers = min(self._threads, _MOST_WORKERS)
        self._search_with(best_path, phones, search, views=1)

    def with_search(self, search: DecodeOptions) -> Recognizer:
        """The same network, searched in another way: with other hotwords, say. Errors as in `load_model`."""
        other = copy.copy(self)
        plan = plan_search(self.model.path, search)
        decode = make_decode(self.model, plan, self._threads_each, self.precision)
        other._search_with(decode, plan.decodes_phones(self.model), plan.calibration, plan.views)
        return other

    def with_network(self, network: AcousticModel) -> Recognizer:
        """The same search of what another network of the same sizes hears."""
        other = copy.copy(self)
        other.model = replace(self.model, network=network)
        other._network = _in_precision(network.to(self.device).eval(), self.precision, self._half)
        return other

    def _search_with(self, decode: Decode, phones: bool, search: Search | None, views: int) -> None:
        self.confidence = load_confidence(self.model.path, search)
        self.decode = decode
        """From `views` of the chunks of a batch to the best hypothesis of each."""
        self._views = views
        self.reads_phones = phones
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
        return punctuate(outcome, self.punctuation if punctuation else None).in_case(case)

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
        error = None
        for item in self._recognize([request], words, largest=STREAM_WINDOW):
            if isinstance(item, _SegmentEvent):
                yield from (segment.in_case(case) for segment in stream.feed(item.segment))
            else:
                error = item.error
        yield from (segment.in_case(case) for segment in stream.finish())
        if error is not None:
            raise error

    def transcribe_many(
        self,
        requests: Iterable[Request],
        *,
        words: bool = True,
        in_order: bool = True,
        on_progress: Callable[[float], None] = lambda seconds: None,
        on_segment: Callable[[Segment], None] | None = None,
    ) -> Iterator[Transcript | Failure]:
        """Transcribe recordings together, in the model's own letter case: each outcome in the order of `requests`.

        Unless `in_order`, each outcome as soon as it is there, so that a short recording never waits for a long one. A
        recording that cannot be read is a `Failure` and stops no other. `on_progress` is told of seconds of sound that
        are done with, `on_segment` of segments as soon as they are ready.
        """
        segments: defaultdict[int, list[Segment]] = defaultdict(list)
        largest = STREAM_WINDOW if on_segment else LARGEST_WINDOW
        for item in self._recognize(requests, words, in_order, largest, on_progress):
            if isinstance(item, _SegmentEvent):
                if on_segment:
                    on_segment(item.segment)
                segments[item.request].append(item.segment)
                continue
            found = segments.pop(item.request, [])
            if item.error is not None:
                yield Failure(item.name, item.error)
            else:
                found.sort(key=lambda each: (each.start, each.channel or 0))
                yield Transcript(item.name, round(item.duration, 3), tuple(found), item.notices, item.channel)

    def emissions(self, batch: list[RequestChunk]) -> list[Floats]:
        """Natural log-probabilities (T, V) of each chunk, without the steps that belong to its neighbors.

        V counts the tokenizer's pieces, or the phones for a search that reads them.
        """
        return self.views(batch, 1)[0]

    def views(self, batch: list[RequestChunk], count: int | None = None) -> list[list[Floats]]:
        """`emissions` of each view: of the sound as it is, then a fraction of a step later each.

        A step of the network is several frames of features, and where it begins is chance: each view makes other
        mistakes. By default as many as the search reads.
        """
        waveforms, lengths = pad_waveforms([each.chunk.samples for each in batch])
        count = self._views if count is None else count
        shifts = [view * self._network.encoder.subsampling_factor // count for view in range(count)]
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=self._half)
        with torch.inference_mode(), half:
            features, frames = self._network.features(waveforms.to(self.device), lengths.to(self.device))
            # All in one batch: a recurrent step is hardly dearer for twice the rows.
            shifted = torch.cat([nn.functional.pad(features[:, shift:], (0, 0, 0, shift)) for shift in shifts])
            remaining = torch.cat([(frames - shift).clamp(1) for shift in shifts])
            log_probs, steps = self._network.recognize(shifted, remaining, self.reads_phones)
        together = np.split(log_probs.cpu().numpy(), count)
        counts = steps.view(count, -1).tolist()
        return [self._trimmed(batch, *view) for view in zip(together, counts, shifts, strict=True)]

    def _trimmed(self, batch: list[RequestChunk], log_probs: Floats, counts: list[int], shift: int) -> list[Floats]:
        """The valid steps of each chunk's own sound, of log_probs (B, T, V) that began `shift` frames late."""
        step = self.model.frame_seconds * self.model.sample_rate
        late = shift / self._network.encoder.subsampling_factor
        emissions = []
        for row, each in enumerate(batch):
            first = max(0, round(each.chunk.before / step - late))
            last = max(first, counts[row] - round(each.chunk.after / step))
            emissions.append(log_probs[row, first:last])
        return emissions

    def _recognize(
        self,
        requests: Iterable[Request],
        words: bool,
        in_order: bool = True,
        largest: float = LARGEST_WINDOW,
        on_progress: Callable[[float], None] = lambda seconds: None,
    ) -> Iterator[_SegmentEvent | EndOfAudio]:
        rate = self.model.sample_rate
        reader = AudioReader(requests, rate, self.segmentation, self._threads, in_order=in_order)
        pool = ThreadPoolExecutor(self._workers, initializer=torch.set_num_threads, initargs=(self._threads_each,))
        timeline = _Timeline(rate, on_progress)
        at_work: deque[_Window] = deque()
        try:
            for window in windows(reader, rate, largest, eager=not in_order or largest <= STREAM_WINDOW):
                if window:
                    at_work.append(self._begin(window, words, pool))
                # An empty window comes while nothing is ready to read: what is done by then need not wait.
                while at_work and (len(at_work) > _WINDOWS_AT_WORK or at_work[0].is_done()):
                    yield from timeline.follow(at_work.popleft())
                    release_unused()
            while at_work:
                yield from timeline.follow(at_work.popleft())
        finally:
            reader.close()
            pool.shutdown(cancel_futures=True)

    @property
    def _threads_each(self) -> int:
        """Of the network, in each worker."""
        return max(1, self._threads // self._workers)

    def _begin(self, window: list[RequestChunk | EndOfAudio], words: bool, pool: ThreadPoolExecutor) -> _Window:
        """Hand the batches of a window to the workers, none of which shall be without."""
        rate = self.model.sample_rate
        chunks = [item for item in window if isinstance(item, RequestChunk)]
        share = sum(len(each.chunk.samples) for each in chunks) / rate / self._workers
        seconds = min(BATCH_SECONDS, max(share, BATCH_SECONDS / 4))
        batched = list(batches(chunks, rate, seconds))

        def work(batch: list[RequestChunk]) -> list[Segment | None]:
            return self.search(batch, self.views(batch), words)

        return _Window(window, batched, [pool.submit(work, batch) for batch in batched])

    def search(self, batch: list[RequestChunk], views: list[list[Floats]], words: bool) -> list[Segment | None]:
        """What is said in each chunk of a batch, given its `views`; None where nothing is.

        The first view says when.
        """
        hypotheses = self.decode(views, words)
        return [self._segment(*each, words) for each in zip(batch, hypotheses, views[0], strict=True)]

    def _segment(self, part: RequestChunk, hypothesis: Hypothesis, emissions: Floats, words: bool) -> Segment | None:
        text = hypothesis.text if self.reads_phones else self.model.tokenizer.decode(hypothesis.tokens)
        if not text:
            return None
        chunk, rate = part.chunk, self.model.sample_rate
        begin = (chunk.start + chunk.before) / rate
        end = (chunk.start + len(chunk.samples) - chunk.after) / rate
        alignment = align_tokens(emissions, hypothesis.tokens) if words else None
        timed: tuple[Word, ...] = ()
        if alignment is not None:
            texts, spans = spell_words(hypothesis.tokens, self.vocabulary)
            texts = text.split() if self.reads_phones else texts
            seconds = (begin + np.arange(len(emissions) + 1) * self.model.frame_seconds).tolist()
            features = word_features(texts, spans, alignment, hypothesis.posteriors)
            kept = features if self.keeps_features else None
            timed = time_words(texts, spans, alignment, seconds, end, self.confidence(features), kept)
            begin, end = timed[0].start, timed[-1].end
        return Segment(round(begin, 3), round(end, 3), text, timed, part.channel)


@dataclass(frozen=True)
class _SegmentEvent:
    request: int
    segment: Segment


@dataclass(frozen=True)
class _Window:
    """Chunks in order, the batches that they were put into, and what the workers make of these."""

    items: list[RequestChunk | EndOfAudio]
    batches: list[list[RequestChunk]]
    work: list[Future[list[Segment | None]]]

    def is_done(self) -> bool:
        return all(each.done() for each in self.work)


class _Timeline:
    """How far each recording has come: segments do not overlap, and progress is told in seconds of sound."""

    def __init__(self, sample_rate: int, on_progress: Callable[[float], None]) -> None:
        self._rate = sample_rate
        self._on_progress = on_progress
        self._ends: dict[int, dict[int | None, float]] = {}  # of what has been said in each channel
        self._reached: dict[int, float] = {}

    def follow(self, window: _Window) -> Iterator[_SegmentEvent | EndOfAudio]:
        """The segments and ends of a window, once they are there."""
        segments = {
            id(each): segment
            for batch, work in zip(window.batches, window.work, strict=True)
            for each, segment in zip(batch, work.result(), strict=True)
        }
        for item in window.items:
            if isinstance(item, EndOfAudio):
                self._advance(item.request, item.duration)
                self._ends.pop(item.request, None)
                self._reached.pop(item.request, None)
                yield item
                continue
            self._advance(item.request, (item.chunk.start + len(item.chunk.samples)) / self._rate)
            if (segment := segments[id(item)]) is not None:
                ends = self._ends.setdefault(item.request, {})
                segment = without_overlap(segment, ends.get(segment.channel, 0.0))
                ends[segment.channel] = segment.end
                yield _SegmentEvent(item.request, segment)

    def _advance(self, request: int, seconds: float) -> None:
        before = self._reached.get(request, 0.0)
        if seconds > before:
            self._reached[request] = seconds
            self._on_progress(seconds - before)


def _chosen(precision: Arithmetic, device: torch.device) -> Literal["float32", "bfloat16", "int8"]:
    if precision not in get_args(Arithmetic):
        hint = "Leave it out: auto takes what is the fastest on this processor."
        raise UsageError(f"precision must be auto, float32, bfloat16 or int8, not {precision!r}", hint)
    if precision == "int8" and not int8_is_fast(device):
        raise UsageError("int8 is for processors that were built for it (VNNI)", "Leave the precision out.")
    if precision == "int8" or (precision == "auto" and int8_is_fast(device)):
        return "int8"
    return "bfloat16" if chosen(precision, device) == torch.bfloat16 else "float32"


def _in_precision(
    network: AcousticModel, precision: Literal["float32", "bfloat16", "int8"], half: bool
) -> AcousticModel:
    """The network, or a copy whose products find their weights as they take them: autocast would convert them anew.

    Where the recurrent layers multiply whole numbers, the other products are in bfloat16 if `half`.
    """
    if precision == "float32":
        return network
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d) and half:
            module.to(torch.bfloat16)
        elif isinstance(module, Recurrent):
            module.quantize() if precision == "int8" else module.pack(torch.bfloat16)
    return network


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
    precision: Arithmetic = "auto",
    search: DecodeOptions | None = None,
    **options: Any,
) -> Recognizer:
    """A `Recognizer` from a model folder; None and "default" name the bundled model.

    `device` is "auto", "cpu" or "cuda"; `threads` bounds the processor threads of the network and the readers.
    `precision` is that of the network: "float32", where a recording's neighbors in a batch change nothing, or
    "bfloat16" or "int8" (of the recurrent layers), which now and then choose another word and are several times as fast
    where the processor was built for them; "auto", the default, takes the fastest. `search` says how to search, or its
    fields do one by one: `load_model(beam_size=50, hotwords=["GRYFFINDOR=8"])`.
    Raises `ModelError` when the folder is missing or damaged, `UsageError` for what is not to be had.
    """
    options = {KEYS.get(name, name): value for name, value in options.items()}
    try:
        search = replace(search or DecodeOptions(), **options)
    except TypeError as error:
        known = ", ".join(field.name for field in fields(DecodeOptions))
        raise UsageError(f"load_model was asked for {', '.join(options)}", f"It knows {known}.") from error
    model = _load(name_or_path, threads)
    return Recognizer(model, device=device, threads=threads, precision=precision).with_search(search)


def load_acoustic_model(
    name_or_path: Path | str | None = None, *, device: str = "auto", threads: int | None = None
) -> Recognizer:
    """A `Recognizer` for emissions alone, of phones where the model has them, and not for words.

    Nothing that only a search needs is loaded. Arguments and errors as in `load_model`.
    """
    model = _load(name_or_path, threads)
    phones = model.lexicon is not None
    return Recognizer(model, device=device, threads=threads, precision="float32", phones=phones, search="align")


def _load(name_or_path: Path | str | None, threads: int | None) -> SavedModel:
    if threads is not None:
        if threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        torch.set_num_threads(threads)
    return load_saved_model(name_or_path)
