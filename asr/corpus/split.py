"""Dividing a corpus so that anybody gets the same division again: by speaker, by chapter, by clip.

Divisions are published as lists of ids (`recipes/*/splits/`); the rules here made them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def alternate(speakers: Iterable[str]) -> tuple[list[str], list[str]]:
    """Two halves of a set of numeric speaker ids: sorted as numbers, the 1st, 3rd, 5th … and the others."""
    ordered = sorted(set(speakers), key=int)
    return ordered[::2], ordered[1::2]


def share(key: str, seed: int) -> float:
    """A number in [0, 1) drawn from the name alone: SHA-256 of `<seed>:<key>`, its first 8 bytes over 2^64.

    Each clip falls on its side whatever else is at hand, so a part of a corpus is divided as the whole would be.
    """
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
