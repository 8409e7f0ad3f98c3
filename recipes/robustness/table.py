"""A table of `asr evaluate`'s reports under all conditions, one or more models side by side.

    table.py REPORTS...        folders that run.sh's stage 2 wrote, the first that of the model in question

The loss is (WER under the condition - WER clean) / WER clean; words are those heard in sounds that hold none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

CLEAN = "clean"


def table(folders: list[Path]) -> str:
    """Rows are conditions; for each folder the word error rate in percent and the loss by the condition."""
    found = [error_rates(folder) for folder in folders]
    head = "".join(f" {folder.name} WER % | loss % |" for folder in folders)
    lines = [f"| condition |{head}", "|---|" + "---:|---:|" * len(folders)]
    for condition in [CLEAN, *sorted(found[0].keys() - {CLEAN})]:
        cells = "".join(cell(rates, condition) for rates in found)
        lines.append(f"| {condition} |{cells}")
    for sound in sorted({sound for folder in folders for sound in no_words(folder)}):
        heard = (no_words(folder).get(sound) for folder in folders)
        cells = "".join(f" {'–' if words is None else f'{words} words'} | |" for words in heard)
        lines.append(f"| {sound} |{cells}")
    return "\n".join(lines) + "\n"


def cell(rates: dict[str, float], condition: str) -> str:
    """Two cells of one row."""
    if condition not in rates:
        return " – | – |"
    rate, clean = rates[condition], rates.get(CLEAN)
    loss = f"+{100 * (rate - clean) / clean:.0f}" if clean and condition != CLEAN else ""
    return f" {100 * rate:.1f} | {loss} |"


def error_rates(folder: Path) -> dict[str, float]:
    """Word error rates (fractions) by condition."""
    reports = sorted(folder.glob("*/report.json"))
    if not reports:
        raise SystemExit(f"asr: {folder} holds no reports; run stage 2 first")
    return {report.parent.name: float(json.loads(report.read_text(encoding="utf-8"))["wer"]) for report in reports}


def no_words(folder: Path) -> dict[str, int]:
    """How many words were heard in each sound that holds none."""
    texts = sorted((folder / "no-words").glob("*.txt"))
    return {path.stem: len(path.read_text(encoding="utf-8").split()) for path in texts}


if __name__ == "__main__":
    print(table([Path(name) for name in sys.argv[1:]]), end="")
