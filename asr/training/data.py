"""What an acoustic model learns from: manifests, their audio, targets and tokenizer."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import yaml

from asr.config import read_yaml, validate
from asr.corpus.audio_cache import AudioCache, open_cache
from asr.corpus.manifest import Utterance, read_manifest
from asr.errors import UsageError
from asr.io import write_text
from asr.model.ctc import needed_steps
from asr.text.normalize import Normalizer
from asr.text.tokenizer import Tokenizer, TokenizerConfig, load_tokenizer, train_tokenizer
from asr.trainer.trainer import LAST

TOKENIZER = "tokenizer"
SENTENCE_SECONDS = 2.0


@dataclass(frozen=True)
class CorpusConfig:
    """A manifest to learn from."""

    manifest: Path
    weight: float = 1.0
    """How often an epoch hears it: 2 twice, 0.3 a fresh random 30 % each time."""

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise ValueError("weight must be positive")


@dataclass(frozen=True)
class Recordings:
    """The utterances of a manifest with their audio."""

    utterances: list[Utterance]
    audio: AudioCache


def read_texts(manifest: Path, normalize: Normalizer) -> list[Utterance]:
    """The utterances of a manifest, their texts normalized."""
    return [replace(utterance, text=normalize(utterance.text)) for utterance in read_manifest(manifest)]


def open_recordings(
    manifest: Path, utterances: list[Utterance], cache: Path, sample_rate: int, quiet: bool
) -> Recordings:
    """`utterances` of a manifest with their decoded audio, which is kept under `cache`."""

    def progress(done: int, total: int) -> None:
        if not quiet and sys.stderr.isatty():
            print(f"\rdecoded {manifest.stem}: {done}/{total}", end="\n" if done == total else "", file=sys.stderr)

    return Recordings(utterances, open_cache(utterances, cache, sample_rate, manifest.stem, progress))


def reasons_against(
    seconds: Sequence[float],
    steps: Sequence[int],
    targets: Sequence[Sequence[Sequence[int]]],
    longest_seconds: float,
    wordless: Sequence[bool],
) -> list[str]:
    """Of utterances for which the network has so many steps, why CTC cannot learn their targets; "" where it can.

    Each has one or several lists of tokens, of which the first is its text; that of a `wordless` one is rightly empty.
    """

    def reason(seconds: float, steps: int, targets: Sequence[Sequence[int]], wordless: bool) -> str:
        needed = max(map(needed_steps, targets))
        if not targets[0] and not wordless:
            return "no text"
        if seconds > longest_seconds:
            return f"longer than {longest_seconds:g} s"
        return f"{needed} steps needed, {steps} heard" if steps < needed else ""

    return list(map(reason, seconds, steps, targets, wordless))


def shortest(utterances: list[Utterance], count: int) -> list[Utterance]:
    """The `count` shortest utterances, those under two seconds only where there are too few others."""

    def preference(utterance: Utterance) -> tuple[bool, float]:
        return utterance.duration < SENTENCE_SECONDS, abs(utterance.duration - SENTENCE_SECONDS)

    return sorted(utterances, key=preference)[:count]


def run_tokenizer(
    output: Path, config: TokenizerConfig, texts: Iterable[str], origin: Tokenizer | None = None
) -> Tokenizer:
    """The tokenizer in a run's folder: `origin`, or learned from `texts` where there is none yet by these settings.

    From texts that were changed since, the same ids would be other pieces: what a run has begun with stays. Raises
    `UsageError` where the run has begun with other pieces.
    """
    folder = output / TOKENIZER
    record = folder / "config.yaml"
    former = validate(TokenizerConfig, read_yaml(record), str(record)) if record.exists() else None
    begun = (output / LAST).exists()  # perhaps before tokenizers had a record
    kept = load_tokenizer(folder) if begun and (folder / "tokenizer.json").exists() else None
    if origin is not None:
        if kept is not None and kept.vocabulary != origin.vocabulary:
            hint = "Go on with the same `init_from`, or choose another output=…."
            raise UsageError(f"{output} has begun with other tokens than those of `init_from`", hint)
        if not begun:
            record.unlink(missing_ok=True)
            origin.save(folder)
        return origin
    if begun and former is not None and former != config:
        raise UsageError(
            f"{folder} was learned by other settings than `tokenizer` has now, and {LAST} beside it has begun with it",
            f"Set tokenizer={{kind: {former.kind}, size: {former.size}}} again, or choose another output=….",
        )
    if kept is not None:
        return kept
    if former == config and (folder / "tokenizer.json").exists():
        return load_tokenizer(folder)
    tokenizer = train_tokenizer(config, [text for text in texts if text])
    record.unlink(missing_ok=True)  # the record comes last, so that it is never another tokenizer's
    tokenizer.save(folder)
    write_text(record, yaml.safe_dump(asdict(config)))
    return tokenizer
