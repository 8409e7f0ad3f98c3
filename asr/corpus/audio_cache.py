"""Decoded audio, kept: 16-bit samples at the model's rate in large flat files, made once per manifest.

Decoding Opus or FLAC every epoch costs more than all features and augmentation together. The cache is a folder of
shards, each a raw little-endian int16 file of a few hundred utterances, and an index. Shards are written whole, so
that a killed run loses one shard's work at most; the folder's name contains a fingerprint of the manifest. A shard of
which a recording has changed since, by size or time, is made again; recordings that are gone are not missed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from asr.corpus.manifest import Utterance
from asr.errors import AudioError, DataError
from asr.io import fingerprint_text, make_folder, write_whole
from asr.nn.machine import processors

SHARD = 256
_SCALE = 32768.0

Mark = list[int]
"""Size and time of last change (ns) of a recording; a list, as JSON has no tuples."""


class AudioCache:
    """Random access to the decoded audio of a list of utterances."""

    def __init__(self, spans: list[np.ndarray]) -> None:
        self._spans = spans

    def __len__(self) -> int:
        return len(self._spans)

    def samples(self, index: int) -> int:
        """Length of utterance `index` in samples."""
        return len(self._spans[index])

    def __getitem__(self, index: int) -> np.ndarray:
        """Samples (N,) of utterance `index`, float32 in [-1, 1]."""
        samples: np.ndarray = self._spans[index].astype(np.float32)
        samples /= np.float32(_SCALE)
        return samples

    def subset(self, indices: Sequence[int]) -> AudioCache:
        """The cache of some of the utterances."""
        return AudioCache([self._spans[index] for index in indices])


def open_cache(
    utterances: Sequence[Utterance],
    root: Path,
    sample_rate: int,
    name: str = "audio",
    progress: Callable[[int, int], None] | None = None,
) -> AudioCache:
    """The cache of `utterances` under `root`, decoding what is not there yet with all cores.

    `progress(done, total)` is called as shards finish. Raises `AudioError` naming every recording that cannot be
    read; the shards already decoded stay for the next start.
    """
    folder = root / f"{name}-{_fingerprint(utterances, sample_rate)}"
    make_folder(folder)
    spans: list[np.ndarray] = []
    failures: list[str] = []
    with ThreadPoolExecutor(processors()) as pool:
        for first in range(0, len(utterances), SHARD):
            part = utterances[first : first + SHARD]
            stem = folder / f"{first // SHARD:05d}"
            marks = [_mark(utterance.audio) for utterance in part]
            lengths = _shard_index(stem, marks)
            if lengths is None:
                lengths = _decode_shard(part, marks, stem, sample_rate, pool, failures)
            spans += np.split(_map(stem.with_suffix(".pcm"), sum(lengths)), np.cumsum(lengths[:-1]))
            if progress is not None:
                progress(len(spans), len(utterances))
    if failures:
        listed = "\n  ".join(failures[:20])
        more = f"\n  … and {len(failures) - 20} more" if len(failures) > 20 else ""
        raise AudioError(
            f"{len(failures)} recordings cannot be read:\n  {listed}{more}",
            "Prepare the manifest again to leave them out.",
        )
    return AudioCache(spans)


def _decode_shard(
    part: Sequence[Utterance],
    marks: list[Mark | None],
    stem: Path,
    sample_rate: int,
    pool: ThreadPoolExecutor,
    failures: list[str],
) -> list[int]:
    from asr.audio.stream import read_audio

    def decode(utterance: Utterance) -> np.ndarray | str:
        try:
            samples = read_audio(utterance.audio, sample_rate, offset=utterance.offset, duration=utterance.duration)
        except AudioError as error:
            return f"{utterance.id}: {error.message}"
        pcm: np.ndarray = np.clip(np.rint(samples * _SCALE), -32768, 32767).astype("<i2")
        return pcm

    decoded = list(pool.map(decode, part))
    failed = [result for result in decoded if isinstance(result, str)]
    if failed:
        failures += failed
        return [0] * len(part)
    arrays = [result for result in decoded if isinstance(result, np.ndarray)]
    with write_whole(stem.with_suffix(".pcm"), "wb") as file:
        for array in arrays:
            file.write(array.tobytes())
    lengths = [len(array) for array in arrays]
    # The index comes second: a shard counts only when both are there.
    with write_whole(stem.with_suffix(".json")) as file:
        json.dump({"lengths": lengths, "recordings": marks}, file)
    return lengths


def _shard_index(stem: Path, marks: list[Mark | None]) -> list[int] | None:
    """Lengths in samples of the shard's utterances, whose recordings have `marks`; None where it must be made anew."""
    path = stem.with_suffix(".json")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(index, list):  # from before recordings were marked: they must not be younger than the shard
            made = path.stat().st_mtime_ns
            index = {"lengths": index, "recordings": [mark if mark and mark[1] <= made else None for mark in marks]}
        lengths: list[int] = index["lengths"]
        whole = len(lengths) == len(marks) and stem.with_suffix(".pcm").stat().st_size == 2 * sum(lengths)
        same = all(now in (None, then) for now, then in zip(marks, index["recordings"], strict=True))
        return lengths if whole and same else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _mark(path: Path) -> Mark | None:
    """What tells a recording from a later one under its name; None where there is no recording."""
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


def _map(path: Path, samples: int) -> np.ndarray:
    if samples == 0:
        return np.zeros(0, dtype="<i2")
    try:
        return np.memmap(path, dtype="<i2", mode="r", shape=(samples,))
    except (OSError, ValueError) as error:
        raise DataError(f"cached audio {path} is damaged: {error}", "Delete its folder; it is made again.") from error


def _fingerprint(utterances: Sequence[Utterance], sample_rate: int) -> str:
    stretches = (f"{utterance.audio}\t{utterance.offset}\t{utterance.duration}\n" for utterance in utterances)
    return fingerprint_text(f"{sample_rate}\n{''.join(stretches)}")
