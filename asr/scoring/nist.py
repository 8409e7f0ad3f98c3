"""The alignment of NIST's `sclite`: a substitution costs 4, a deletion or an insertion 3.

With these costs a substitution (4) is dearer than half a deletion with an insertion (3 + 3), so `sclite` sometimes
prefers a deletion and an insertion that recover a hit where the unit costs of `levenshtein` see fewer errors: its
S + D + I can be larger. Where two ways cost the same, the order of preference below is `sclite`'s own (checked
against the program count by count), because equally dear ways may differ in their number of errors:
4 × 3 substitutions weigh as much as 3 × (2 deletions + 2 insertions).
"""

from __future__ import annotations

from collections.abc import Sequence

from asr.scoring.alignment import Edit

SUBSTITUTION = 4
GAP = 3  # a deletion or an insertion
_DIAGONAL, _DELETE, _INSERT = 0, 1, 2


def find_nist_edits(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Edit]:
    """The errors of the cheapest alignment under costs 4/3/3, in order."""
    return _trace_back(_moves(reference, hypothesis), reference, hypothesis)


def _moves(reference: Sequence[str], hypothesis: Sequence[str]) -> list[bytearray]:
    """For every cell of the table the last move of a cheapest way to it; margins are left to the trace."""
    above = [GAP * j for j in range(len(hypothesis) + 1)]
    table = []
    for i, word in enumerate(reference, 1):
        left = GAP * i
        row, moves = [left], bytearray(len(hypothesis))
        for j, other in enumerate(hypothesis):
            diagonal = above[j] if word == other else above[j] + SUBSTITUTION
            deletion, insertion = above[j + 1] + GAP, left + GAP
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


def _trace_back(table: list[bytearray], reference: Sequence[str], hypothesis: Sequence[str]) -> list[Edit]:
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
