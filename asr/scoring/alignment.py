"""Aligning a hypothesis with its reference: which words were hit, replaced, deleted, inserted.

Two alignments are offered. `levenshtein` makes every error cost one, so that S + D + I is the least possible; it is
what jiwer counts and the default. `nist` is the one of NIST's `sclite` (see `asr.scoring.nist`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from rapidfuzz.distance import Levenshtein

from asr.scoring.counts import Counts

Aligner = Literal["levenshtein", "nist"]
Kind = Literal["equal", "replace", "delete", "insert"]
ALIGNERS: tuple[Aligner, ...] = ("levenshtein", "nist")


class Edit(NamedTuple):
    """One error: its kind and where it stands in the reference and in the hypothesis."""

    kind: Kind
    reference: int
    hypothesis: int


class Pair(NamedTuple):
    """One column of an alignment; a side that has no word there is None."""

    kind: Kind
    reference: str | None
    hypothesis: str | None


def find_edits(reference: Sequence[str], hypothesis: Sequence[str], aligner: Aligner = "levenshtein") -> list[Edit]:
    """The errors that turn `reference` into `hypothesis`, in order; hits are what lies between them."""
    if reference == hypothesis:
        return []
    if aligner == "nist":
        from asr.scoring.nist import find_nist_edits

        return find_nist_edits(reference, hypothesis)
    return [Edit(*edit) for edit in Levenshtein.editops(reference, hypothesis).as_list()]


def count_edits(edits: Sequence[Edit], reference_length: int) -> Counts:
    """Add up `edits` over a reference of `reference_length` words or characters."""
    kinds = [edit.kind for edit in edits]
    substitutions, deletions, insertions = kinds.count("replace"), kinds.count("delete"), kinds.count("insert")
    return Counts(reference_length - substitutions - deletions, substitutions, deletions, insertions)


def count_characters(reference: str, hypothesis: str) -> Counts:
    """Counts over the code points of two texts, spaces included."""
    if reference == hypothesis:
        return Counts(hits=len(reference))
    kinds = [edit[0] for edit in Levenshtein.editops(reference, hypothesis).as_list()]
    substitutions, deletions, insertions = kinds.count("replace"), kinds.count("delete"), kinds.count("insert")
    return Counts(len(reference) - substitutions - deletions, substitutions, deletions, insertions)


def iterate_pairs(reference: Sequence[str], hypothesis: Sequence[str], edits: Sequence[Edit]) -> Iterator[Pair]:
    """Every column of the alignment, hits and errors, from left to right."""
    i = j = 0
    for kind, error_i, error_j in edits:
        while i < error_i and j < error_j:
            yield Pair("equal", reference[i], hypothesis[j])
            i, j = i + 1, j + 1
        if kind == "insert":
            yield Pair(kind, None, hypothesis[j])
            j += 1
        elif kind == "delete":
            yield Pair(kind, reference[i], None)
            i += 1
        else:
            yield Pair(kind, reference[i], hypothesis[j])
            i, j = i + 1, j + 1
    for left, right in zip(reference[i:], hypothesis[j:], strict=True):
        yield Pair("equal", left, right)
