"""How well marks and capitals are restored in what a recognizer heard.

    asr transcribe LibriSpeech/dev-clean-2 -r -f ctm -o CTM                     (the recognizer's words and times)
    python recipes/punctuation/speech.py MODEL MANIFEST TEXT_DIR CTM... [--no-pauses] [--true-words]

The utterances of a chapter are joined, as they were before the corpus cut them apart; the reference is the text of the
book (TEXT_DIR, `excluded`), as far as it is there. Recognized words stand for the reference words that they are
aligned with; the mark of a reference word that was not recognized goes to the word before. Words whose mark is not
known are left out.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from evaluate import Numbers, table
from numpy.typing import NDArray
from spoken import UNKNOWN, find_labels

from asr.cli.main import plain_errors
from asr.corpus.manifest import Utterance, read_manifest
from asr.punctuation import LOWER, NONE, PunctuationModel, load_punctuation
from asr.scoring.alignment import align_texts

BREAK = 0.5
"""Seconds between the utterances of a chapter: the corpus was cut at pauses of 0.3 s and more."""


def main() -> None:
    """Print the table of `evaluate.py`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("ctm", type=Path, nargs="+")
    parser.add_argument("--no-pauses", action="store_true")
    parser.add_argument("--true-words", action="store_true", help="read the reference words in place of the recognized")
    options = parser.parse_args()
    heard = read_ctm(options.ctm)
    utterances = {each.id: each for each in read_manifest(options.manifest) if each.id in heard}
    texts = [utterance.text.split() for utterance in utterances.values()]
    labels = dict(zip(utterances, find_labels(texts, [options.text / "excluded"]), strict=True))
    model = load_punctuation(options.model)
    chapters: dict[str, list[str]] = defaultdict(list)
    for name in sorted(utterances):
        chapters[name.rsplit("-", 1)[0]].append(name)
    results = [read_chapter(names, utterances, labels, heard, model, options) for names in chapters.values()]
    marks, capitals, true = (np.concatenate(each) for each in zip(*results, strict=True))
    known = true != UNKNOWN
    print(table(marks[known], capitals[known], true[known] & 3, true[known] >> 2 != LOWER))
    total = sum(len(own) for own in labels.values())
    told = sum(int((own != UNKNOWN).sum()) for own in labels.values())
    print(
        f"{len(chapters)} chapters, {known.sum():,} words of {total:,}; the book tells the marks of {told / total:.0%}"
    )


def read_chapter(
    names: Sequence[str],
    utterances: Mapping[str, Utterance],
    labels: Mapping[str, Numbers],
    heard: Mapping[str, Sequence[tuple[str, float, float]]],
    model: PunctuationModel,
    options: argparse.Namespace,
) -> tuple[Numbers, NDArray[np.bool_], Numbers]:
    """Marks, capitals and true labels of the words of a chapter, which are those of its utterances, `names`."""
    words: list[str] = []
    pauses: list[float | None] = []
    true: list[int] = []
    for name in names:
        reference, own = utterances[name].text.split(), labels[name].tolist()
        if options.true_words:
            words, true = words + reference, true + own
            pauses += [None] * (len(reference) - 1) + [BREAK]
            continue
        timed = heard.get(name, [])
        words += [word for word, _, _ in timed]
        pauses += [after[1] - word[2] for word, after in pairwise(timed)] + [BREAK] * bool(timed)
        true += transfer(reference, [word for word, _, _ in timed], own)
    tags = model.tags(words, None if options.no_pauses else pauses)
    return np.array([tag.mark for tag in tags]), np.array([tag.case != LOWER for tag in tags]), np.array(true)


def transfer(reference: list[str], hypothesis: list[str], labels: list[int]) -> list[int]:
    """The labels of the reference words for the words recognized in their place; an inserted word has none."""
    result: list[int] = []
    for ref, hyp in pairs(reference, hypothesis):
        if hyp is not None:
            result.append(NONE if ref is None else labels[ref])
        elif ref is not None and result and UNKNOWN not in (labels[ref], result[-1]) and result[-1] & 3 == NONE:
            result[-1] |= labels[ref] & 3
    return result


def pairs(reference: list[str], hypothesis: list[str]) -> Iterator[tuple[int | None, int | None]]:
    """Places in both texts, side by side, in order; None where one has nothing."""
    ref = hyp = 0
    (alignment,) = align_texts([" ".join(reference)], [" ".join(hypothesis)], "levenshtein")
    for edit in [*alignment.edits, None]:
        until = len(reference) if edit is None else edit.reference
        while ref < until:
            yield ref, hyp
            ref, hyp = ref + 1, hyp + 1
        if edit:
            gone, added = edit.kind in ("replace", "delete"), edit.kind in ("replace", "insert")
            yield (ref if gone else None), (hyp if added else None)
            ref, hyp = ref + gone, hyp + added


def read_ctm(paths: Sequence[Path]) -> dict[str, list[tuple[str, float, float]]]:
    """Words with start and end by recording."""
    words: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for line in (line for path in paths for line in path.read_text(encoding="utf-8").splitlines()):
        name, _, start, length, word, *_ = line.split()
        words[name].append((word, float(start), float(start) + float(length)))
    return words


if __name__ == "__main__":
    with plain_errors():
        main()
