"""The runner on a turned clock: starts, pauses, retries, budgets, interruptions."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import json
import os
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from batch_world import SimulatedWorkers, answered, case, job, records, run, steady
from clocks import TurnedClock
from hypothesis import given, settings
from hypothesis import strategies as st
from solidgreen import answers, ledger, runner
from solidgreen.answers import Exchange
from solidgreen.errors import Refused
from solidgreen.ledger import Writer
from solidgreen.pacing import GUARD_S, Limit, Pace, Pacing, Shard
from solidgreen.progress import Progress
from solidgreen.request import Request
from solidgreen.runner import Known, run_batch

PLAN = Pacing(min_interval=3.0, max_in_flight=4, retries_429=8, budget_minutes=45)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(runner, "POLL_S", 2.0)  # each poll of a long pause writes the progress file


def workers(server: Any, clock: TurnedClock | None = None) -> SimulatedWorkers:
    return SimulatedWorkers(clock or TurnedClock(), server)


def always(exchange: Exchange, latency: float = 0.1) -> SimulatedWorkers:
    return workers(lambda *_: (latency, exchange))


def gaps(world: SimulatedWorkers) -> list[float]:
    return [later - sooner for (sooner, _), (later, _) in itertools.pairwise(world.starts)]


def test_every_case_gets_one_record_in_the_order_of_the_selection(tmp_path: Path) -> None:
    world = always(answered())
    result = run(tmp_path, job(5, PLAN), world)
    assert (result.state, result.done, result.requests, result.verdicts) == ("finished", 5, 5, {"pass": 5})
    assert [key for _, key in world.starts] == [f"D3-{n:03d}" for n in range(1, 6)]
    assert gaps(world) == [3.0] * 4
    assert [record["type"] for record in records(tmp_path)] == ["registration", *["observation"] * 5, "end"]
    assert result.smallest_gap_s == 3.0


def test_a_slow_api_costs_its_latency_once(tmp_path: Path) -> None:
    world = always(answered(), latency=10.0)
    run(tmp_path, job(40, PLAN), world)
    assert world.most_in_flight == 4
    assert world.clock.monotonic() == pytest.approx(39 * 3.0 + 10.0, rel=0.01)


def test_no_more_requests_overlap_than_allowed(tmp_path: Path) -> None:
    world = always(answered(), latency=100.0)
    run(tmp_path, job(6, Pacing(min_interval=1.0, max_in_flight=2, retries_429=8, budget_minutes=45)), world)
    assert world.most_in_flight == 2


def test_a_429_holds_everyone_for_its_time_and_a_guard(tmp_path: Path) -> None:
    def server(moment: float, key: str, sent: int) -> tuple[float, Exchange]:
        return (0.5, answered(429, retry_after="59")) if (key, sent) == ("D3-002", 0) else (0.5, answered())

    world = workers(server)
    result = run(tmp_path, job(4, PLAN), world)
    assert result.state == "finished"
    assert result.http_429 == 1
    starts = [moment for moment, _ in world.starts]
    assert starts[:2] == [0.0, 3.0]
    assert starts[2] >= 3.5 + 59 + GUARD_S
    second = next(record for record in records(tmp_path) if record.get("case_id") == "D3-002")
    assert (second["type"], second["reason"], second["retry_after_s"], second["wait_s"]) == (
        "attempt",
        "http_429",
        59,
        60,
    )


class Limiter:
    """A sliding window as the contract's: whole seconds, rounded down."""

    def __init__(self, limit: int, window: float, latency: float) -> None:
        self.limit, self.window, self.latency = limit, window, latency
        self.taken: list[float] = []

    def __call__(self, moment: float, key: str, sent: int) -> tuple[float, Exchange]:
        self.taken = [then for then in self.taken if then > moment - self.window]
        if len(self.taken) < self.limit:
            self.taken.append(moment)
            return self.latency, answered()
        return self.latency, answered(429, retry_after=str(int(self.taken[0] + self.window - moment)))


@settings(parent=steady, max_examples=25)
@given(
    count=st.integers(1, 25),
    interval=st.sampled_from([0.0, 0.5, 3.0]),
    in_flight=st.integers(1, 5),
    limit=st.integers(1, 12),
    window=st.sampled_from([5.0, 20.0, 60.0]),
    latency=st.sampled_from([0.0, 0.05, 2.0, 11.0]),
)
def test_no_limit_loses_a_case_and_no_request_leaves_before_its_time(
    tmp_path_factory: Any, count: int, interval: float, in_flight: int, limit: int, window: float, latency: float
) -> None:
    folder = tmp_path_factory.mktemp("run")
    pacing = Pacing(min_interval=interval, max_in_flight=in_flight, retries_429=100, budget_minutes=1000)
    world = workers(Limiter(limit, window, latency))
    result = run(folder, job(count, pacing), world)
    assert (result.state, result.done, result.verdicts) == ("finished", count, {"pass": count})
    assert all(gap >= interval - 1e-9 for gap in gaps(world))
    assert world.most_in_flight <= in_flight
    for landed, _, exchange in world.landings:
        if exchange.retry_after_s is not None:
            until = landed + exchange.retry_after_s + GUARD_S
            assert not [moment for moment, _ in world.starts if landed < moment < until - 1e-9]
    assert len(ledger.verify(folder / runner.OBSERVATIONS).attempts) == len(world.starts)


def ideal(count: int, interval: float, limit: int, window: float) -> float:
    """Return when the last of *count* requests starts for one who knows the limit."""
    starts: list[float] = []
    for n in range(count):
        after = starts[-1] + interval if starts else 0.0
        starts.append(max(after, starts[n - limit] + window) if n >= limit else after)
    return starts[-1]


@pytest.mark.parametrize("latency", [0.05, 2.0, 11.0])
def test_one_episode_tells_the_limit_and_from_then_on_no_request_is_refused(tmp_path: Path, latency: float) -> None:
    world = workers(Limiter(10, 60.0, latency))
    result = run(tmp_path, job(90, PLAN), world)
    refused = [moment for moment, _, exchange in world.landings if exchange.status == 429]
    assert refused
    assert max(refused) - min(refused) <= 12.0  # one episode: those under way when the first one landed
    assert result.pace == Pace(Limit(10, 60.0), "learnt from a 429")
    assert world.starts[-1][0] <= 1.10 * ideal(90, 3.0, 10, 60.0)


class FixedWindow(Limiter):
    """Counts by the minute of the clock: all is free again when the next one begins."""

    def __call__(self, moment: float, key: str, sent: int) -> tuple[float, Exchange]:
        begun = moment // self.window * self.window
        self.taken = [then for then in self.taken if then >= begun]
        if len(self.taken) < self.limit:
            self.taken.append(moment)
            return self.latency, answered()
        return self.latency, answered(429, retry_after=str(int(begun + self.window - moment)))


@pytest.mark.parametrize(
    ("limiter", "interval", "refusals", "longest"),
    [
        pytest.param(Limiter(6, 20.0, 0.1), 3.0, 1, 310, id="6 in 20 s"),
        pytest.param(Limiter(1, 5.0, 0.1), 3.0, 1, 480, id="1 in 5 s"),
        pytest.param(Limiter(20, 120.0, 0.1), 1.0, 1, 510, id="20 in 120 s"),
        pytest.param(Limiter(30, 1800.0, 0.1), 3.0, 1, 3800, id="30 in half an hour"),
        pytest.param(FixedWindow(10, 60.0, 0.1), 3.0, 4, 560, id="10 in each minute of the clock"),
    ],
)
def test_other_limits_are_learnt_as_well(
    tmp_path: Path, limiter: Limiter, interval: float, refusals: int, longest: float
) -> None:
    pacing = Pacing(min_interval=interval, max_in_flight=4, retries_429=8, budget_minutes=90)
    world = workers(limiter, TurnedClock())
    world.clock.sleep(17.0)
    result = run(tmp_path, job(90, pacing), world)
    assert (result.state, result.done) == ("finished", 90)
    assert result.http_429 <= refusals
    assert world.clock.monotonic() - 17.0 <= longest


def test_a_limit_that_is_stated_is_never_met(tmp_path: Path) -> None:
    world = workers(Limiter(10, 60.0, 0.05))
    result = run(tmp_path, job(40, dataclasses.replace(PLAN, rate_limit="10/60")), world)
    assert result.http_429 == 0
    assert world.starts[-1][0] <= 1.02 * ideal(40, 3.0, 10, 60.0)
    pace = records(tmp_path)[1]
    assert (pace["type"], pace["source"], pace["limit"]) == ("pace", "stated", {"requests": 10, "window_s": 60.0})


def test_what_earlier_runs_know_of_the_limit_counts_from_the_first_request_on(tmp_path: Path) -> None:
    clock = TurnedClock()
    server = Limiter(10, 60.0, 0.05)
    server.taken = [-9.0, -6.0, -3.0]  # of the run before
    known = Known(Pace(Limit(10, 60.0), "known from smoke1"), [clock.start - timedelta(seconds=s) for s in (9, 6, 3)])
    result = run(tmp_path, job(25, PLAN, known=known), workers(server, clock))
    assert (result.state, result.http_429) == ("finished", 0)


def test_a_run_cools_down_before_its_first_request(tmp_path: Path) -> None:
    clock = TurnedClock()
    world = workers(lambda *_: (0.1, answered()), clock)
    known = Known(cooling_until=clock.start + timedelta(seconds=42))
    work = job(3, PLAN, known=known)
    assert "a cool-down of 42 s first" in runner.outlook(work, None, now=clock.now()).sentence()
    run(tmp_path, work, world)
    assert world.starts[0][0] == pytest.approx(42.0)


def test_a_limit_that_was_learnt_outlives_its_session(tmp_path: Path) -> None:
    world = workers(Limiter(10, 60.0, 0.05))
    run(tmp_path, job(40, PLAN), world, stop=lambda: len(world.starts) == 14)
    result = run(tmp_path, job(40, PLAN), world)
    assert (result.state, result.http_429) == ("finished", 1)


def test_a_case_whose_wait_is_over_goes_before_one_that_was_never_sent(tmp_path: Path) -> None:
    world = workers(lambda _, key, sent: (0.1, answered(503) if (key, sent) == ("D3-001", 0) else answered()))
    run(tmp_path, job(9, PLAN), world)
    assert [key for _, key in world.starts].index("D3-001", 1) <= 2


def test_ten_thousand_episodes_lose_no_case_and_send_nothing_before_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "POLL_S", 1e9)
    monkeypatch.setattr(Progress, "show", lambda *_, **__: None)
    pacing = Pacing(min_interval=0.5, max_in_flight=3, retries_429=10_000, retries_other=10_000, budget_minutes=1e9)
    episodes = 0
    for seed in itertools.count():
        dice = Random(seed)
        latency = dice.choice([0.0, 0.2, 4.0])

        def server(moment: float, *_: Any, dice: Random = dice, latency: float = latency) -> tuple[float, Exchange]:
            kind = dice.random()
            date = format_datetime(TurnedClock().start + timedelta(seconds=dice.randint(1, 90)), usegmt=True)
            if kind < 0.25:
                return latency, answered(429, retry_after=str(dice.randint(0, 90)))
            if kind < 0.30:
                now = format_datetime(TurnedClock().start, usegmt=True)
                return latency, answered(429, retry_after=date, date=now)
            if kind < 0.35:
                return latency, answered(429)
            if kind < 0.40:
                return latency, answered(503, retry_after=str(dice.randint(0, 30)))
            return latency, answered()

        world = workers(server)
        folder = tmp_path / str(seed)
        result = run(folder, job(150, pacing), world, random=dice.random)
        assert (result.state, result.done, result.verdicts) == ("finished", 150, {"pass": 150})
        assert all(gap >= 0.5 - 1e-9 for gap in gaps(world))
        starts = [moment for moment, _ in world.starts]
        for landed, _, exchange in world.landings:
            if exchange.retry_after_s is not None:
                following = bisect.bisect_right(starts, landed + 1e-9)
                until = landed + exchange.retry_after_s + GUARD_S
                assert following == len(starts) or starts[following] >= until - 1e-6
        episodes += sum(exchange.status in (429, 503) for _, _, exchange in world.landings)
        if episodes >= 10_000:
            return


def test_a_run_whose_end_is_asked_for_is_closed_for_good(tmp_path: Path) -> None:
    world = always(answered(), latency=7.0)
    work = job(9, PLAN)
    result = run_batch(
        work,
        tmp_path,
        build=lambda _: Request(b"", ""),
        workers=world,
        clock=world.clock,
        random=lambda: 0.5,
        stop=lambda: runner.EARLY if len(world.starts) == 4 else None,
    )
    assert (result.state, result.done, result.requests) == ("early_stop", 4, 4)  # what was under way is recorded
    assert records(tmp_path)[-1]["state"] == "early_stop"
    assert run(tmp_path, work, world).requests == 0


@pytest.mark.parametrize(("ending", "given_up"), [(runner.EARLY, False), (runner.EXHAUSTED, True)])
def test_a_case_that_waits_is_given_up_by_the_runs_own_end_but_not_by_a_stop_from_outside(
    tmp_path: Path, ending: str, given_up: bool
) -> None:
    world = workers(lambda _, key, sent: (0.5, answered(429, retry_after="600") if key == "D3-002" else answered()))
    pacing = dataclasses.replace(PLAN, budget_minutes=5 if given_up else 45)
    result = run_batch(
        job(4, pacing),
        tmp_path,
        build=lambda _: Request(b"", ""),
        workers=world,
        clock=world.clock,
        random=lambda: 0.5,
        stop=lambda: ending if len(world.landings) == 2 and not given_up else None,
    )
    assert (result.state, "D3-002" in result.missing) == (ending, not given_up)
    assert ledger.verify(tmp_path / runner.OBSERVATIONS).requests == 2


def test_a_shard_registers_which_part_of_the_run_it_sends(tmp_path: Path) -> None:
    shard = Shard(2, 2)
    work = job(7, PLAN)
    part = dataclasses.replace(work, selection=shard.of_run(work.selection), shard=shard)
    world = workers(Limiter(5, 60.0, 0.05))
    result = run(tmp_path, part, world)
    assert [key for _, key in world.starts] == ["D3-002", "D3-004", "D3-006"]
    assert records(tmp_path)[0]["shard"] == {"index": 2, "of": 2}
    assert result.smallest_gap_s is not None
    assert result.smallest_gap_s >= 6.0


@pytest.mark.parametrize(
    ("exchange", "limit", "outcome"),
    [
        pytest.param(answered(429, retry_after="1"), PLAN.retries_429, "rate_limited", id="429"),
        pytest.param(answered(429), PLAN.retries_429, "rate_limited", id="429 without a time"),
        pytest.param(answered(503), PLAN.retries_other, "infra_unavailable", id="503"),
        pytest.param(answers.broken("connect", 0.0), PLAN.retries_other, "transport_error", id="no connection"),
        pytest.param(answers.broken("timeout", 9.0), PLAN.retries_other, "transport_error", id="timeout"),
    ],
)
def test_what_says_nothing_about_the_case_is_tried_again_up_to_its_cap(
    tmp_path: Path, exchange: Exchange, limit: int, outcome: str
) -> None:
    result = run(tmp_path, job(1, PLAN), always(exchange))
    assert result.outcomes == {outcome: 1}
    observation = records(tmp_path)[-2]
    assert len(observation["attempts"]) == limit + 1
    assert [attempt["n"] for attempt in observation["attempts"]] == list(range(1, limit + 2))
    assert observation["verdict"] is None


@pytest.mark.parametrize(
    ("exchange", "outcome", "verdict"),
    [
        pytest.param(answered(), "answer", "pass", id="a verdict"),
        pytest.param(answered(200, {"something": "else"}), "answer", "unknown", id="an answer without a verdict"),
        pytest.param(answered(200, []), "malformed", None, id="malformed"),
        pytest.param(answered(400), "client_error", None, id="400"),
        pytest.param(answered(422), "unprocessable", None, id="422"),
        pytest.param(answered(500), "server_error", None, id="500"),
        pytest.param(answers.broken("too_large", 0.0, status=200), "malformed", None, id="too large"),
    ],
)
def test_what_was_received_is_final(tmp_path: Path, exchange: Exchange, outcome: str, verdict: str | None) -> None:
    world = always(exchange)
    result = run(tmp_path, job(1, PLAN), world)
    assert (len(world.starts), result.outcomes) == (1, {outcome: 1})
    assert records(tmp_path)[1]["verdict"] == verdict


def test_a_used_up_quota_ends_the_run_for_good(tmp_path: Path) -> None:
    def server(moment: float, key: str, sent: int) -> tuple[float, Exchange]:
        return 1.0, answered(429, {"error_code": "QUOTA_EXCEEDED"}) if key == "D3-002" else answered()

    world = workers(server)
    result = run(tmp_path, job(9, PLAN), world)
    assert (result.state, result.outcomes) == ("quota", {"answer": 1, "quota": 1})
    assert len(result.missing) == 7
    again = run(tmp_path, job(9, PLAN), world)
    assert (again.state, again.requests, again.missing) == ("quota", 0, result.missing)


def test_a_spent_budget_ends_the_run_and_keeps_every_attempt(tmp_path: Path) -> None:
    def server(moment: float, key: str, sent: int) -> tuple[float, Exchange]:
        return 0.5, answered(429, retry_after="600") if key == "D3-002" else answered()

    pacing = Pacing(min_interval=3.0, max_in_flight=4, retries_429=8, budget_minutes=5)
    world = workers(server)
    result = run(tmp_path, job(4, pacing), world)
    assert result.state == "exhausted"
    assert world.clock.monotonic() < 10  # it does not wait for what cannot fit
    assert result.outcomes == {"answer": 1, "rate_limited": 1}
    assert result.missing == ["D3-003", "D3-004"]
    assert records(tmp_path)[-1]["state"] == "exhausted"
    assert len(ledger.verify(tmp_path / runner.OBSERVATIONS).attempts) == len(world.starts) == 2


def test_a_503_with_a_time_holds_everyone_too(tmp_path: Path) -> None:
    def server(moment: float, key: str, sent: int) -> tuple[float, Exchange]:
        return (0.5, answered(503, retry_after="30")) if (key, sent) == ("D3-001", 0) else (0.5, answered())

    world = workers(server)
    run(tmp_path, job(2, PLAN), world)
    assert world.starts[1][0] >= 0.5 + 30 + GUARD_S


def test_an_interrupted_run_records_what_is_under_way_and_goes_on_later(tmp_path: Path) -> None:
    def server(moment: float, key: str, sent: int) -> tuple[float, Exchange]:
        return (8.0, answered(503)) if (key, sent) == ("D3-002", 0) else (8.0, answered())

    world = workers(server)
    first = run(tmp_path, job(6, PLAN), world, stop=lambda: world.clock.monotonic() > 7)
    assert (first.state, first.requests) == ("interrupted", 3)
    assert first.done == 2  # the third attempt said nothing: it is on the disk, its case still open
    world.clock.sleep(1000)
    second = run(tmp_path, job(6, PLAN), world)
    assert (second.state, second.done, second.requests) == ("finished", 6, 4)
    found = ledger.verify(tmp_path / runner.OBSERVATIONS)
    assert sorted(record["case_id"] for record in found.observations) == found.selection
    tried = {record["case_id"]: [attempt["n"] for attempt in record["attempts"]] for record in found.observations}
    assert tried["D3-002"] == [1, 2]
    assert all(numbers == [1] for case_id, numbers in tried.items() if case_id != "D3-002")
    assert second.active_s < 100  # the time between the sessions does not count


def test_a_pause_outlives_the_session_that_was_told_to_make_it(tmp_path: Path) -> None:
    def server(moment: float, key: str, sent: int) -> tuple[float, Exchange]:
        return (1.0, answered(429, retry_after="59")) if sent == 0 and key == "D3-001" else (1.0, answered())

    world = workers(server)
    run(tmp_path, job(2, PLAN), world, stop=lambda: world.clock.monotonic() > 2)
    interrupted = world.clock.monotonic()
    assert len(world.starts) == 1
    world.clock.sleep(20)
    run(tmp_path, job(2, PLAN), world)
    assert interrupted + 20 < 1.0 + 59 + GUARD_S <= world.starts[1][0]


def test_a_resumed_session_does_not_start_at_once(tmp_path: Path) -> None:
    world = always(answered())
    run(tmp_path, job(3, PLAN), world, stop=lambda: len(world.starts) == 1)
    stopped = world.clock.monotonic()
    run(tmp_path, job(3, PLAN), world)
    assert world.starts[1][0] >= stopped + 3.0


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    world = always(answered())
    run(tmp_path, job(3, PLAN), world)
    before = (tmp_path / runner.OBSERVATIONS).read_bytes()
    again = run(tmp_path, job(3, PLAN), world)
    assert (again.state, again.requests, len(world.starts)) == ("finished", 0, 3)
    assert (tmp_path / runner.OBSERVATIONS).read_bytes() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": {"cases_sha256": "0" * 64}},
        {"selection": ["D3-002", "D3-001"]},
        {"pacing": Pacing(min_interval=1.0, max_in_flight=4, retries_429=8, budget_minutes=45)},
        {"run_id": "another"},
    ],
    ids=["changed content", "another order", "another pacing", "another run"],
)
def test_a_run_is_gone_on_with_only_as_it_was_registered(tmp_path: Path, changes: dict[str, Any]) -> None:
    world = always(answered())
    run(tmp_path, job(2, PLAN), world, stop=lambda: len(world.starts) == 1)
    with pytest.raises(Refused, match="changed since it was registered"):
        run(tmp_path, dataclasses.replace(job(2, PLAN), **changes), world)
    assert len(world.starts) == 1


def test_a_document_that_changed_in_mid_run_stops_it_after_what_is_under_way_has_landed(tmp_path: Path) -> None:
    def build(wanted: Any) -> Request:
        if wanted.case_id == "D3-003":
            raise Refused("document", found="other bytes", need="the ones qualified", next_step="put it back")
        return Request(b"", "")

    world = always(answered(), latency=50.0)
    with pytest.raises(Refused, match="other bytes"):
        run(tmp_path, job(4, PLAN), world, build=build)
    assert len(ledger.verify(tmp_path / runner.OBSERVATIONS).observations) == 2


def test_of_a_case_with_personal_data_no_value_is_kept(tmp_path: Path) -> None:
    body = {
        "authoritative_verdict": {"label": "warn"},
        "structured_result": {"issues": [{"severity": "minor", "documentName": "Jane Doe"}], "lc_type": "import"},
    }
    run(tmp_path, job(1, PLAN, cases=[case(1, contains_pii=True)]), always(answered(200, body)))
    record = records(tmp_path)[1]
    assert (record["verdict"], record["verdict_source"], record["values_kept"]) == (
        "warn",
        "authoritative_label",
        False,
    )
    assert record["response"]["structured_result"]["issues"] == [{"severity": None, "documentName": None}]
    assert "Jane" not in json.dumps(record)
    assert "import" not in json.dumps(record)


def test_of_a_case_with_personal_data_no_error_text_is_kept(tmp_path: Path) -> None:
    refusal = answered(400, {"detail": "cannot read passport of Jane Doe"})
    run(tmp_path, job(1, PLAN, cases=[case(1, contains_pii=True)]), always(refusal))
    assert records(tmp_path)[1]["error_detail"] is None


def test_progress_shows_counts_pace_and_pauses_but_no_agreement(tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []

    def server(moment: float, key: str, sent: int) -> tuple[float, Exchange]:
        if (tmp_path / "progress.json").exists():
            seen.append(json.loads((tmp_path / "progress.json").read_text()))
        return (0.5, answered(429, retry_after="9")) if (key, sent) == ("D3-002", 0) else (0.5, answered())

    run(tmp_path, job(5, PLAN), workers(server))
    last = json.loads((tmp_path / "progress.json").read_text())
    assert (last["state"], last["done"], last["total"], last["verdicts"]) == ("finished", 5, 5, {"pass": 5})
    assert (last["http_429"], last["eta_s"], last["paused_until_s"]) == (1, 0.0, 0.0)
    assert set(last) == {
        "run_id",
        "kind",
        "ordinal",
        "total",
        "done",
        "rate_per_min",
        "http_429",
        "eta_s",
        "verdicts",
        "paused_until_s",
        "cooling_s",
        "limit",
        "forecast",
        "state",
        "updated_at",
    }
    assert [entry["state"] for entry in seen] == ["running"] * len(seen)
    assert seen


@pytest.mark.parametrize("held", [0, 1, 3])
def test_a_forecast_counts_what_is_left_and_what_is_spent(tmp_path: Path, held: int) -> None:
    work = job(3, PLAN)
    path = tmp_path / runner.OBSERVATIONS
    world = always(answered())
    run(tmp_path, work, world, stop=lambda: len(world.starts) >= held)
    outlook = runner.outlook(work, ledger.read(path), now=world.clock.now())
    assert outlook.cases == 3 - held
    assert outlook.seconds == max(0, 2 - held) * 3.0


def test_a_torn_line_is_reported_by_the_session_that_repaired_it(tmp_path: Path) -> None:
    world = always(answered())
    run(tmp_path, job(3, PLAN), world, stop=lambda: len(world.starts) == 2)
    path = tmp_path / runner.OBSERVATIONS
    path.write_bytes(path.read_bytes()[:-10])
    result = run(tmp_path, job(3, PLAN), world)
    assert (result.done, result.missing) == (3, [])
    assert result.torn_bytes > 0
    with Writer(path, job(3, PLAN).registration(), clock=TurnedClock()) as writer:
        assert writer.ledger.end is not None
