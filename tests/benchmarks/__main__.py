"""`make bench`: every timed comparison in turn."""

from __future__ import annotations

from tests.benchmarks import decoders, recurrence, speed, training, transcription

print("== beam decoders ==")
decoders.main([])
print("\n== a recurrent layer ==")
recurrence.main([])
print("\n== training ==")
training.main([])
print("\n== network, search, start-up ==")
speed.main([])
print("\n== files to text ==")
transcription.main([])
