"""Former names stand in their table and nowhere else; what reads them is tested where it is read."""

from __future__ import annotations

import io
import tokenize
from pathlib import Path

from asr.former_names import KEYS, NEGATED, PUBLIC

ASR = Path(__file__).resolve().parents[1] / "asr"
TABLE = ASR / "former_names.py"
FORMER = {*KEYS, *NEGATED, *PUBLIC} - {"beam", "memory", "pronunciation"}  # words that have other meanings too
FORMER |= {"hear", "heard", "Heard", "hearing", "load_hearing", "spoken", "Spoken", "judge", "opinion", "dictionary"}
FORMER |= {"speller", "spelling", "guess", "signs", "wording", "meanings", "CutConfig", "rise", "listening", "Listener"}
FORMER |= {"End", "searching", "surface", "certainty", "journal", "Position", "leads", "rehearse", "fit_by_heart"}


def identifiers(path: Path) -> set[str]:
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME}


def test_code_uses_none_of_them() -> None:
    files = [path for path in ASR.rglob("*.py") if path != TABLE]
    found = {str(path.relative_to(ASR)): sorted(FORMER & identifiers(path)) for path in files}
    assert {path: names for path, names in found.items() if names} == {}
