from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.segmentation import SegmentationConfig, segment_at_pauses

RATE = 16000


def sound(*parts: float, seed: int = 0) -> np.ndarray:
    """Noise for positive seconds, a faint hiss for negative ones."""
    random = np.random.default_rng(seed)
    return np.concatenate(
        [(0.1 if part > 0 else 1e-3) * random.standard_normal(round(abs(part) * RATE)) for part in parts]
    ).astype(np.float32)


def blocks(samples: np.ndarray, seconds: float = 3.0) -> list[np.ndarray]:
    size = round(seconds * RATE)
    return [samples[start : start + size] for start in range(0, len(samples), size)]


def seconds(chunks) -> list[tuple[float, float]]:
    return [
        ((each.start + each.before) / RATE, (each.start + len(each.samples) - each.after) / RATE) for each in chunks
    ]


def test_a_short_recording_is_left_alone():
    samples = sound(-3, 2, -4, 2, -3)
    (chunk,) = segment_at_pauses(blocks(samples), RATE)
    np.testing.assert_array_equal(chunk.samples, samples)
    assert (chunk.start, chunk.before, chunk.after) == (0, 0, 0)


def test_nothing_gives_nothing():
    assert list(segment_at_pauses([], RATE)) == []


def test_cuts_lie_in_the_pauses():
    chunks = list(segment_at_pauses(blocks(sound(-2, 8, -1, 9, -5, 3, -3, 12)), RATE))
    wanted = [(2, 10), (11, 20), (25, 28), (31, 43)]
    assert len(chunks) == 4
    for (begin, end), (first, last) in zip(seconds(chunks), wanted, strict=True):
        assert first - 0.3 <= begin <= first
        assert last <= end <= last + 0.3


def test_a_brief_pause_is_better_than_none():
    chunks = list(segment_at_pauses(blocks(sound(14, -0.2, 13, -0.2, 11)), RATE))
    assert seconds(chunks)[0][1] == pytest.approx(14.1, abs=0.06)
    assert seconds(chunks)[1][1] == pytest.approx(27.3, abs=0.06)


def test_endless_sound_is_cut_with_context_on_both_sides():
    samples = sound(100)
    config = SegmentationConfig(max_chunk_s=10.0, context_s=0.5)
    chunks = list(segment_at_pauses(blocks(samples), RATE, config))
    assert chunks[0].before == 0
    assert chunks[-1].after == 0
    for chunk in chunks:
        np.testing.assert_array_equal(chunk.samples, samples[chunk.start : chunk.start + len(chunk.samples)])
    spans = seconds(chunks)
    for (_, end), (begin, _), left, right in zip(spans, spans[1:], chunks, chunks[1:], strict=False):
        assert begin == pytest.approx(end)
        assert left.after == right.before == round(0.5 * RATE)
    assert (spans[0][0], spans[-1][1]) == (0.0, 100.0)


@pytest.mark.parametrize("silence", [29.0, 31.0, 41.0, 42.3, 45.0, 47.9, 49.8, 50.0, 70.0, 92.0, 95.5])
def test_speech_after_a_long_silence_is_one_piece(silence):
    samples = sound(6, -silence, 15, -5)
    samples[6 * RATE : -20 * RATE] = 0
    later = (6 + silence, 21 + silence)
    for offset, wanted in ((0, [(0, 6), later]), (6, [later])):
        chunks = list(segment_at_pauses(blocks(samples[offset * RATE :]), RATE))
        assert len(chunks) == len(wanted)
        for (begin, end), (first, last) in zip(seconds(chunks), wanted, strict=True):
            assert first - 0.3 <= begin + offset <= first
            assert last <= end + offset <= last + 0.3


def test_hours_of_silence_give_nothing():
    assert list(segment_at_pauses(blocks(np.zeros(RATE * 300, np.float32)), RATE)) == []


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(st.floats(0.05, 20) | st.floats(-8, -0.05) | st.floats(-60, -25), min_size=1, max_size=12),
    block=st.floats(0.05, 30),
    seed=st.integers(0, 99),
)
def test_pieces_are_ordered_bounded_and_hold_all_that_is_loud(parts, block, seed):
    samples = sound(*parts, seed=seed)
    config = SegmentationConfig()
    chunks = list(segment_at_pauses(blocks(samples, block), RATE, config))
    covered = np.zeros(len(samples), dtype=bool)
    now = 0
    for chunk in chunks:
        np.testing.assert_array_equal(chunk.samples, samples[chunk.start : chunk.start + len(chunk.samples)])
        begin, end = chunk.start + chunk.before, chunk.start + len(chunk.samples) - chunk.after
        assert begin >= now
        assert 0 < end - begin <= (config.max_chunk_s + 0.02) * RATE
        covered[begin:end] = True
        now = end
    if any(part < -1 for part in parts) or len(samples) <= 20 * RATE:
        return
    assert covered[np.abs(samples) > 0.2].mean() > 0.99


def test_blocks_of_any_size_give_the_same_pieces():
    samples = sound(5, -1, 9, -2.5, 30, -0.7, 3, -6, 8)
    first = [each.start for each in segment_at_pauses(blocks(samples, 3.0), RATE)]
    for size in (0.11, 1.0, 200.0):
        assert [each.start for each in segment_at_pauses(blocks(samples, size), RATE)] == first
