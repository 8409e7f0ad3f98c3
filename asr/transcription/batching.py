"""Pieces of like lengths, from whichever recordings, share a batch: little of the network's work goes into padding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from asr.transcription.reader import EndOfAudio, RequestChunk

BATCH_SECONDS = 120.0
"""Sound in a batch, padding included: larger batches fall out of the processor's cache and are slower."""
_FIRST_WINDOW = 60.0
_LARGEST_WINDOW = 900.0


def windows(items: Iterable[RequestChunk | EndOfAudio], sample_rate: int) -> Iterator[list[RequestChunk | EndOfAudio]]:
    """Group a stream of chunks, in order, by a minute of sound at first and a quarter of an hour in the end.

    Small windows give the first words soon, large ones give batches of like lengths.
    """
    window: list[RequestChunk | EndOfAudio] = []
    samples, limit = 0, _FIRST_WINDOW
    for item in items:
        window.append(item)
        samples += len(item.chunk.samples) if isinstance(item, RequestChunk) else 0
        if samples >= limit * sample_rate:
            yield window
            window, samples, limit = [], 0, min(2 * limit, _LARGEST_WINDOW)
    if window:
        yield window


def batches(chunks: list[RequestChunk], sample_rate: int) -> Iterator[list[RequestChunk]]:
    """Divide chunks into batches of at most `BATCH_SECONDS` of padded sound, the longest first."""
    batch: list[RequestChunk] = []
    for part in sorted(chunks, key=lambda each: -len(each.chunk.samples)):
        longest = len((batch[0] if batch else part).chunk.samples)
        if batch and longest * (len(batch) + 1) > BATCH_SECONDS * sample_rate:
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch
