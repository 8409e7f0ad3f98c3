"""Print a table of results from the `report.json` files of `asr evaluate`: `results.py REPORT.json...`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

print("| manifest | search | utterances | words | WER % | 95 % over speakers | CER % | times real time |")
print("|---|---|---:|---:|---:|---|---:|---:|")
for name in sys.argv[1:]:
    report = json.loads(Path(name).read_text(encoding="utf-8"))
    settings = report["settings"]
    interval = report["interval"].get("speakers") or report["interval"]["utterances"]
    decoding = settings["decoding"]
    search = " ".join(str(value) for value in decoding.values() if isinstance(value, (str, int)))
    cells = [
        Path(settings["data"]["manifest"]).stem,
        search,
        f"{report['utterance_count']:,}",
        f"{report['words']['reference']:,}",
        f"{100 * report['wer']:.2f}",
        f"{100 * interval['low']:.1f}–{100 * interval['high']:.1f}",
        f"{100 * report['cer']:.2f}",
        f"{1 / settings['real_time_factor']:.0f}",
    ]
    print(f"| {' | '.join(cells)} |")
