"""How many of certain words were found where they were said: found.py MANIFEST HYPOTHESES.trn... -- WORD..."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from asr.cli.main import plain_errors
from asr.corpus.manifest import read_manifest
from asr.scoring.readers import read_transcripts


def found(said: str, heard: str, words: frozenset[str]) -> int:
    """Of the `words` said, how many were heard too, each as often as it was said at most."""
    pair = (Counter(word for word in text.split() if word in words) for text in (said, heard))
    one, other = pair
    return sum((one & other).values())


def main(manifest: Path, files: list[Path], words: frozenset[str]) -> None:
    """Print a line for each file of hypotheses."""
    utterances = read_manifest(manifest)
    total = sum(word in words for one in utterances for word in one.text.split())
    for path in files:
        texts = read_transcripts(path, "hypothesis").texts
        right = sum(found(one.text, texts.get(one.id, ""), words) for one in utterances)
        print(f"{path.parent.name}: {right} of {total} new words found")


if __name__ == "__main__":
    with plain_errors():
        end = sys.argv.index("--")
        main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:end]], frozenset(sys.argv[end + 1 :]))
