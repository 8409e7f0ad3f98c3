"""The same generated inputs in every run: a few in the fast suite, thousands in `make test-full`."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, Phase, seed, settings


def examples(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Let a test with `given` see the same `count` inputs in every run."""

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        quick = settings(
            max_examples=count,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )
        return seed(20)(quick(test))

    return decorate
