"""The sliding window of the rehearsal API's rate limit, on a real Redis, with a clock the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from rehearsal.api.limiter import Limiter, exempt


def answers(url: str, at: Sequence[float], *, limit: int = 3, authenticated: bool = False) -> list[int | None]:
    """Return what the limiter says to one client at those seconds."""
    moments = iter(at)

    async def ask() -> list[int | None]:
        limiter = Limiter(url, anonymous=limit, authenticated=limit * 2, now=lambda: 1_000_000.0 + next(moments))
        try:
            return [await limiter.retry_after("10.0.0.1", authenticated=authenticated) for _ in at]
        finally:
            await limiter.close()

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ([0, 1, 2, 3], [None, None, None, 57]),
        ([0.0, 0.5, 0.9, 30.6], [None, None, None, 29]),  # 29.4 s are left; the fraction is dropped
        ([0.0, 0.5, 0.9, 30.6, 59.6], [None, None, None, 29, 0]),  # who waits exactly that long is refused again
        ([0.0, 0.5, 0.9, 30.6, 60.6], [None, None, None, 29, None]),  # one second more is enough
        (
            [0, 20, 40, 50, 61, 62, 81],
            [None, None, None, 10, None, 18, None],
        ),  # the window slides, it does not start anew
        ([0, 0, 0, 10, 20, 30, 60.1, 60.1, 60.1], [None, None, None, 50, 40, 30, None, None, None]),
    ],
    ids=["full", "floored", "exact-wait", "one-more", "slides", "refused-do-not-count"],
)
def test_the_window_slides_and_the_wait_is_rounded_down(limits: str, at: list[float], said: list[int | None]) -> None:
    assert answers(limits, at) == said


def test_an_authorised_client_has_a_limit_of_its_own(limits: str) -> None:
    assert answers(limits, [0] * 4) == [None, None, None, 60]
    assert answers(limits, [0] * 7, authenticated=True) == [None] * 6 + [60]


def test_a_restarted_limiter_remembers(limits: str) -> None:
    assert answers(limits, [0, 0, 0]) == [None] * 3
    assert answers(limits, [5]) == [55]


def test_without_redis_nobody_is_refused() -> None:
    assert answers("redis://127.0.0.1:1", [0] * 5) == [None] * 5


@pytest.mark.parametrize("path", ["/health", "/healthz", "/health/ready", "/metrics", "/docs", "/openapi.json"])
def test_probes_are_exempt(path: str) -> None:
    assert exempt(path)


@pytest.mark.parametrize("path", ["/", "/api/validate/", "/api/health", "/redoc"])
def test_everything_else_counts(path: str) -> None:
    assert not exempt(path)
