"""Cut a stream of sound at its pauses into chunks that a network can take, in constant memory.

The cutter knows energy only: a frame is speech when it rises clearly above the quietest part of its surroundings.
A chunk ends in a long enough pause; where none is within reach, at the quietest point, and then both sides get some
sound from beyond the cut as context.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asr.audio.source import Samples
from asr.audio.stream import SILENCE

FRAME = 0.01
"""Seconds over which a level is measured."""
SILENCE_DB = float(20 * np.log10(SILENCE))

_REACH = 1.4
"""Of the longest chunk: how far is read before the first one is cut; who waits for the words waits for that."""


@dataclass(frozen=True)
class SegmentationConfig:
    """Lengths in seconds."""

    max_chunk_s: float = 20.0
    """No chunk is longer (context not counted); a recording up to this length is left in one chunk."""
    min_chunk_s: float = 4.0
    """A pause ends a chunk only when the chunk is this long …"""
    min_silence_s: float = 0.5
    """… and the pause lasts this long,"""
    long_silence_s: float = 2.0
    """or lasts this long, however short the chunk is."""
    padding_s: float = 0.25
    """Silence left before and behind the speech of a chunk."""
    context_s: float = 0.5
    """Sound from beyond a cut that is not in a pause."""
    speech_threshold: float = 0.25
    """Speech begins at this part of the way, in dB, from the quietest to the loudest of the surroundings."""


@dataclass(frozen=True)
class Chunk:
    """A stretch of sound: `samples` (N,) from sample `start` of the recording on.

    The first `before` and the last `after` samples belong to the neighbors and are there for context only.
    """

    start: int
    samples: Samples
    before: int = 0
    after: int = 0


def segment_at_pauses(
    blocks: Iterable[Samples], sample_rate: int, config: SegmentationConfig | None = None
) -> Iterator[Chunk]:
    """Pieces of a stream of (N,) blocks, in order. Stretches without speech are left out.

    A recording no longer than `config.max_chunk_s` comes back whole, whatever is in it.
    """
    config = config or SegmentationConfig()
    reach = round(_REACH * config.max_chunk_s * sample_rate)
    context = round(config.context_s * sample_rate)
    buffer = np.empty(0, np.float32)
    position = 0  # of buffer[0] in the recording
    begin = 0  # in the buffer: what lies before it is kept as context only
    forced = False
    source = iter(blocks)
    ended = False
    while True:
        while not ended and len(buffer) - begin < reach:
            block = next(source, None)
            ended = block is None
            if block is not None:
                buffer = np.concatenate([buffer, block])
        if position + begin == 0 and len(buffer) <= config.max_chunk_s * sample_rate:
            if len(buffer):
                yield Chunk(0, buffer)
            return
        view = buffer[begin : begin + reach]  # never more, so that the chunks do not depend on the size of the blocks
        over = begin + len(view) == len(buffer) and ended
        stretch = _first_stretch(view, sample_rate, config, continues=forced, ended=over)
        if stretch.end > stretch.start:
            before = min(context, begin) if forced and stretch.start == 0 else 0
            start, end = begin + stretch.start, begin + stretch.end
            after = min(context, len(buffer) - end) if stretch.forced else 0
            yield Chunk(position + start - before, buffer[start - before : end + after].copy(), before, after)
        forced = stretch.forced
        begin += stretch.consumed
        if ended and begin >= len(buffer):
            return
        drop = max(0, begin - context)
        buffer, position, begin = buffer[drop:], position + drop, begin - drop


@dataclass(frozen=True)
class _Stretch:
    """Sample indices of the first stretch of speech, and how much of the sound is dealt with thereby."""

    start: int
    end: int
    consumed: int
    forced: bool = False


def _first_stretch(samples: Samples, rate: int, config: SegmentationConfig, continues: bool, ended: bool) -> _Stretch:
    """The first chunk of `samples`; `continues` says that they begin in mid-speech, `ended` that nothing follows."""
    hop = round(FRAME * rate)
    level = frame_levels(samples, hop)
    speech = _speech_frames(level, config.speech_threshold)
    padding, most = round(config.padding_s / FRAME), round(config.max_chunk_s / FRAME)
    if continues:
        speech[0] = True
    if not speech.any():
        kept = 0 if ended else padding * hop
        return _Stretch(0, 0, len(samples) - kept)
    first = max(0, int(speech.argmax()) - padding)
    if not ended and first + most > len(speech):  # look again from there on, where all of a chunk can be seen
        return _Stretch(0, 0, first * hop)
    for begin, end in pauses(speech):
        length, pause = (begin - first) * FRAME, (end - begin) * FRAME
        if begin <= first:
            continue
        if begin - first + padding > most:
            break
        last = end == len(speech)
        if (
            pause >= config.long_silence_s
            or (pause >= config.min_silence_s and length >= config.min_chunk_s)
            or (last and ended)
        ):
            stop = min(begin + padding, end)
            return _Stretch(first * hop, stop * hop, len(samples) if last and ended else max(stop, end - padding) * hop)
    if ended and len(samples) - first * hop <= most * hop:
        return _Stretch(first * hop, len(samples), len(samples))
    cut = quietest(level, first + round(0.4 * most), first + most) * hop
    return _Stretch(first * hop, cut, cut, forced=True)


def frame_levels(samples: Samples, hop: int) -> npt.NDArray[np.float64]:
    """Level (T,) of each 10 ms in dBFS."""
    frames = max(1, len(samples) // hop)
    framed = np.resize(samples, frames * hop) if len(samples) < hop else samples[: frames * hop]
    power = np.square(framed.reshape(frames, -1), dtype=np.float32).mean(axis=1)
    levels: npt.NDArray[np.float64] = 10 * np.log10(np.maximum(power, 1e-12)).astype(np.float64)
    return levels


def _speech_frames(level: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.bool_]:
    """(T,), true where the level is that of speech."""
    audible = level[level > SILENCE_DB]
    if not audible.size:
        return np.zeros(len(level), dtype=np.bool_)
    floor, loud = np.percentile(audible, [5, 95])
    return np.asarray(level > max(floor + threshold * (loud - floor), SILENCE_DB))


def pauses(speech: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Begin and end of every run of frames without speech."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], speech, [True]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def quietest(level: npt.NDArray[np.float64], first: int, last: int) -> int:
    """The middle of the quietest 0.2 s of frames `first` to `last`."""
    width = 20
    power = 10 ** (level[first : last + width] / 10)
    smooth = np.convolve(power, np.ones(width), mode="valid")
    return min(first + int(smooth.argmin()) + width // 2, last)
