"""The pacer and the forecast."""

from __future__ import annotations

from typing import Any

import pytest
from batch_world import steady
from hypothesis import given
from hypothesis import strategies as st
from solidgreen.errors import BadInput
from solidgreen.pacing import Pacer, Pacing, forecast

PLAN = Pacing(min_interval=3.0, max_in_flight=4, retries_429=8, budget_minutes=45)
seconds = st.floats(0, 1000)


@steady
@given(st.floats(0, 10), st.lists(st.tuples(st.sampled_from(["start", "pause"]), seconds), max_size=40))
def test_nothing_is_due_before_the_interval_and_every_pause_are_over(
    interval: float, events: list[tuple[str, float]]
) -> None:
    pacer, now, started, pauses = Pacer(interval), 0.0, None, [0.0]
    for kind, amount in events:
        if kind == "start":
            now = max(now, pacer.due)
            pacer.started(now)
            started = now
        else:
            pacer.pause(now + amount)
            pauses.append(now + amount)
        assert started is None or pacer.due >= started + interval
        assert pacer.due >= max(pauses)


def test_a_longer_pause_is_never_shortened() -> None:
    pacer = Pacer(0.0)
    pacer.pause(60.0)
    pacer.pause(5.0)
    assert pacer.due == pacer.paused_until == 60.0


@given(st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
@steady
def test_a_backoff_doubles_up_to_its_cap_and_is_never_less_than_half_of_it(attempt: int, jitter: float) -> None:
    whole = min(PLAN.max_backoff_s, PLAN.base_backoff_s * 2.0 ** (min(attempt, 30) - 1))
    assert whole / 2 <= PLAN.backoff(attempt, lambda: jitter) <= whole


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_interval", -0.1),
        ("min_interval", float("nan")),
        ("max_in_flight", 0),
        ("retries_429", -1),
        ("budget_minutes", float("inf")),
    ],
)
def test_a_pacing_that_cannot_be_kept_is_refused_by_name(name: str, value: float) -> None:
    numbers: dict[str, Any] = {"min_interval": 3.0, "max_in_flight": 1, "retries_429": 8, "budget_minutes": 45}
    with pytest.raises(BadInput, match=f"pacing {name}: found {value}"):
        Pacing(**{**numbers, name: value})


@pytest.mark.parametrize(
    ("cases", "spent", "fits", "words"),
    [
        (
            90,
            0.0,
            True,
            "90 cases, starts at least 3 s apart: 4.5 min and one answer's time; 45.0 min of 45 min left: fits",
        ),
        (
            1000,
            0.0,
            False,
            "1000 cases, starts at least 3 s apart: 50.0 min and one answer's time; 45.0 min of 45 min left",
        ),
        (90, 43 * 60.0, False, "2.0 min of 45 min left: does not fit"),
        (10, 0.0, True, "10 cases, starts at least 3 s apart: 27 s and one answer's time"),
        (0, 0.0, True, "no case left to send"),
    ],
)
def test_a_forecast_says_before_the_first_request_whether_the_run_fits(
    cases: int, spent: float, fits: bool, words: str
) -> None:
    outlook = forecast(cases, PLAN, spent_s=spent)
    assert outlook.fits is fits
    assert words in outlook.sentence()
