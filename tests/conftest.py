"""What every test may use: a seeded generator, and the shared corpora where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CORPORA = Path(os.environ.get("ASR_CORPORA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder of real speech; tests that ask for it are skipped where it is absent."""
    if not (CORPORA / "LibriSpeech").is_dir():
        pytest.skip(f"needs the shared speech corpora, not found at {CORPORA} (set ASR_CORPORA)")
    return CORPORA
