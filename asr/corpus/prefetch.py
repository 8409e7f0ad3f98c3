"""Work done by threads ahead of whoever needs it, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    prepare: Callable[[Item], Result], items: Sequence[Item], workers: int = 1, ahead: int = 3
) -> Iterator[Result]:
    """`prepare(item)` of every item in turn, computed by `workers` threads while the consumer computes.

    While the consumer holds one result, `workers + ahead` others are ready or in the making. An error arises where its
    item's result would have. Whoever leaves early waits for the items in the making; no other is begun.
    """
    coming: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            coming.append(pool.submit(prepare, item))
            if len(coming) > workers + ahead:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        # A thread that is still computing when the interpreter ends would take the process down with it.
        pool.shutdown(cancel_futures=True)
