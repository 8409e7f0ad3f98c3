"""A large corpus is scored in the time and the memory that were promised."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
WRITE = """
import random, sys
generator = random.Random(1)
words = [f"W{number}" for number in range(20000)]
with open(sys.argv[1] + "/ref.trn", "w") as reference, open(sys.argv[1] + "/hyp.trn", "w") as hypothesis:
    for number in range(100_000):
        said = generator.choices(words, k=20)
        kept = [word for word in said if generator.random() > 0.03]
        heard = [generator.choice(words) if generator.random() < 0.1 else word for word in kept]
        print(" ".join(said), f"({number % 500}-{number})", file=reference)
        print(" ".join(heard), f"({number % 500}-{number})", file=hypothesis)
"""
SCORE = """
import sys
from asr.cli.main import app
from tests.memory import peak_mib
app(sys.argv[1:], standalone_mode=False)
print("peak", peak_mib())
"""


def test_a_hundred_thousand_utterances_within_a_minute_and_two_gigabytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path)], check=True)
    out = tmp_path / "report.json"
    command = ["score", tmp_path / "ref.trn", tmp_path / "hyp.trn", "--speaker-from", r"^(\d+)-", "--json", out]
    started = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", SCORE, *map(str, command)], capture_output=True, text=True, check=True
    )
    elapsed, peak = time.monotonic() - started, int(result.stdout.rsplit("peak", 1)[1])
    data = json.loads(out.read_text())
    assert data["words"]["reference"] == 2_000_000
    assert data["interval"]["speakers"]["trusted"]
    print(f"\n{elapsed:.1f} s, {peak} MB")
    assert elapsed < 60
    assert peak < 2000
