"""The passes that turn the packed rows of the binary form into the arrays of an `NgramModel`, compiled.

Each reads and writes an order once, from its first n-gram to its last, where a library of arrays would make a pass for
each step. Whole numbers come as their bytes, lowest first, an empty array for a byte that is always 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from asr.nn.numba_cache import Compiler

COMPILER = Compiler("language model files", [Path(__file__)])

Array = NDArray[Any]
Rows = tuple[Array, Array, Array, Array]
"""The bytes of whole numbers, lowest first."""


@COMPILER.inner
def number(rows: Rows, index: int) -> int:
    """The whole number at `index`."""
    low, second, third, high = rows
    value = int(low[index])
    if len(second):
        value |= int(second[index]) << 8
    if len(third):
        value |= int(third[index]) << 16
    if len(high):
        value |= int(high[index]) << 24
    return value


@COMPILER.kernel
def count_children(rows: Rows, start: int, first_child: Array) -> None:
    """Fill `first_child` for the nodes from `start` on, whose numbers of children are given, and one further."""
    count = len(rows[0])
    node = start + count
    for index in range(count):
        first_child[start + index] = node
        node += number(rows, index)
    first_child[start + count] = node


@COMPILER.kernel
def place_children(rows: Rows, parents: int, start: int, first_child: Array, suffix: Array, word: Array) -> None:
    """Fill `suffix` and `word` of the nodes from `start` on, the children of the nodes from `parents` on.

    The numbers are the gaps between the places of siblings among the children of their parent's suffix.
    """
    node = start
    for parent in range(parents, start):
        child = first_child[suffix[parent]] - 1
        for _ in range(first_child[parent + 1] - first_child[parent]):
            child += number(rows, node - start) + 1
            suffix[node] = child
            word[node] = word[child]
            node += 1


@COMPILER.kernel
def look_up_codes(book: Array, codes: Array, out: Array) -> None:
    """`book[codes]` into `out`."""
    for index in range(len(codes)):
        out[index] = book[codes[index]]
