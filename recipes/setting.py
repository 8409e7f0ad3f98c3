"""Print a setting of an experiment: `setting.py output|init_from|train|validation CONFIG.yaml [key.sub=value]...`.

Of `train` and `validation` these are the manifests' names, a line each: `dev-clean` for data/manifests/dev-clean.jsonl.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asr.cli.main import plain_errors
from asr.config import apply_overrides, read_yaml

key, config, *overrides = sys.argv[1:]
with plain_errors():
    value = apply_overrides({"output": f"exp/{Path(config).stem}"} | read_yaml(config), overrides).get(key)
if isinstance(value, list):
    for item in value:
        print(Path(item["manifest"] if isinstance(item, dict) else item).stem)
elif value is not None:
    print(value)
