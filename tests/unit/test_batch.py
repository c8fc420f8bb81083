"""An order from its inputs to its report, on a turned clock: what earlier runs know, the cool-down, the early stop."""

from __future__ import annotations

import dataclasses
import itertools
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from batch_world import TEMPLATE, VERDICT_MAP, SimulatedWorkers, answered, records
from clocks import TurnedClock
from dataset import DATASET, EXPECTED, write_all
from filelock import FileLock
from solidgreen import batch, ledger, manifest, qualify, request, runner
from solidgreen.answers import Exchange
from solidgreen.batch import Order, Report
from solidgreen.client import Target
from solidgreen.errors import Refused
from solidgreen.jsonio import write_bytes
from solidgreen.pacing import Forecast, Pacing, Shard
from solidgreen.paths import MARK, DataRoot
from test_runner import Limiter

SMOKE = {"size": 10, "seed": 7, "strata": dict.fromkeys(EXPECTED, 2)}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataRoot:
    """A data root with ten qualified cases; nothing waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(runner, "POLL_S", 2.0)
    root = DataRoot(tmp_path)
    data = manifest.load(write_all(root.root), root.root)
    parted = qualify.qualify(data, DATASET, SMOKE, data_root=root.root, template=request.load_template(TEMPLATE))
    write_bytes(root.cases, parted.cases)
    return root


def order(root: DataRoot, run_id: str, **changes: Any) -> Order:
    """Return an order for all cases, as a run that no cycle lists."""
    pacing = Pacing(min_interval=3.0, max_in_flight=4, retries_429=8, budget_minutes=45)
    target = Target("http://127.0.0.1:9/api/validate/")
    plain = Order(root, "smoke", 0, root.cases, TEMPLATE, VERDICT_MAP, target, pacing, run_id=run_id)
    return dataclasses.replace(plain, **changes)


def execute(work: Order, world: SimulatedWorkers, **options: Any) -> Report:
    """Carry it out on the workers' clock."""
    report = batch.execute(work, world, clock=world.clock, random=lambda: 0.5, **options)
    # The wall clock of these tests is turned, that of the files is not.
    for path in work.root.runs.glob(f"*/{runner.OBSERVATIONS}"):
        moment = ledger.read(path).recent[-1]["started_at"] if ledger.read(path).recent else None
        if moment:
            seconds = batch.parse(moment).timestamp()
            os.utime(path, (seconds, seconds))
    return report


def test_after_a_run_that_met_429s_the_next_one_cools_down_and_meets_none(root: DataRoot) -> None:
    clock = TurnedClock()
    server = Limiter(8, 60.0, 0.1)
    first = execute(order(root, "first"), SimulatedWorkers(clock, server))
    assert first.result is not None
    assert first.result.http_429 == 1
    said: list[Forecast] = []
    clock.sleep(5)
    world = SimulatedWorkers(clock, server)
    began = clock.monotonic()
    second = execute(order(root, "second"), world, say=said.append)
    assert second.result is not None
    assert (second.state, second.result.http_429) == ("finished", 0)
    assert "at most 8 in 60 s, no 429 expected, a cool-down of" in said[0].sentence()
    assert 50.0 < world.starts[0][0] - began < 61.0
    pace = next(record for record in records(root.run("second")) if record["type"] == "pace")
    assert (pace["source"], pace["limit"]["requests"]) == ("known from first", 8)


@pytest.mark.parametrize(
    "refusal", [answered(429, retry_after="300"), answered(503, retry_after="300")], ids=["429", "503"]
)
def test_what_a_run_was_told_to_wait_the_next_one_waits_as_well(root: DataRoot, refusal: Exchange) -> None:
    clock = TurnedClock()
    pacing = dataclasses.replace(order(root, "x").pacing, rate_limit="10/60", budget_minutes=2)
    ids = batch.cases.load(root.cases).ids
    world = SimulatedWorkers(clock, lambda _, key, sent: (0.1, refusal if key == ids[4] else answered()))
    assert execute(order(root, "first", pacing=pacing), world).state == "exhausted"
    told = next(moment for moment, key, exchange in world.landings if exchange.status != 200)
    after = SimulatedWorkers(clock, lambda *_: (0.1, answered()))
    execute(order(root, "second", pacing=dataclasses.replace(pacing, budget_minutes=45)), after)
    assert after.starts[0][0] >= told + 300 + 1


def test_requests_lost_with_a_killed_session_count_against_the_limit(root: DataRoot) -> None:
    clock = TurnedClock()
    server = Limiter(10, 60.0, 20.0)
    pacing = dataclasses.replace(order(root, "x").pacing, rate_limit="10/60")
    world = SimulatedWorkers(clock, server)

    def die() -> bool:
        if len(world.starts) == 3:
            raise KeyboardInterrupt  # what was under way is lost, as with a kill
        return False

    with pytest.raises(KeyboardInterrupt):
        execute(order(root, "r", pacing=pacing), world, stop=die)
    again = SimulatedWorkers(clock, server)
    report = execute(order(root, "r", pacing=pacing), again)
    assert report.result is not None
    assert (report.state, report.result.http_429) == ("finished", 0)


def test_only_one_run_of_a_data_root_sends_at_a_time(root: DataRoot) -> None:
    world = SimulatedWorkers(TurnedClock(), lambda *_: (0.1, answered()))
    with FileLock(root.root / ".batch.lock"), pytest.raises(Refused, match="another process that is sending a run"):
        execute(order(root, "r"), world)
    assert world.starts == []


def test_requests_of_the_run_before_count_against_a_limit_that_is_stated(root: DataRoot) -> None:
    clock = TurnedClock()
    server = Limiter(10, 60.0, 0.1)
    stated = dataclasses.replace(order(root, "x").pacing, rate_limit="10/60")
    for name in ("first", "second", "third"):
        report = execute(order(root, name, pacing=stated), SimulatedWorkers(clock, server))
        assert report.result is not None
        assert (report.state, report.result.http_429) == ("finished", 0)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"target": Target("http://127.0.0.1:8/api/validate/")}, id="another target"),
        pytest.param({"target": Target("http://127.0.0.1:9/api/validate/", token="t")}, id="with a token"),
    ],
)
def test_what_is_known_of_one_target_says_nothing_of_another(root: DataRoot, other: dict[str, Any]) -> None:
    clock = TurnedClock()
    execute(order(root, "first"), SimulatedWorkers(clock, Limiter(5, 60.0, 0.1)))
    world = SimulatedWorkers(clock, lambda *_: (0.1, answered()))
    began = clock.monotonic()
    report = execute(order(root, "second", **other), world)
    assert report.result is not None
    assert report.result.pace is None
    assert world.starts[0][0] == began


def test_what_was_known_long_ago_is_not_used(root: DataRoot) -> None:
    clock = TurnedClock()
    execute(order(root, "first"), SimulatedWorkers(clock, Limiter(5, 60.0, 0.1)))
    clock.sleep(timedelta(hours=3).total_seconds())
    report = execute(order(root, "second"), SimulatedWorkers(clock, lambda *_: (0.1, answered())))
    assert report.result is not None
    assert report.result.pace is None


@pytest.mark.parametrize(("heeded", "state", "sent"), [(True, "early_stop", 4), (False, "finished", 10)])
def test_a_mark_beside_the_record_ends_the_run_unless_that_is_switched_off(
    root: DataRoot, heeded: bool, state: str, sent: int
) -> None:
    clock = TurnedClock()

    def server(moment: float, key: str, tried: int) -> tuple[float, Exchange]:
        if moment >= 8.0:
            (root.run("r") / MARK).write_text("{}")
        return 1.0, answered()

    world = SimulatedWorkers(clock, server)
    work = order(root, "r", early_stop=heeded)
    report = execute(work, world)
    assert (report.state, len(world.starts)) == (state, sent)
    check = report.checks[1]
    assert check.status == ("inconclusive" if heeded else "pass")
    assert ("ended by an early stop" in check.seen) is heeded
    assert execute(work, world).state == state
    assert len(world.starts) == sent


def test_the_shards_of_a_run_send_every_case_once_and_keep_apart(root: DataRoot) -> None:
    worlds = []
    for index in (1, 2, 3):
        worlds.append(SimulatedWorkers(TurnedClock(), lambda *_: (0.1, answered())))
        execute(order(root, f"part{index}", kind="full", shard=Shard(index, 3)), worlds[-1])
    starts = sorted(world.clock.start.timestamp() + moment for world in worlds for moment, _ in world.starts)
    assert sorted(key for world in worlds for _, key in world.starts) == sorted(batch.cases.load(root.cases).ids)
    assert min(later - sooner for sooner, later in itertools.pairwise(starts)) >= 3.0 - 1e-5


def test_remarks_are_registered_with_the_run(root: DataRoot) -> None:
    world = SimulatedWorkers(TurnedClock(), lambda *_: (0.1, answered()))
    execute(order(root, "r", remarks={"decision_grade": False}), world)
    assert records(root.run("r"))[0]["decision_grade"] is False
