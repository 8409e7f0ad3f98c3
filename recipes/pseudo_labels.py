"""Labels for speech whose transcripts are missing, or not to be trusted, from what a recognizer heard.

    pseudo_labels.py EVALUATION MANIFEST.jsonl OUT.jsonl [--agree SHARE]

EVALUATION is the folder that `asr evaluate … MANIFEST.jsonl -o EVALUATION` wrote. What was heard takes the place of the
transcripts, which are not read (self-training); utterances of which nothing was heard are left out.

With --agree the manifest's transcripts are those of another recognizer, and stay: an utterance is kept where at most
that share of the letters was heard otherwise. Two recognizers seldom make the same mistake.

`asr train` takes OUT.jsonl as one more corpus.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from asr.cli.main import plain_errors
from asr.corpus.manifest import Utterance, read_manifest, write_manifest


def main() -> None:
    """Write the manifest and say how much it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("evaluation", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--agree", type=float, metavar="SHARE")
    options = parser.parse_args()
    lines = (options.evaluation / "hypotheses.jsonl").read_text(encoding="utf-8").splitlines()
    heard = {line["id"]: line["pred_text"].strip() for line in map(json.loads, lines)}
    utterances = read_manifest(options.manifest)
    if missing := [utterance.id for utterance in utterances if utterance.id not in heard]:
        gap = f"asr: {options.evaluation} has not heard {missing[0]} of {options.manifest}"
        raise SystemExit(f"{gap}; evaluate the whole manifest first")
    if options.agree is None:
        labeled = [replace(utterance, text=heard[utterance.id]) for utterance in utterances if heard[utterance.id]]
    else:
        labeled = [utterance for utterance in utterances if distance(utterance, heard[utterance.id]) <= options.agree]
    if not labeled:
        nothing = f"asr: nothing was heard in {options.evaluation} that can be learned from"
        raise SystemExit(f"{nothing}; a model must know something to teach it")
    write_manifest(options.target, labeled)
    hours = sum(utterance.duration for utterance in labeled) / 3600
    words = sum(len(utterance.text.split()) for utterance in labeled)
    print(f"{options.target}: {len(labeled)} of {len(utterances)} utterances, {words} words, {hours:.2f} h")


def distance(utterance: Utterance, heard: str) -> float:
    """Letters that differ for each letter of the transcript: where words part is not asked."""
    said = "".join(utterance.text.upper().split())
    return Levenshtein.distance(said, "".join(heard.upper().split())) / max(1, len(said))


if __name__ == "__main__":
    with plain_errors():
        main()
