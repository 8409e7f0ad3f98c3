"""Hours of sound in the memory of minutes."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.recordings import noisy

PROGRAM = """
import sys
import asr
from tests.memory import peak_mib
transcript = asr.load_model(sys.argv[1], threads=1).transcribe(sys.argv[2], words=False)
print(transcript.duration, len(transcript.segments), peak_mib())
"""


def write_minutes(path: Path, minutes: int) -> None:
    """The same minute over and over, written in a stream."""
    minute = noisy(60.0, 1)
    with soundfile.SoundFile(path, "w", 16000, 1, subtype="PCM_16") as file:
        for _ in range(minutes):
            file.write(minute)


def measure(model: Path, path: Path) -> tuple[float, int, int]:
    """Duration, segments and peak memory in MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(model), str(path)], capture_output=True, text=True, check=True
    )
    duration, segments, memory = done.stdout.split()
    return float(duration), int(segments), int(memory)


@pytest.mark.slow
def test_ten_hours_take_the_memory_of_ten_minutes(tiny_model, tmp_path):
    peaks = {}
    for minutes in (10, 600):
        path = tmp_path / f"{minutes}.flac"
        write_minutes(path, minutes)
        duration, segments, peaks[minutes] = measure(tiny_model, path)
        assert duration == minutes * 60
        assert segments > minutes
    assert peaks[600] - peaks[10] < 200, peaks


def test_the_first_segment_comes_before_the_last_is_read(tiny_model, tmp_path):
    """A generator over a long recording gives what it has long before the end."""
    import asr

    path = tmp_path / "long.flac"
    write_minutes(path, 6)
    recognizer = asr.load_model(tiny_model, threads=1)
    stream = recognizer.stream(path, words=False)
    first = next(stream)
    assert first.start < 5
    path.unlink()  # an open file may go; its reader must not notice
    seconds = [segment.start for segment in stream]
    assert seconds == sorted(seconds)
    assert seconds[-1] > 5 * 60


def test_a_long_recording_cut_in_pieces_has_no_gap_or_overlap(tiny_model, tmp_path):
    import asr

    samples = np.concatenate([noisy(60.0, seed) for seed in range(3)])
    words = asr.load_model(tiny_model).transcribe(samples).words
    for before, after in itertools.pairwise(words):
        assert before.start < before.end <= after.start < after.end <= 180.0
