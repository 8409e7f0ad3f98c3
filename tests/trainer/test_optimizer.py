"""The learning rate as a table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.config import validate
from asr.errors import UsageError
from asr.trainer.optimizer import ScheduleConfig, learning_rate


@pytest.mark.parametrize(
    ("config", "update", "progress", "expected"),
    [
        (ScheduleConfig(peak=1.0, warmup_updates=10), 0, 0.0, 0.1),
        (ScheduleConfig(peak=1.0, warmup_updates=10), 4, 0.0, 0.5),
        (ScheduleConfig(peak=1.0, warmup_updates=10), 9, 0.0, 1.0),
        (ScheduleConfig(peak=1.0, warmup_updates=0), 0, 0.0, 1.0),
        (ScheduleConfig(peak=2.0, warmup_updates=1, final_share=0.0), 50, 0.5, 1.0),
        (ScheduleConfig(peak=2.0, warmup_updates=1, final_share=0.0), 50, 1.0, 0.0),
        (ScheduleConfig(peak=2.0, warmup_updates=1, final_share=0.1), 50, 1.0, 0.2),
        (ScheduleConfig(peak=1.0, warmup_updates=1, decay_from=0.5), 50, 0.5, 1.0),
        (ScheduleConfig(peak=1.0, warmup_updates=1, decay_from=0.5, final_share=0.0), 50, 0.75, 0.5),
        (ScheduleConfig(peak=1.0, warmup_updates=1, decay="linear", final_share=0.0), 50, 0.25, 0.75),
        (ScheduleConfig(peak=1.0, warmup_updates=1, decay="cosine", final_share=0.0), 50, 0.25, 0.853553),
        (ScheduleConfig(peak=1.0, warmup_updates=1, decay_from=1.0), 50, 0.999, 1.0),
    ],
)
def test_rates(config: ScheduleConfig, update: int, progress: float, expected: float) -> None:
    assert learning_rate(config, update, progress) == pytest.approx(expected, abs=1e-6)


@given(
    decay=st.sampled_from(["cosine", "linear"]),
    start=st.floats(0, 0.99),
    share=st.floats(0, 1),
    progress=st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted),
)
def test_after_the_warm_up_it_only_falls_and_stays_between_peak_and_end(decay, start, share, progress):
    config = ScheduleConfig(peak=3.0, warmup_updates=5, decay_from=start, decay=decay, final_share=share)
    before, after = (learning_rate(config, 100, p) for p in progress)
    assert 3.0 * share - 1e-9 <= after <= before + 1e-9 <= 3.0 + 2e-9


@pytest.mark.parametrize("wrong", [{"peak": 0}, {"warmup_updates": -1}, {"decay_from": 1.5}, {"decay": "steep"}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        validate(ScheduleConfig, wrong, "here")
