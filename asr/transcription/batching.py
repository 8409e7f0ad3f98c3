"""Pieces of like lengths, from whichever recordings, share a batch: little of the network's work goes into padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from asr.transcription.reader import EndOfAudio, RequestChunk

BATCH_SECONDS = 120.0
"""Sound in a batch, padding included: larger batches fall out of the processor's cache and are slower."""
LARGEST_WINDOW = 300.0
"""Seconds of sound among which batches of like lengths are sought."""
STREAM_WINDOW = 30.0
"""The same where somebody waits for the words."""
_SECOND_WINDOW = 8.0


def windows(
    items: Iterable[RequestChunk | EndOfAudio | None], sample_rate: int, largest: float = LARGEST_WINDOW
) -> Iterator[list[RequestChunk | EndOfAudio]]:
    """Group a stream of chunks, in order, by more and more seconds of sound, by `largest` in the end.

    Large windows give batches of like lengths, small ones the first words soon: where somebody waits for these
    (`largest` says so) the first chunk comes alone. None among the items, which says that none is ready now, comes out
    as an empty window.
    """
    window: list[RequestChunk | EndOfAudio] = []
    samples, limit = 0, 0.0 if largest <= STREAM_WINDOW else STREAM_WINDOW
    for item in items:
        if item is None:
            yield []
            continue
        window.append(item)
        samples += len(item.chunk.samples) if isinstance(item, RequestChunk) else 0
        if samples > limit * sample_rate:
            yield window
            window, samples, limit = [], 0, min(max(2 * limit, _SECOND_WINDOW), largest)
    if window:
        yield window


def batches(
    chunks: list[RequestChunk], sample_rate: int, seconds: float = BATCH_SECONDS
) -> Iterator[list[RequestChunk]]:
    """Divide chunks into batches of at most `seconds` of padded sound, the longest first."""
    batch: list[RequestChunk] = []
    for part in sorted(chunks, key=lambda each: -len(each.chunk.samples)):
        longest = len((batch[0] if batch else part).chunk.samples)
        if batch and longest * (len(batch) + 1) > seconds * sample_rate:
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch
