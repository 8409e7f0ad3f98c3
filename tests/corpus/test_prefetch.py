"""Work ahead of its consumer: in order, bounded, with errors in their place and an end without stragglers."""

from __future__ import annotations

import threading
import time

import pytest

from asr.corpus.prefetch import prefetch

WORKERS = [1, 4]


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_results_come_in_order_whoever_is_done_first(workers: int, count: int) -> None:
    def slow_when_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number * number

    assert list(prefetch(slow_when_even, range(count), workers)) == [n * n for n in range(count)]


def test_workers_work_at_the_same_time() -> None:
    meeting = threading.Barrier(3, timeout=10)
    assert len(set(prefetch(lambda _: (meeting.wait(), threading.get_ident())[1], range(3), workers=3))) == 3


@pytest.mark.parametrize("workers", WORKERS)
def test_only_so_much_is_done_ahead(workers: int) -> None:
    begun: list[int] = []
    coming = prefetch(begun.append, range(100), workers, ahead=2)
    assert not begun, "nothing is begun before somebody asks"
    for taken in range(1, 5):
        next(coming)
        most = taken + workers + 2
        patience = time.monotonic() + 10
        while len(begun) < most and time.monotonic() < patience:
            time.sleep(0.001)
        time.sleep(0.01)
        assert len(begun) == most
    coming.close()


@pytest.mark.parametrize("workers", WORKERS)
def test_an_error_arises_where_its_result_would_have(workers: int) -> None:
    def spoil_two(number: int) -> int:
        if number == 2:
            raise ValueError("spoilt")
        return number

    coming = prefetch(spoil_two, range(9), workers)
    assert [next(coming), next(coming)] == [0, 1]
    with pytest.raises(ValueError, match="spoilt"):
        next(coming)


@pytest.mark.parametrize("workers", WORKERS)
def test_leaving_early_ends_the_threads_and_begins_nothing_more(workers: int) -> None:
    before = set(threading.enumerate())
    begun: list[int] = []

    def prepare(number: int) -> None:
        begun.append(number)
        time.sleep(0.01)

    coming = prefetch(prepare, range(100), workers)
    next(coming)
    coming.close()
    assert set(threading.enumerate()) == before
    assert begun == list(range(len(begun)))
    assert len(begun) <= 1 + workers + 3
