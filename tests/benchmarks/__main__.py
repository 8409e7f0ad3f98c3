"""`make bench`: every timed comparison in turn."""

from __future__ import annotations

from tests.benchmarks import decoders, training

print("== beam decoders ==")
decoders.main([])
print("\n== training ==")
training.main([])
