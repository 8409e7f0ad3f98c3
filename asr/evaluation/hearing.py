"""What the network hears of a manifest, computed once and kept: tuning decodes it again and again."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asr.corpus.manifest import Utterance, read_manifest
from asr.evaluation.parts import job_of
from asr.files import fingerprint_files, write_whole
from asr.transcription.batching import batches, windows
from asr.transcription.listening import End, Heard, Listener
from asr.transcription.recognizer import Recognizer

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Spoken:
    """What the network heard of one utterance: log-probabilities `(T, V)` of its pieces in turn, and what was said."""

    reference: str
    pieces: tuple[Floats, ...]


def hear_manifest(
    recognizer: Recognizer, manifest: Path, cache: Path, heard: Callable[[int], None] = lambda count: None
) -> list[Spoken]:
    """Run the network over `manifest`, or read what an earlier call with the same weights and manifest kept in `cache`.

    The file keeps half precision, half a kilobyte a frame at 256 pieces. `heard` is told of utterances done with.
    Raises `AsrError` naming a recording that cannot be read: without it the search would be tuned to a deaf network.
    """
    utterances = read_manifest(manifest)
    folder = recognizer.model.path
    made_of = [*folder.glob("model.*"), *folder.glob("tokenizer.*"), folder / "config.json", manifest]
    key = f"{fingerprint_files(*made_of)} of {len(recognizer.vocabulary)}"
    if not _is_fresh(cache, key):
        _write(cache, key, _listen(recognizer, utterances, heard))
    return [Spoken(utterance.text, pieces) for utterance, pieces in zip(utterances, _read(cache), strict=True)]


def evenly(spoken: Sequence[Spoken], count: int) -> list[Spoken]:
    """`count` of them from everywhere, the first among them; all where there are not as many."""
    count = min(count, len(spoken))
    return [spoken[place * len(spoken) // count] for place in range(count)]


def _listen(
    recognizer: Recognizer, utterances: Sequence[Utterance], heard: Callable[[int], None]
) -> list[list[Floats]]:
    """The pieces of each utterance, cut as `asr evaluate` cuts them."""
    pieces: list[list[tuple[int, Floats]]] = [[] for _ in utterances]
    rate = recognizer.model.sample_rate
    listener = Listener((job_of(utterance, rate) for utterance in utterances), rate, recognizer.cutting)
    try:
        for window in windows(listener, rate):
            ends = [item for item in window if isinstance(item, End)]
            for end in ends:
                if end.error is not None:
                    raise end.error
            for batch in batches([item for item in window if isinstance(item, Heard)], rate):
                for item, log_probs in zip(batch, recognizer.hear(batch), strict=True):
                    pieces[item.job].append((item.piece.start, log_probs.copy()))
            heard(len(ends))
    finally:
        listener.close()
    return [[log_probs for _, log_probs in sorted(found, key=lambda pair: pair[0])] for found in pieces]


def _write(cache: Path, key: str, pieces: list[list[Floats]]) -> None:
    everything = [piece for each in pieces for piece in each]
    with write_whole(cache, "wb") as file:
        np.savez(
            file,
            key=np.array(key),
            log_probs=np.concatenate(everything).astype(np.float16) if everything else np.zeros((0, 0), np.float16),
            frames=np.array([len(piece) for piece in everything], np.int64),
            pieces=np.array([len(each) for each in pieces], np.int64),
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
        groups = np.concatenate([[0], kept["pieces"].cumsum()]).tolist()
    pieces = [log_probs[start:end] for start, end in pairwise(edges)]
    return [tuple(pieces[start:end]) for start, end in pairwise(groups)]
