"""A cycle has one holder, two smokes and one full run over registered inputs, and nobody rerolls until lucky."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from clocks import TurnedClock
from solidgreen import cycle, jsonio, phase, policy, restore
from solidgreen.errors import BadInput, IntegrityError, Refused
from solidgreen.paths import DataRoot

ROOT = Path(__file__).resolve().parents[2]
POLICY, POLICY_SCHEMA = ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json"
DIGESTS = dict.fromkeys(cycle.CHANGEABLE, "a" * 64)


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> DataRoot:
    return DataRoot(tmp_path / "data" / "day3")


@pytest.fixture(name="clock")
def clock_fixture() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(name="me")
def me_fixture() -> cycle.Holder:
    return cycle.Holder.of(os.getpid())


def open_cycle(root, me, clock, *, new=False, fix=None, digests=DIGESTS, snapshot=None):
    if new:
        snapshot = restore.take_snapshot(root, clock=clock).name
    return cycle.open_cycle(
        root,
        env="rehearsal",
        inventory="/inv",
        holder=me,
        minutes=90,
        snapshot=snapshot,
        new=new,
        fix=fix,
        digests=digests,
        clock=clock,
    )


def registered(root, me, clock, **more):
    open_cycle(root, me, clock, **more)
    cycle.register(root, digests=more.get("digests", DIGESTS), facts={"rehearsal": True}, clock=clock)


def verdict(root, number, status):
    jsonio.write_json(root.phase(number), {"status": status, "cycle_id": cycle.require(root)["cycle_id"]})


def test_a_first_cycle_is_opened_and_a_second_call_takes_its_lease(root, me, clock):
    assert open_cycle(root, me, clock) is True
    first = cycle.require(root)
    clock.sleep(60)
    assert open_cycle(root, me, clock) is False
    again = cycle.require(root)
    assert again["cycle_id"] == first["cycle_id"]
    assert again["lease"]["expires_at"] > first["lease"]["expires_at"]


def test_without_a_cycle_the_sentence_says_what_to_type(root):
    with pytest.raises(BadInput, match=r"found none, need an open cycle. Next: invoke phase --only 0"):
        cycle.require(root)


def test_a_file_of_another_schema_is_not_taken_for_a_cycle(root):
    jsonio.write_json(root.cycle, {"schema": "something/else"})
    with pytest.raises(IntegrityError, match="something/else"):
        cycle.load(root)


def test_a_living_holder_keeps_others_out_and_a_dead_one_does_not(root, me, clock):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        open_cycle(root, cycle.Holder.of(child.pid), clock)
        with pytest.raises(Refused, match=f"process {child.pid}"):
            cycle.take(root, me, minutes=90, clock=clock)
    finally:
        child.kill()
        child.communicate()
    cycle.take(root, me, minutes=90, clock=clock)
    assert cycle.require(root)["lease"]["holder"]["pid"] == me.pid


def test_a_holder_that_ended_and_was_not_asked_for_is_dead():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        holder = cycle.Holder.of(child.pid)
        assert holder.alive() is True
        child.stdin.close()
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert holder.alive() is False


def test_a_reused_pid_is_not_the_holder(root, me, clock):
    open_cycle(root, replace(me, started=me.started - 1000), clock)
    cycle.take(root, me, minutes=90, clock=clock)
    assert cycle.require(root)["lease"]["holder"]["started"] == me.started


def test_a_holder_on_another_machine_keeps_the_lease_until_it_expires(root, me, clock):
    open_cycle(root, replace(me, host="elsewhere", owner="ops@elsewhere"), clock)
    with pytest.raises(Refused, match="ops@elsewhere"):
        cycle.take(root, me, minutes=90, clock=clock)
    clock.sleep(91 * 60)
    cycle.take(root, me, minutes=90, clock=clock)


def test_a_released_lease_is_free(root, me, clock):
    elsewhere = replace(me, host="elsewhere")
    open_cycle(root, elsewhere, clock)
    cycle.release(root, elsewhere)
    assert cycle.require(root)["lease"]["holder"] is None
    cycle.take(root, me, minutes=90, clock=clock)
    assert cycle.require(root)["lease"]["holder"]["host"] == me.host


def test_a_holder_that_can_be_seen_at_work_keeps_its_lease_however_long_it_takes(root, me, clock):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        open_cycle(root, cycle.Holder.of(child.pid), clock)
        clock.sleep(24 * 3600)
        with pytest.raises(Refused, match=f"process {child.pid}"):
            cycle.take(root, me, minutes=90, clock=clock)
    finally:
        child.kill()
        child.communicate()


def test_another_environment_over_the_same_data_root_is_refused(root, me, clock):
    open_cycle(root, me, clock)
    cycle.require_env(root, "rehearsal")
    with pytest.raises(Refused, match="found environment staging, need rehearsal"):
        cycle.require_env(root, "staging")


def test_runs_need_a_registration(root, me, clock):
    open_cycle(root, me, clock)
    with pytest.raises(Refused, match="not registered"):
        cycle.open_run(root, "smoke", 1, clock=clock)


@pytest.mark.parametrize(
    ("finished", "asked", "words"),
    [
        ([], ("smoke", 2), "smoke 1 not finished"),
        ([("smoke", 1)], ("full", 1), "smoke 2 not finished"),
        ([("smoke", 1), ("smoke", 2)], ("smoke", 3), "a run the cycle does not have"),
        ([], ("full", 2), "a run the cycle does not have"),
    ],
    ids=["second before first", "full before both smokes", "third smoke", "second full"],
)
def test_runs_have_one_order(root, me, clock, finished, asked, words):
    registered(root, me, clock)
    for kind, ordinal in finished:
        cycle.finish_run(root, cycle.open_run(root, kind, ordinal, clock=clock).run_id, clock=clock)
    with pytest.raises(Refused, match=words):
        cycle.open_run(root, *asked, clock=clock)


def test_an_open_run_is_resumed_and_a_finished_one_stays_finished(root, me, clock):
    registered(root, me, clock)
    first = cycle.open_run(root, "smoke", 1, clock=clock)
    clock.sleep(5)
    assert cycle.open_run(root, "smoke", 1, clock=clock) == first
    cycle.finish_run(root, first.run_id, clock=clock)
    again = cycle.open_run(root, "smoke", 1, clock=clock)
    assert (again.run_id, again.state) == (first.run_id, "finished")


@pytest.mark.parametrize("name", ["barred", "demonstration"])
def test_a_mark_forbids_runs_until_it_is_cleared(root, me, clock, name):
    registered(root, me, clock)
    assert cycle.mark(root, name, "smoke 1 failed", clock=clock) is True
    assert cycle.mark(root, name, "another reason", clock=clock) is False
    with pytest.raises(Refused):
        cycle.open_run(root, "smoke", 1, clock=clock)
    assert cycle.mark(root, name, None, clock=clock) is True
    assert cycle.open_run(root, "smoke", 1, clock=clock).state == "open"


def test_a_changed_input_is_refused_by_name(root, me, clock):
    registered(root, me, clock)
    with pytest.raises(Refused, match="found documents changed since the registration"):
        cycle.register(root, digests={**DIGESTS, "documents": "b" * 64}, facts={}, clock=clock)
    assert cycle.register(root, digests=DIGESTS, facts={}, clock=clock) is False


def test_a_new_cycle_clears_what_its_snapshot_holds_and_nothing_else(root, me, clock):
    registered(root, me, clock)
    jsonio.write_json(root.run("smoke1") / "gates.json", {"x": 1})
    clock.sleep(1)
    old = cycle.require(root)["cycle_id"]
    name = restore.take_snapshot(root, clock=clock).name
    (root.results / "notes.txt").write_text("mine, written after the snapshot")
    cycle.open_cycle(
        root,
        env="rehearsal",
        inventory="/inv",
        holder=me,
        minutes=90,
        snapshot=name,
        new=True,
        fix=None,
        digests=DIGESTS,
        clock=clock,
    )
    now = cycle.require(root)
    assert now["cycle_id"] != old
    assert now["runs"] == []
    assert [entry["cycle_id"] for entry in now["previous"]] == [old]
    assert not root.runs.exists()
    assert (root.results / name / "runs" / "smoke1" / "gates.json").exists()
    assert (root.results / "notes.txt").read_text() == "mine, written after the snapshot"


def test_a_kill_while_the_old_files_go_is_finished_by_the_next_start(root, me, clock):
    registered(root, me, clock)
    jsonio.write_json(root.run("smoke1") / "gates.json", {"x": 1})
    clock.sleep(1)
    open_cycle(root, me, clock, new=True)
    left = root.run("smoke1") / "gates.json"
    snapshot = cycle.require(root)["snapshot"]
    left.parent.mkdir(parents=True)
    left.write_bytes((root.results / snapshot / "runs" / "smoke1" / "gates.json").read_bytes())
    cycle.change(root, lambda current: current.update(state="opening"))
    assert open_cycle(root, me, clock) is False
    assert not left.exists()
    assert cycle.require(root)["state"] == "open"


@pytest.mark.parametrize(
    ("fix", "digests", "words"),
    [
        (None, {**DIGESTS, "config": "b" * 64}, "found no --fix"),
        ("  ", {**DIGESTS, "config": "b" * 64}, "found no --fix"),
        ("restarted it", DIGESTS, "found the same digests of config, images, code, manifest, labels, documents"),
    ],
    ids=["no fix", "blank fix", "nothing changed"],
)
def test_after_a_failed_run_a_new_cycle_without_a_fix_is_refused(root, me, clock, fix, digests, words):
    registered(root, me, clock)
    cycle.open_run(root, "smoke", 1, clock=clock)
    verdict(root, 3, "fail")
    clock.sleep(1)
    with pytest.raises(Refused, match=words):
        open_cycle(root, me, clock, new=True, fix=fix, digests=digests)


def test_after_a_failed_run_a_fix_with_a_changed_digest_is_enough(root, me, clock):
    registered(root, me, clock)
    cycle.open_run(root, "smoke", 1, clock=clock)
    verdict(root, 3, "fail")
    clock.sleep(1)
    assert open_cycle(root, me, clock, new=True, fix="other model", digests={**DIGESTS, "images": "b" * 64})
    assert cycle.require(root)["previous"][-1]["failure"] == "failed smoke run"


def test_an_unknown_digest_is_settled_at_the_registration(root, me, clock):
    registered(root, me, clock)
    cycle.open_run(root, "smoke", 1, clock=clock)
    verdict(root, 3, "fail")
    clock.sleep(1)
    open_cycle(root, me, clock, new=True, fix="new image, I promise", digests={**DIGESTS, "images": None})
    with pytest.raises(Refused, match="the same digests"):
        cycle.register(root, digests=DIGESTS, facts={}, clock=clock)


@pytest.mark.parametrize(
    ("status", "words"), [(None, "smoke run 1 without a verdict"), ("inconclusive", "smoke run 1 inconclusive")]
)
def test_walking_away_from_a_started_run_counts_as_a_failure(root, me, clock, status, words):
    registered(root, me, clock)
    cycle.open_run(root, "smoke", 1, clock=clock)
    if status:
        verdict(root, 3, status)
    clock.sleep(1)
    with pytest.raises(Refused, match=words):
        open_cycle(root, me, clock, new=True)


def test_a_run_that_its_own_budget_ended_is_no_failure(root, me, clock):
    registered(root, me, clock)
    run = cycle.open_run(root, "smoke", 1, clock=clock)
    cycle.finish_run(root, run.run_id, clock=clock, state="stopped")
    verdict(root, 3, "inconclusive")
    clock.sleep(1)
    assert open_cycle(root, me, clock, new=True)


@pytest.mark.parametrize("status", [None, "inconclusive", "fail"])
def test_a_run_that_was_ended_early_is_a_failure_whatever_came_of_its_judgement(root, me, clock, status):
    registered(root, me, clock)
    run = cycle.open_run(root, "smoke", 1, clock=clock)
    cycle.finish_run(root, run.run_id, clock=clock, state="early_stop")
    if status:
        verdict(root, 3, status)
    clock.sleep(1)
    with pytest.raises(Refused, match="found no --fix"):
        open_cycle(root, me, clock, new=True)
    with pytest.raises(Refused, match="smoke 1 not finished"):
        cycle.open_run(root, "smoke", 2, clock=clock)
    assert cycle.open_run(root, "smoke", 1, clock=clock).state == "early_stop"


def test_a_cycle_without_runs_in_between_does_not_wash_a_failure_away(root, me, clock):
    registered(root, me, clock)
    cycle.open_run(root, "smoke", 1, clock=clock)
    verdict(root, 3, "fail")
    clock.sleep(1)
    other = {**DIGESTS, "images": "b" * 64}
    open_cycle(root, me, clock, new=True, fix="another image", digests=other)
    cycle.register(root, digests=other, facts={"rehearsal": True}, clock=clock)
    clock.sleep(1)
    with pytest.raises(Refused, match="no --fix"):
        open_cycle(root, me, clock, new=True)
    with pytest.raises(Refused, match="the same digests"):
        open_cycle(root, me, clock, new=True, fix="back again")


def test_what_nobody_could_read_counts_as_unchanged_when_it_is_registered(root, me, clock):
    unknown = {**DIGESTS, "images": None}
    registered(root, me, clock, digests=unknown)
    cycle.open_run(root, "smoke", 1, clock=clock)
    verdict(root, 3, "fail")
    clock.sleep(1)
    open_cycle(root, me, clock, new=True, fix="nothing at all", digests=unknown)
    with pytest.raises(Refused, match="the same digests"):
        cycle.register(root, digests=unknown, facts={}, clock=clock)


def test_after_a_passed_cycle_a_new_one_needs_no_fix(root, me, clock):
    registered(root, me, clock)
    cycle.open_run(root, "smoke", 1, clock=clock)
    verdict(root, 3, "pass")
    clock.sleep(1)
    assert open_cycle(root, me, clock, new=True)


def test_a_cycle_without_an_archive_of_the_old_one_is_refused(root, me, clock):
    open_cycle(root, me, clock)
    with pytest.raises(Refused, match="no verified snapshot"):
        cycle.open_cycle(
            root,
            env="",
            inventory="",
            holder=me,
            minutes=1,
            snapshot=None,
            new=True,
            fix=None,
            digests=DIGESTS,
            clock=clock,
        )


def test_the_one_active_cycle_is_found_and_none_or_several_are_refused(tmp_path, me, clock):
    registry = tmp_path / "active"
    with pytest.raises(BadInput, match="no active cycle"):
        cycle.require_one_active(registry)
    one, two = DataRoot(tmp_path / "one"), DataRoot(tmp_path / "two")
    open_cycle(one, me, clock)
    assert cycle.announce(registry, one) is True
    assert cycle.announce(registry, one) is False
    assert cycle.require_one_active(registry).data_root == str(one.root)
    open_cycle(two, me, clock)
    cycle.announce(registry, two)
    with pytest.raises(BadInput, match="2 active cycles"):
        cycle.require_one_active(registry)
    two.cycle.unlink()
    assert cycle.require_one_active(registry).data_root == str(one.root)


def test_a_failed_phase_stands_for_its_cycle(root, me, clock):
    registered(root, me, clock)
    jsonio.write_json(
        root.phase(3), {"status": "fail", "cycle_id": cycle.require(root)["cycle_id"], "finished_at": "now"}
    )
    with pytest.raises(Exception, match="it failed at now and stands"):
        phase.due(root, 3, policy.load(POLICY, POLICY_SCHEMA), clock=clock)
