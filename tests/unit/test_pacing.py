"""The pacer and the forecast."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from batch_world import steady
from hypothesis import given
from hypothesis import strategies as st
from solidgreen.errors import BadInput
from solidgreen.pacing import Limit, Pace, Pacer, Pacing, Shard, Slots, forecast, learnt

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
            now = pacer.due(now)
            pacer.started(now)
            started = now
        else:
            pacer.pause(now + amount)
            pauses.append(now + amount)
        assert started is None or pacer.due(now) >= started + interval
        assert pacer.due(now) >= max(pauses)


def test_a_longer_pause_is_never_shortened() -> None:
    pacer = Pacer(0.0)
    pacer.pause(60.0)
    pacer.pause(5.0)
    assert pacer.due(0.0) == pacer.paused_until == 60.0


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


UNKNOWN_LIMIT = "rate limit unknown, the first 429 tells it"
TEN = Limit(10, 60.0)


@pytest.mark.parametrize(
    ("cases", "spent", "known", "fits", "words"),
    [
        (90, 0.0, {}, True, f"90 cases, starts at least 3 s apart, {UNKNOWN_LIMIT}: 4.5 min and one answer's time; "),
        (90, 0.0, {}, True, "; 45.0 min of 45 min left: fits"),
        (1000, 0.0, {}, False, "50.0 min and one answer's time; 45.0 min of 45 min left: does not fit"),
        (90, 43 * 60.0, {}, False, "2.0 min of 45 min left: does not fit"),
        (10, 0.0, {}, True, ": 27 s and one answer's time"),
        (90, 0.0, {"limit": TEN}, True, "at most 10 in 60 s, no 429 expected: 8.5 min and one answer's time"),
        (500, 0.0, {"limit": TEN}, False, "49.9 min and one answer's time; 45.0 min of 45 min left: does not fit"),
        (20, 0.0, {"limit": TEN, "cooling_s": 42.0}, True, "a cool-down of 42 s first: 2.2 min"),
        (90, 0.0, {"limit": Limit(120, 60.0)}, True, "at most 120 in 60 s, no 429 expected: 4.5 min"),
        (45, 0.0, {"shard": Shard(1, 2)}, True, "45 cases, starts at least 6.3 s apart"),
        (0, 0.0, {}, True, "no case left to send"),
    ],
)
def test_a_forecast_says_before_the_first_request_whether_the_run_fits(
    cases: int, spent: float, known: dict[str, Any], fits: bool, words: str
) -> None:
    outlook = forecast(cases, PLAN, spent_s=spent, **known)
    assert outlook.fits is fits
    assert words in outlook.sentence()


@given(
    cases=st.integers(1, 200),
    interval=st.sampled_from([0.0, 0.5, 3.0]),
    requests=st.integers(1, 30),
    window=st.sampled_from([5.0, 60.0]),
    sent=st.lists(st.floats(-90, 0), max_size=40),
    cooling=st.sampled_from([0.0, 42.0]),
)
@steady
def test_the_forecast_is_the_schedule_the_pacer_keeps(
    cases: int, interval: float, requests: int, window: float, sent: list[float], cooling: float
) -> None:
    pacing = Pacing(min_interval=interval, max_in_flight=1, retries_429=8, budget_minutes=45)
    limit, pacer, now = Limit(requests, window), Pacer(interval), cooling
    pacer.recall(sent)
    pacer.keep_below(Pace(limit, "stated"))
    for _ in range(cases):
        now = pacer.due(now)
        pacer.started(now)
    assert now == pytest.approx(forecast(cases, pacing, limit=limit, sent=sent, cooling_s=cooling).seconds)


@pytest.mark.parametrize("text", ["", "10", "0/60", "10/0", "-1/60", "10/60/1", "ten a minute", "1e9/60"])
def test_a_limit_in_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match="requests and seconds like 10/60"):
        Limit.parse(text)
    if text:
        with pytest.raises(BadInput, match="rate limit: found"):
            Pacing(min_interval=3.0, max_in_flight=1, retries_429=8, budget_minutes=45, rate_limit=text)


@pytest.mark.parametrize("text", ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3"])
def test_a_shard_in_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadInput, match=r"shard: found .* like 1/2"):
        Shard.parse(text)


def test_the_shards_of_a_run_are_the_run() -> None:
    cases = list(range(11))
    shares = [Shard(index, 3).of_run(cases) for index in (1, 2, 3)]
    assert sorted(case for share in shares for case in share) == cases
    assert [len(share) for share in shares] == [4, 4, 3]


#: Ten starts, three seconds apart, and the eleventh refused: the contract's limit as a run meets it first.
TEN_STARTS = [3.0 * n for n in range(10)]


@pytest.mark.parametrize(
    ("starts", "refused", "retry_after", "expected"),
    [
        pytest.param(TEN_STARTS, 30.0, 30, (10, 60, True), id="the contract, rounded exactly"),
        pytest.param(TEN_STARTS, 30.4, 29, (10, 60, True), id="the contract, rounded down"),
        pytest.param(TEN_STARTS, 29.9, 31, (10, 60, True), id="rounded up"),
        pytest.param([-500.0, -400.0, *TEN_STARTS], 30.2, 29, (10, 60, True), id="after a silence"),
        pytest.param([float(n) for n in range(100)], 100.0, 3500, (100, 3600, True), id="a hundred an hour"),
        pytest.param([0.1 * n for n in range(9)], 0.9, 0, (9, 1, True), id="nine a second"),
        pytest.param([0.0, 3.0, 6.0], 9.0, 40, (5, 60, False), id="others were before us"),
        pytest.param([-20.0, -19.0, -18.0, -17.0, *TEN_STARTS[:5]], 15.0, 9, (10, 60, True), id="one was before us"),
        pytest.param([*TEN_STARTS[:8]], 24.0, 33, (10, 60, True), id="two were before us"),
        pytest.param([6.5 * n for n in range(100)], 650.0, 3, (10, 60, True), id="others came in the middle"),
        pytest.param(TEN_STARTS, 30.0, None, (10, 60, True), id="no time stated"),
        pytest.param([], 0.0, 40, None, id="nothing of ours was admitted"),
        pytest.param([-4000.0], 0.0, 40, None, id="nothing of ours was admitted lately"),
        pytest.param([0.0], 3.0, None, (1, 60, False), id="next to nothing known"),
        pytest.param([0.5 * n for n in range(2000)], 1000.0, 3500, (2001, 3600, False), id="more than any usual one"),
    ],
)
def test_a_refusal_tells_the_limit_as_far_as_it_can(
    starts: list[float], refused: float, retry_after: float | None, expected: tuple[int, int, bool] | None
) -> None:
    told = learnt(starts, refused, retry_after)
    assert (told and (told.limit.requests, told.limit.window_s, told.certain)) == expected


def test_a_limit_that_was_only_assumed_is_tried_higher_after_a_window_in_peace() -> None:
    pacer, now = Pacer(3.0), 0.0
    pacer.keep_below(Pace(Limit(3, 60.0), "assumed", certain=False))
    for _ in range(12):
        now = pacer.due(now)
        pacer.started(now)
    assert pacer.pace is not None
    assert pacer.pace.limit == Limit(10, 60.0)


def test_a_step_up_that_was_refused_is_taken_back_for_good() -> None:
    pacer, now = Pacer(3.0), 0.0
    pacer.keep_below(Pace(Limit(5, 60.0), "assumed", certain=False))
    for _ in range(8):
        now = pacer.due(now)
        pacer.started(now)
    assert pacer.limit == Limit(10, 60.0)
    pacer.refused(now, 45.0, now + 46.0)
    for _ in range(60):
        now = pacer.due(now)
        pacer.started(now)
    assert pacer.limit == Limit(5, 60.0)


def test_a_refusal_that_was_counted_as_admitted_is_taken_out_when_it_lands() -> None:
    pacer = Pacer(3.0)
    for moment in [*TEN_STARTS, 30.0, 33.0]:
        pacer.started(moment)
    pacer.refused(33.0, 26.0, 61.0)
    assert pacer.limit == Limit(11, 60.0)
    pacer.refused(30.0, 29.0, 61.0)
    assert pacer.limit == TEN


def test_together_shards_keep_below_a_limit_smaller_than_their_number() -> None:
    share = Pace(Limit(3, 60.0), "stated").shared(4).limit
    assert 4 * share.rate <= Limit(3, 60.0).rate


def test_a_limit_that_was_told_exactly_is_never_tried_higher() -> None:
    pacer, now = Pacer(3.0), 0.0
    pacer.keep_below(Pace(TEN, "learnt"))
    for _ in range(50):
        now = pacer.due(now)
        pacer.started(now)
    assert pacer.limit == TEN


def test_a_refusal_below_what_was_known_lowers_it_once_an_episode_and_it_rises_no_higher_than_it_was() -> None:
    pacer, now = Pacer(3.0), 0.0
    pacer.keep_below(Pace(TEN, "stated"))
    for _ in range(5):
        now = pacer.due(now)
        pacer.started(now)
    pacer.refused(now, 20.0, now + 21.0)
    pacer.refused(now - 3.0, 20.0, now + 21.0)  # was under way as well
    assert pacer.limit == Limit(9, 60.0)
    for _ in range(60):
        now = pacer.due(now)
        pacer.started(now)
    assert pacer.limit == TEN


@given(
    of=st.integers(1, 5),
    interval=st.sampled_from([0.0, 0.1, 3.0]),
    waits=st.lists(st.tuples(st.integers(0, 4), st.floats(0, 20)), min_size=2, max_size=60),
)
@steady
def test_no_two_shards_start_closer_than_the_interval(of: int, interval: float, waits: list[tuple[int, float]]) -> None:
    # Each process has a monotonic clock of its own; what they share is the wall clock.
    zeros = [1_700_000_000.0 + 1000.3 * index for index in range(of)]
    pacers = [Pacer(interval, slots=Slots(Shard(i + 1, of), interval, zeros[i])) for i in range(of)]
    starts: list[tuple[float, int]] = []
    for which, wait in waits:
        index = which % of
        pacer, own = pacers[index], [moment for moment, who in starts if who == index]
        now = pacer.due((max(own) - zeros[index] if own else 0.0) + wait)
        pacer.started(now)
        starts.append((now + zeros[index], index))
    starts.sort()
    gaps = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(starts)]
    assert all(gap >= interval - 1e-5 for gap in gaps)


def test_a_shard_that_has_its_way_loses_no_turn() -> None:
    slots = Slots(Shard(2, 3), 3.0, 1_700_000_000.25)
    pacer, now = Pacer(3.0, slots=slots), 0.0
    starts = []
    for _ in range(20):
        now = pacer.due(now) + 0.01  # wakes a little late
        pacer.started(now)
        starts.append(now)
    assert starts[-1] - starts[0] == pytest.approx(19 * slots.interval, abs=0.2)
