"""`make bench`: every timed comparison in turn."""

from __future__ import annotations

from tests.benchmarks import decoders, training, transcription

print("== beam decoders ==")
decoders.main([])
print("\n== training ==")
training.main([])
print("\n== files to text ==")
transcription.main([])
