"""Self-training: speech with what a recognizer heard in place of what was said.

    pseudo_labels.py EVALUATION MANIFEST.jsonl OUT.jsonl

EVALUATION is the folder that `asr evaluate … MANIFEST.jsonl -o EVALUATION` wrote. The transcripts of the manifest are
not read; utterances of which nothing was heard are left out. `asr train` takes OUT.jsonl as one more corpus.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from asr.corpus.manifest import read_manifest, write_manifest

evaluation, manifest, target = map(Path, sys.argv[1:4])
lines = (evaluation / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
heard = {line["id"]: line["pred_text"].strip() for line in map(json.loads, lines)}
utterances = read_manifest(manifest)
if missing := [utterance.id for utterance in utterances if utterance.id not in heard]:
    raise SystemExit(f"asr: {evaluation} has not heard {missing[0]} of {manifest}; evaluate the whole manifest first")
labeled = [replace(utterance, text=heard[utterance.id]) for utterance in utterances if heard[utterance.id]]
if not labeled:
    raise SystemExit(f"asr: nothing was heard in {evaluation}; a model must know something to teach it")
write_manifest(target, labeled)
words = sum(len(utterance.text.split()) for utterance in labeled)
print(f"{target}: {len(labeled)} of {len(utterances)} utterances, {words} words")
