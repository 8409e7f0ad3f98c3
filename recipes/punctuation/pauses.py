"""How long people pause behind each mark: shares of the classes of pauses, to imitate them in training.

    python recipes/punctuation/pauses.py MANIFEST TEXT_DIR [--model MODEL] [--utterances 300]

The marks of an utterance come from the books of TEXT_DIR (train), as far as they hold it. The pauses are those between
words whose times the model finds when it is told the text. Prints a line for the configuration.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from spoken import UNKNOWN, find_labels

from asr.cli.main import plain_errors
from asr.corpus.manifest import read_manifest
from asr.errors import AsrError
from asr.punctuation import LONGEST_PAUSE, MARKS, pause_classes
from asr.transcription.align import align_text
from asr.transcription.recognizer import load_acoustic_model


def main() -> None:
    """Print the shares as YAML."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, nargs="+")
    parser.add_argument("text", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--utterances", type=int, default=300)
    options = parser.parse_args()
    utterances = [utterance for path in options.manifest for utterance in read_manifest(path)]
    labels = find_labels([utterance.text.split() for utterance in utterances], [options.text / "train"])
    told = [
        (utterance, own) for utterance, own in zip(utterances, labels, strict=True) if (own != UNKNOWN).mean() > 0.9
    ]
    random = np.random.default_rng(1)
    recognizer = load_acoustic_model(options.model, threads=1)
    counts = np.zeros((len(MARKS), LONGEST_PAUSE), np.int64)
    used = 0
    for index in random.permutation(len(told))[: options.utterances].tolist():
        utterance, own = told[index]
        try:
            words = align_text(recognizer, utterance.audio, utterance.text).words
        except AsrError:
            continue  # too little sound for its words
        if len(words) != len(own):
            continue
        pauses = [after.start - word.end for word, after in pairwise(words)]
        for label, kind in zip(own[:-1].tolist(), pause_classes(pauses).tolist(), strict=True):
            if label != UNKNOWN:
                counts[label & 3, kind - 1] += 1
        used += 1
    print(
        f"# {used} of {len(told)} utterances whose marks are known ({len(utterances)} in all), {counts.sum():,} words"
    )
    rows = [f"'{mark or 'none'}': {row.tolist()}" for mark, row in zip(MARKS, counts, strict=True)]
    print(f"pauses: {{{', '.join(rows)}}}")


if __name__ == "__main__":
    with plain_errors():
        main()
