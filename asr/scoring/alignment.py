"""Aligning hypotheses with their references: which words were hit, replaced, deleted, inserted; counts and rates.

Two alignments are offered. `levenshtein` makes every error cost one, so that S + D + I is the least possible; it is
jiwer's, called for many utterances at once. `nist` is the one of NIST's `sclite`, which jiwer does not have: a
substitution costs 4, a deletion or an insertion 3. A substitution is then dearer than half a deletion with an
insertion, so `sclite` sometimes prefers a deletion and an insertion that recover a hit where unit costs see fewer
errors: its S + D + I can be larger.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, Literal, NamedTuple, get_args

import jiwer
from rapidfuzz.distance import Levenshtein

Aligner = Literal["levenshtein", "nist"]
Kind = Literal["equal", "replace", "delete", "insert"]
Words = Sequence[str]
ALIGNERS: tuple[Aligner, ...] = get_args(Aligner)
LETTERS: dict[Kind, str] = {"equal": "C", "replace": "S", "delete": "D", "insert": "I"}

_process: Any = jiwer.process_words  # its types know texts as strings and transforms as classes alone
_BATCH = 5_000  # utterances whose alignments jiwer holds in memory at once
_KINDS: dict[str, Kind] = {"substitute": "replace", "delete": "delete", "insert": "insert"}
_SUBSTITUTION, _GAP = 4, 3  # sclite's costs; a gap is a deletion or an insertion
_DIAGONAL, _DELETE, _INSERT = 0, 1, 2
_FIELDS = attrgetter("hits", "substitutions", "deletions", "insertions")


@dataclass(frozen=True, slots=True)
class Counts:
    """Hits, substitutions, deletions and insertions, of words or of characters.

    Rates are fractions of the whole: add the counts of all utterances first, never average the rates.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def reference(self) -> int:
        """Length of the reference, H + S + D."""
        return self.hits + self.substitutions + self.deletions

    @property
    def hypothesis(self) -> int:
        """Length of the hypothesis, H + S + I."""
        return self.hits + self.substitutions + self.insertions

    @property
    def errors(self) -> int:
        """S + D + I."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def error_rate(self) -> float:
        """(S + D + I) / (H + S + D): the WER of words, the CER of characters.

        An empty reference is divided by one, so that its rate is the number of insertions (as jiwer counts it).
        """
        return self.errors / max(self.reference, 1)

    @property
    def match_error_rate(self) -> float:
        """MER, (S + D + I) / (H + S + D + I): at most 1, unlike the WER (Morris, Maier & Green 2004)."""
        return self.errors / max(self.hits + self.errors, 1)

    @property
    def information_lost(self) -> float:
        """WIL, 1 − (H / reference) · (H / hypothesis) (Morris, Maier & Green 2004)."""
        if not self.reference and not self.hypothesis:
            return 0.0
        return 1.0 - self.hits**2 / (max(self.reference, 1) * max(self.hypothesis, 1))


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


class TimedWord(NamedTuple):
    """A word and its bounds in seconds from the beginning of the recording."""

    start: float
    end: float
    word: str


class Alignment(NamedTuple):
    """The words of both texts and the errors that turn the reference into the hypothesis, in order."""

    reference: Words
    hypothesis: Words
    edits: list[Edit]

    @property
    def counts(self) -> Counts:
        """The errors added up, and the hits between them."""
        kinds = [edit.kind for edit in self.edits]
        substitutions, deletions, insertions = kinds.count("replace"), kinds.count("delete"), kinds.count("insert")
        return Counts(len(self.reference) - substitutions - deletions, substitutions, deletions, insertions)


def align_texts(references: Sequence[str], hypotheses: Sequence[str], aligner: Aligner) -> Iterator[Alignment]:
    """Align pair by pair; words are what white space parts."""
    for start in range(0, len(references), _BATCH):
        left, right = (list(map(str.split, texts[start : start + _BATCH])) for texts in (references, hypotheses))
        if aligner == "nist":
            edits = map(_align_as_sclite, left, right)
        else:
            edits = map(_edits_of, _process(left, right, _as_given, _as_given).alignments)
        yield from map(Alignment, left, right, edits)


def _as_given(sentences: list[Words]) -> list[Words]:
    """What jiwer shall do with texts that are lists of words already."""
    return sentences


def _edits_of(chunks: Iterable[jiwer.AlignmentChunk]) -> list[Edit]:
    """jiwer's runs of alike errors, one by one."""
    edits = []
    for chunk in chunks:
        if chunk.type != "equal":
            kind, i, j = _KINDS[chunk.type], chunk.ref_start_idx, chunk.hyp_start_idx
            down, right = kind != "insert", kind != "delete"
            length = max(chunk.ref_end_idx - i, chunk.hyp_end_idx - j)
            edits += [Edit(kind, i + step * down, j + step * right) for step in range(length)]
    return edits


def count_characters(reference: str, hypothesis: str) -> Counts:
    """Counts over the code points of two texts, spaces included.

    By jiwer's own aligner but without jiwer, which lists every letter and takes 25 times as long for the same counts.
    """
    if reference == hypothesis:
        return Counts(hits=len(reference))
    edits = [Edit._make(edit) for edit in Levenshtein.editops(reference, hypothesis).as_list()]
    return Alignment(reference, hypothesis, edits).counts


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of all `counts`; zeros where there are none."""
    return Counts(*map(sum, zip(*map(_FIELDS, counts), strict=True)))


def iterate_pairs(reference: Words, hypothesis: Words, edits: Sequence[Edit]) -> Iterator[Pair]:
    """Every column of the alignment, hits and errors, from left to right."""
    hit = partial(Pair, "equal")
    i = j = 0
    for kind, error_i, error_j in edits:
        yield from map(hit, reference[i:error_i], hypothesis[j:error_j])
        left = None if kind == "insert" else reference[error_i]
        right = None if kind == "delete" else hypothesis[error_j]
        yield Pair(kind, left, right)
        i, j = error_i + (left is not None), error_j + (right is not None)
    yield from map(hit, reference[i:], hypothesis[j:])


def _align_as_sclite(reference: Words, hypothesis: Words) -> list[Edit]:
    """The errors of the cheapest alignment under costs 4/3/3."""
    return [] if reference == hypothesis else _trace_back(_moves(reference, hypothesis), reference, hypothesis)


def _moves(reference: Words, hypothesis: Words) -> list[bytearray]:
    """For every cell of the table the last move of a cheapest way to it; margins are left to the trace.

    Where two ways cost the same, the order of preference is `sclite`'s own (checked against the program count by
    count), because equally dear ways may differ in their number of errors: 3 substitutions weigh as much as
    2 deletions with 2 insertions.
    """
    above = [_GAP * j for j in range(len(hypothesis) + 1)]
    table = []
    for i, word in enumerate(reference, 1):
        left = _GAP * i
        row, moves = [left], bytearray(len(hypothesis))
        for j, other in enumerate(hypothesis):
            diagonal = above[j] if word == other else above[j] + _SUBSTITUTION
            deletion, insertion = above[j + 1] + _GAP, left + _GAP
            if diagonal <= deletion and diagonal <= insertion:
                left = diagonal
            elif deletion < insertion:
                left, moves[j] = deletion, _DELETE
            else:
                left, moves[j] = insertion, _INSERT
            row.append(left)
        table.append(moves)
        above = row
    return table


def _trace_back(table: list[bytearray], reference: Words, hypothesis: Words) -> list[Edit]:
    edits = []
    i, j = len(reference), len(hypothesis)
    while i or j:
        move = _INSERT if not i else _DELETE if not j else table[i - 1][j - 1]
        if move == _DIAGONAL:
            i, j = i - 1, j - 1
            if reference[i] != hypothesis[j]:
                edits.append(Edit("replace", i, j))
        elif move == _DELETE:
            i -= 1
            edits.append(Edit("delete", i, j))
        else:
            j -= 1
            edits.append(Edit("insert", i, j))
    return edits[::-1]
