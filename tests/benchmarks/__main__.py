"""`make bench`: every timed comparison in turn."""

from __future__ import annotations

from tests.benchmarks import decoders

print("== beam decoders ==")
decoders.main([])
