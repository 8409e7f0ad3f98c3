"""Live cutting: pauses close chunks, clicks are dropped, nothing is lost between two cuts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio.segmentation import Chunk
from asr.serve.segmenter import LiveConfig, LiveSegmenter
from tests.serve.test_live import spoken

RATE = 16000


def chunks_of(samples: np.ndarray, block: int, config: LiveConfig | None = None) -> list[Chunk]:
    segmenter = LiveSegmenter(RATE, config)
    chunks = [
        chunk for start in range(0, len(samples), block) for chunk in segmenter.feed(samples[start : start + block])
    ]
    last = segmenter.finish()
    return [*chunks, last] if last else chunks


@pytest.mark.parametrize(("bursts", "pause", "count"), [((1, 1), 1.0, 2), ((1, 1), 0.4, 1), ((3,), 2.0, 1), ((), 1, 0)])
def test_pauses(bursts: tuple[float, ...], pause: float, count: int) -> None:
    assert len(chunks_of(spoken(*bursts, pause=pause), 1600)) == count


def test_a_click_is_no_speech() -> None:
    samples = spoken(2.0, 0.05, 2.0)
    assert len(chunks_of(samples, 1600)) == 2


def test_the_first_word_after_a_long_silence_is_whole() -> None:
    random = np.random.default_rng(0)
    samples = (0.0005 * random.standard_normal(40 * RATE)).astype(np.float32)
    samples[30 * RATE : 31 * RATE] += (0.1 * random.standard_normal(RATE)).astype(np.float32)
    (chunk,) = chunks_of(samples, 1600)
    assert chunk.start <= 30 * RATE
    assert chunk.start + len(chunk.samples) >= 31 * RATE


@settings(deadline=None, max_examples=15)
@given(
    bursts=st.lists(st.floats(0.3, 9), min_size=1, max_size=3),
    pause=st.floats(0.1, 1.5),
    block=st.integers(800, 9000),
)
def test_chunks_hold_all_speech_once(bursts: list[float], pause: float, block: int) -> None:
    samples = spoken(*bursts, pause=pause)
    loud = np.abs(samples) > 0.05
    held = np.zeros(len(samples), int)
    for chunk in chunks_of(samples, block, LiveConfig(max_chunk_s=4.0)):
        assert np.array_equal(samples[chunk.start : chunk.start + len(chunk.samples)], chunk.samples)
        held[chunk.start + chunk.before : chunk.start + len(chunk.samples) - chunk.after] += 1
    assert held.max() <= 1
    assert held[loud].mean() > 0.97


def test_what_is_open_grows() -> None:
    segmenter = LiveSegmenter(RATE)
    samples = spoken(5.0)
    lengths = []
    for start in range(0, 4 * RATE, 1600):
        segmenter.feed(samples[start : start + 1600])
        if (chunk := segmenter.open_chunk()) is not None:
            lengths.append(len(chunk.samples))
    assert lengths == sorted(lengths)
    assert lengths[-1] > 3 * RATE
