"""The emissions of a manifest, computed once and kept: tuning decodes it again and again."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.corpus.manifest import Utterance, read_manifest
from asr.evaluation.decode import request_of
from asr.io import fingerprint_files, write_whole
from asr.transcription.batching import batches, windows
from asr.transcription.reader import AudioReader, EndOfAudio, RequestChunk
from asr.transcription.recognizer import Recognizer

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """One utterance: emissions, log-probabilities `(T, V)` of its chunks in turn, and its reference."""

    reference: str
    chunks: tuple[Floats, ...]


def manifest_emissions(
    recognizer: Recognizer, manifest: Path, cache: Path, on_progress: Callable[[int], None] = lambda count: None
) -> list[Example]:
    """Run the network over `manifest`, or read what an earlier call with the same weights and manifest kept in `cache`.

    The file keeps half precision, half a kilobyte a frame at 256 chunks. `on_progress` is told of utterances done with.
    Raises `AsrError` naming a recording that cannot be read: without it the search would be tuned to a deaf network.
    """
    utterances = read_manifest(manifest)
    key = f"{fingerprint_files(*recognizer.model.folder.acoustic_files(), manifest)} of {len(recognizer.vocabulary)}"
    if not _is_fresh(cache, key):
        _write(cache, key, _compute(recognizer, utterances, on_progress))
    return [Example(utterance.text, chunks) for utterance, chunks in zip(utterances, _read(cache), strict=True)]


def evenly(examples: Sequence[Example], count: int) -> list[Example]:
    """`count` of them from everywhere, the first among them; all where there are not as many."""
    count = min(count, len(examples))
    return [examples[place * len(examples) // count] for place in range(count)]


def _compute(
    recognizer: Recognizer, utterances: Sequence[Utterance], on_progress: Callable[[int], None]
) -> list[list[Floats]]:
    """The chunks of each utterance, cut as `asr evaluate` cuts them."""
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
                    chunks[item.request].append((item.chunk.start, log_probs.copy()))
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


def _is_fresh(cache: Path, key: str) -> bool:
    try:
        with np.load(cache, allow_pickle=False) as kept:
            return str(kept["key"]) == key
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return False


def _read(cache: Path) -> list[tuple[Floats, ...]]:
    with np.load(cache, allow_pickle=False) as kept:
        log_probs = kept["log_probs"].astype(np.float32)
        edges = np.concatenate([[0], kept["frames"].cumsum()]).tolist()
        groups = np.concatenate([[0], kept["chunks"].cumsum()]).tolist()
    chunks = [log_probs[start:end] for start, end in pairwise(edges)]
    return [tuple(chunks[start:end]) for start, end in pairwise(groups)]
