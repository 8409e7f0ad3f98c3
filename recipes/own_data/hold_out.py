"""Keep a part of a manifest for judging: `hold_out.py MANIFEST.jsonl SHARE` writes MANIFEST-train and MANIFEST-test.

A sentence is on one side with all its recordings, so that the test ones say what was never trained on. Sentences are
taken in an order that follows from the text alone until the share is reached: recordings that are added later move few.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asr.cli.main import plain_errors
from asr.corpus.manifest import read_manifest, write_manifest
from asr.corpus.prepare import share

path, wanted = Path(sys.argv[1]), float(sys.argv[2])
with plain_errors():
    utterances = read_manifest(path)
ordered = sorted({utterance.text for utterance in utterances}, key=lambda text: share(text, seed=0))
test_texts = set(ordered[: round(wanted * len(ordered))])
sides = {
    "train": [utterance for utterance in utterances if utterance.text not in test_texts],
    "test": [utterance for utterance in utterances if utterance.text in test_texts],
}
for side, chosen in sides.items():
    if not chosen:
        raise SystemExit(f"asr: {path}: no sentence falls on the {side} side; record more, or change --hold-out")
for side, chosen in sides.items():
    target = path.with_name(f"{path.stem}-{side}.jsonl")
    write_manifest(target, chosen)
    print(f"{target}: {len(chosen)} utterances, {sum(one.duration for one in chosen) / 60:.1f} minutes")
