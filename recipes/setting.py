"""Print a setting of an experiment: `setting.py output|train|validation CONFIG.yaml [key.sub=value]...`.

Of `train` and `validation`, the names of the manifests, a line each: `train-clean-5` for data/manifests/train-clean-5.jsonl.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asr.config import apply_overrides, read_yaml

key, config, *overrides = sys.argv[1:]
value = apply_overrides({"output": f"exp/{Path(config).stem}"} | read_yaml(config), overrides).get(key, [])
if key == "output":
    print(value)
else:
    for item in value:
        print(Path(item["manifest"] if isinstance(item, dict) else item).stem)
