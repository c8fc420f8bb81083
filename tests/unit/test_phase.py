"""A phase that left no verdict has not passed; its verdict file says what was seen, needed and to do next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from clocks import TurnedClock
from solidgreen import cycle, jsonio, phase, policy
from solidgreen.check import Check, Status
from solidgreen.errors import Inconclusive, Refused, SolidGreenError
from solidgreen.paths import DataRoot

ROOT = Path(__file__).resolve().parents[2]
POLICY = policy.load(ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json")


@pytest.fixture(name="clock")
def clock_fixture() -> TurnedClock:
    return TurnedClock()


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path, clock: TurnedClock) -> DataRoot:
    root = DataRoot(tmp_path / "data" / "day3")
    cycle.open_cycle(
        root,
        env="rehearsal",
        inventory="",
        holder=cycle.Holder.of(os.getpid()),
        minutes=90,
        snapshot=None,
        new=False,
        fix=None,
        digests={},
        clock=clock,
    )
    return root


def seen(root: DataRoot, number: int, *statuses: Status, exit_code: int | None = None) -> None:
    phase.begin(root, number)
    rows = [
        Check(f"c{n}", "title", status, "this", "that", "" if status is Status.PASS else "do it", exit_code=exit_code)
        for n, status in enumerate(statuses)
    ]
    root.journal(number).write_bytes(b"".join(jsonio.canonical(row.to_dict()) + b"\n" for row in rows))


def everything(number: int) -> list[str]:
    """Return an id for every check the plan asks of the phase."""
    return [pattern.replace("*", "x") for box in POLICY.phases[number].checklist for pattern in box.evidence]


def passed(root: DataRoot, number: int, clock, *, without: str = "", managed: bool = True):
    phase.begin(root, number)
    rows = [Check(i, "title", Status.PASS, "this", "that").to_dict() for i in everything(number) if i != without]
    root.journal(number).write_bytes(b"".join(jsonio.canonical(row) + b"\n" for row in rows))
    return phase.conclude(root, number, policy=POLICY, started_at="t0", broken=None, managed=managed, clock=clock)


def conclude(root, number, clock, broken=None):
    return phase.conclude(root, number, policy=POLICY, started_at="t0", broken=broken, clock=clock)


@pytest.mark.parametrize(
    ("number", "statuses", "status", "code"),
    [
        (0, [], "inconclusive", 11),
        (0, [Status.PASS, Status.INCONCLUSIVE], "inconclusive", 11),
        (0, [Status.INCONCLUSIVE, Status.FAIL], "fail", 10),
        (1, [Status.PASS, Status.FAIL], "fail", 12),
        (1, [Status.INCONCLUSIVE], "inconclusive", 11),
        (3, [Status.FAIL], "fail", 10),
    ],
    ids=["nothing looked at", "one open", "fail beats open", "infrastructure stops", "infra open", "quality"],
)
def test_the_worst_check_decides_the_phase(root, clock, number, statuses, status, code):
    seen(root, number, *statuses)
    verdict = conclude(root, number, clock)
    assert (verdict["status"], verdict["exit_code"]) == (status, code)
    assert jsonio.read_json(root.phase(number)) == verdict
    assert not root.journal(number).exists()


def test_a_stated_exit_code_is_kept_and_integrity_comes_first(root, clock):
    seen(root, 3, Status.FAIL, exit_code=14)
    assert conclude(root, 3, clock)["exit_code"] == 14


def test_a_check_that_was_looked_at_twice_counts_by_its_last_look(root, clock):
    phase.begin(root, 1)
    rows = [Check("redis", "t", Status.FAIL, "s", "n", "x")]
    rows += [Check(i, "t", Status.PASS, "s", "n") for i in everything(1)]
    root.journal(1).write_bytes(b"".join(jsonio.canonical(row.to_dict()) + b"\n" for row in rows))
    verdict = conclude(root, 1, clock)
    assert verdict["status"] == "pass"
    assert [check["attempts"] for check in verdict["checks"] if check["id"] == "redis"] == [2]


@pytest.mark.parametrize("number", range(6))
def test_a_phase_passes_when_everything_the_plan_asks_was_seen(root, clock, number):
    verdict = passed(root, number, clock)
    assert (verdict["status"], verdict["exit_code"]) == ("pass", 0)


@pytest.mark.parametrize(
    ("number", "left_out"), [(number, left_out) for number in range(6) for left_out in everything(number)]
)
def test_a_phase_that_left_something_out_has_not_passed(root, clock, number, left_out):
    verdict = passed(root, number, clock, without=left_out)
    assert (verdict["status"], verdict["exit_code"]) == ("inconclusive", 11)
    assert "need evidence for:" in verdict["sentence"]


@pytest.mark.parametrize(
    ("number", "left_out", "status"), [(2, "log:x", "pass"), (2, "reading-proven", "inconclusive")]
)
def test_of_a_stack_someone_else_runs_logs_are_not_asked_but_reading_is(root, clock, number, left_out, status):
    assert passed(root, number, clock, without=left_out, managed=False)["status"] == status


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (10, "fail"),
        (14, "fail"),
        (11, "inconclusive"),
        (12, "inconclusive"),
        (13, "inconclusive"),
        (None, "inconclusive"),
    ],
)
def test_what_breaks_a_run_phase_is_a_failed_run_only_when_it_speaks_about_the_target(root, clock, code, status):
    seen(root, 3, Status.PASS)
    broken = {"msg": "m", **({"exit_code": code} if code else {})}
    verdict = conclude(root, 3, clock, broken=broken)
    assert (verdict["status"], verdict["exit_code"]) == (status, code or 11)


def test_the_sentence_names_the_decisive_check(root, clock):
    seen(root, 2, Status.PASS, Status.FAIL)
    sentence = conclude(root, 2, clock)["sentence"]
    assert sentence == 'phase 2 (configuration) fail: check "c1" fail: this, need that. Next: do it'


def test_a_task_that_broke_is_a_failed_check_with_its_own_words(root, clock):
    seen(root, 2, Status.PASS)
    error = {"found": "no file", "need": "a file", "next": "make it", "subject": "x"}
    verdict = conclude(root, 2, clock, broken={"msg": "m", "exit_code": 13, "error": error})
    assert (verdict["status"], verdict["exit_code"], verdict["next"]) == ("fail", 13, "make it")


def test_without_a_cycle_a_broken_task_is_said_again(tmp_path, clock):
    root = DataRoot(tmp_path / "none")
    error = {"found": "no file", "need": "a file", "next": "make it", "subject": "plan"}
    with pytest.raises(SolidGreenError, match="plan: found no file, need a file. Next: make it") as caught:
        conclude(root, 0, clock, broken={"exit_code": 13, "error": error})
    assert caught.value.exit_code == 13


def test_a_phase_is_due_until_it_passed_and_again_when_its_pass_expired(root, clock):
    assert phase.due(root, 1, POLICY, clock=clock).reason == "it has no verdict in this cycle"
    seen(root, 1, Status.FAIL)
    conclude(root, 1, clock)
    assert phase.due(root, 1, POLICY, clock=clock).reason == "its last verdict is fail"
    verdict = passed(root, 1, clock)
    assert [attempt["status"] for attempt in verdict["attempts"]] == ["fail", "pass"]
    assert phase.due(root, 1, POLICY, clock=clock).due is False
    clock.sleep(POLICY.expiry_minutes(1) * 60)
    assert "expired" in phase.due(root, 1, POLICY, clock=clock).reason


def test_expired_runs_need_a_new_cycle(root, clock):
    passed(root, 3, clock)
    clock.sleep(POLICY.expiry_minutes(3) * 60)
    with pytest.raises(Inconclusive, match="invoke go --new-cycle"):
        phase.due(root, 3, POLICY, clock=clock)


def test_a_failed_run_stands(root, clock):
    seen(root, 4, Status.FAIL)
    conclude(root, 4, clock)
    with pytest.raises(SolidGreenError, match="it failed at .* and stands") as caught:
        phase.due(root, 4, POLICY, clock=clock)
    assert caught.value.exit_code == 10


def test_a_verdict_of_another_cycle_does_not_count(root, clock):
    jsonio.write_json(root.phase(1), {"cycle_id": "older", "status": "pass"})
    assert phase.due(root, 1, POLICY, clock=clock).due is True


def test_a_phase_needs_every_phase_before_it(root, clock):
    passed(root, 0, clock)
    with pytest.raises(Refused, match=r"phase 2 \(configuration\): found phase 1 \(infrastructure\) without a verdict"):
        phase.require_before(root, 2, POLICY, clock=clock)
    phase.require_before(root, 1, POLICY, clock=clock)
    phase.require_before(root, 5, POLICY, clock=clock)


def test_an_expired_pass_or_one_of_another_cycle_lets_nothing_follow(root, clock):
    passed(root, 0, clock)
    jsonio.write_json(root.phase(1), {**passed(root, 1, clock), "cycle_id": "older"})
    with pytest.raises(Refused, match=r"\(infrastructure\) without a verdict in this cycle"):
        phase.require_before(root, 2, POLICY, clock=clock)
    passed(root, 1, clock)
    clock.sleep(POLICY.expiry_minutes(1) * 60)
    with pytest.raises(Refused, match="with a pass that expired at"):
        phase.require_before(root, 2, POLICY, clock=clock)


def test_a_phase_that_was_begun_again_and_killed_has_not_passed(root, clock):
    passed(root, 1, clock)
    phase.begin(root, 1)
    assert not root.phase(1).exists()
    assert phase.due(root, 1, POLICY, clock=clock).due is True
    verdict = passed(root, 1, clock)
    assert len(verdict["attempts"]) == 2
    assert [path.name for path in root.phases.iterdir()] == ["phase1.json"]


def test_a_new_cycle_leaves_the_earlier_verdict_for_its_archive(root, clock):
    passed(root, 0, clock)
    phase.begin(root, 0, fresh=True)
    assert root.phase(0).exists()


def test_what_rests_on_a_phase_runs_again_when_that_phase_did(root, clock):
    for number in range(6):
        passed(root, number, clock)
        clock.sleep(1)
    assert not any(phase.due(root, number, POLICY, clock=clock).due for number in range(6))
    passed(root, 1, clock)
    assert [number for number in range(6) if phase.due(root, number, POLICY, clock=clock).due] == [2, 5]
    assert "phase 1 (infrastructure) ran again" in phase.due(root, 5, POLICY, clock=clock).reason


def test_barred_runs_are_refused_and_other_phases_are_not(root, clock):
    cycle.mark(root, "barred", "R3: smoke 1 failed", clock=clock)
    phase.require_not_barred(root, 1, POLICY)
    with pytest.raises(SolidGreenError, match="R3: smoke 1 failed"):
        phase.require_not_barred(root, 4, POLICY)


def test_a_reset_sets_verdicts_aside_but_never_those_of_runs(root, clock):
    for number in range(6):
        passed(root, number, clock)
    assert phase.reset(root, 1, clock=clock) == [1, 2, 5]
    assert [n for n in range(6) if root.phase(n).exists()] == [0, 3, 4]
    assert len(list(root.phases.glob("rolled_back_*/phase*.json"))) == 3
    assert phase.reset(root, 1, clock=clock) == []
