"""The packed text of books as language models read it: a sentence a line, words in capitals.

    python recipes/punctuation/sentences.py PACKED OUT.txt [--leave-out TEXT…]

PACKED is what build_text.py wrote; its folder `excluded` is left alone. A sentence of six words and more that came
before, and one that stands in a TEXT (a sentence a line, or a manifest), is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from punctuated import QUESTION, STOP

from asr.cli.main import plain_errors
from asr.io import write_whole
from asr.lm.text import read_sentences
from asr.text.normalize import librispeech
from asr.training.punctuation_data import Words, read_vocabulary

LONG = 6


def main() -> None:
    """Write the sentences of all books that may be learned from."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packed", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--leave-out", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    left_out = {sentence for path in options.leave_out for sentence in read_sentences(path, librispeech)}
    seen: set[int] = set()
    read = written = words = 0
    with write_whole(options.output) as file:
        for name in ("train", "validation", "test"):
            for sentence in sentences(options.packed / name) if (options.packed / name).is_dir() else ():
                read += 1
                length, known = sentence.count(" ") + 1, hash(sentence)
                if sentence in left_out or known in seen:
                    continue
                if length >= LONG:
                    seen.add(known)
                file.write(f"{sentence}\n")
                written, words = written + 1, words + length
    print(f"{read:,} sentences read, {written:,} written, {words:,} words")


def sentences(folder: Path) -> Iterator[str]:
    """The sentences of one part of the packed text; what stands after the last mark is one, too."""
    names = read_vocabulary(folder.parent)
    text = Words.load(folder)
    start = 0
    ends = np.flatnonzero(np.isin(text.labels & 3, (STOP, QUESTION))) + 1
    for end in chain(ends, [len(text.words)]):
        if start < end:
            yield " ".join([names[number] for number in text.words[start:end].tolist()])
        start = end


if __name__ == "__main__":
    with plain_errors():
        main()
