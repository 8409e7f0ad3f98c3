"""Print a table of results from the `report.json` files of `asr evaluate`: `results.py REPORT.json...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

print("| report | utterances | words | WER % | 95 % interval | CER % |")
print("|---|---:|---:|---:|---|---:|")
for name in sys.argv[1:]:
    report = json.loads(Path(name).read_text(encoding="utf-8"))
    print(f"| {Path(name).parent.name} | {report.get('utterances', '')} | {100 * report['wer']:.2f} |")
