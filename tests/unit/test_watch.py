"""A run is followed beside its batch, and marked when a gate is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from clocks import TurnedClock
from judged import FULL, SMOKE, Counts, drawn, shipped, write_cycle, write_data, write_run
from solidgreen import cycle, jsonio, runner, watch
from solidgreen.cycle import Holder
from solidgreen.early import Partial
from solidgreen.paths import MARK, DataRoot
from solidgreen.watch import Watch

RUN = ("smoke1-a", "smoke", 1)
#: What the first records say, and with one more, which is a false pass.
FINE: Counts = {("pass", "pass"): 3, ("warn", "warn"): 2}
LOST: Counts = {**FINE, ("reject", "pass"): 1}


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> DataRoot:
    """Return a data root with a cycle that this process holds, and no run yet."""
    root = DataRoot(tmp_path / "day3")
    write_data(root, SMOKE, FULL)
    write_cycle(root, [])
    clock = TurnedClock()
    cycle.take(root, Holder.of(os.getpid()), minutes=60, clock=clock)
    return root


def opened(root: DataRoot, state: str = "open") -> None:
    run_id, kind, ordinal = RUN
    entry = {"run_id": run_id, "kind": kind, "ordinal": ordinal, "state": state}
    cycle.change(root, lambda found: found.update(runs=[entry]))


def written(root: DataRoot, table: Counts, end: str | None = None) -> Path:
    """Write the record anew: a longer table begins with the bytes of a shorter one."""
    path = root.run(RUN[0]) / runner.OBSERVATIONS
    path.unlink(missing_ok=True)
    write_run(root, table, *RUN, minutes=0, end=end)
    return path


class Told(TurnedClock):
    """A clock that does one thing at each sleep of the watch."""

    def __init__(self, *things: Callable[[], Any]) -> None:
        super().__init__()
        self.things = list(things)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.things:
            self.things.pop(0)()


def watched(root: DataRoot, *things: Callable[[], Any], limit_s: float = 60.0) -> watch.Watched:
    return Watch(root, shipped(), kind="smoke", ordinal=1, clock=Told(*things)).until(limit_s)


def mark_of(root: DataRoot) -> Path:
    return root.run(RUN[0]) / MARK


def test_a_lost_gate_is_marked_with_a_sentence_for_people(root: DataRoot) -> None:
    found = watched(root, lambda: opened(root), lambda: written(root, FINE), lambda: written(root, LOST))
    assert ([result.name for result in found.lost], found.done) == (["smoke1:critical_false_pass"], 6)
    case = next(case for case in drawn(root) if case.startswith("r"))
    assert jsonio.read_json(mark_of(root)) == {
        "reason": f"smoke1:critical_false_pass is 1 of 1: {case}, at best 1 of 7 however the 14 cases without a record "
        "end, need == 0",
        "gates": ["smoke1:critical_false_pass"],
        "at": "2026-03-01T12:00:01.500000Z",
        "done": 6,
    }


def test_several_lost_gates_are_counted_and_named(root: DataRoot) -> None:
    opened(root)
    written(root, {("reject", "pass"): 1, ("warn", "reject"): 4})
    found = watched(root)
    assert found.why.endswith("need == 0, and 1 other gate")
    assert jsonio.read_json(mark_of(root))["gates"] == ["smoke1:critical_false_pass", "smoke1:accuracy_lower"]


@pytest.mark.parametrize(
    ("things", "words"),
    [
        pytest.param([lambda root: written(root, FINE, "finished")], "the run ended", id="its record ended"),
        pytest.param([lambda root: opened(root, "stopped")], "the run ended", id="its cycle says so"),
        pytest.param(
            [lambda root: cycle.mark(root, "barred", "R3", clock=TurnedClock())],
            "the runs of the cycle were barred",
            id="barred",
        ),
        pytest.param(
            [lambda root: cycle.release(root, Holder.of(os.getpid()))],
            "whoever held the cycle is gone",
            id="the lease was given back",
        ),
        pytest.param(
            [lambda root: cycle.change(root, lambda c: c["lease"]["holder"].update(pid=2**22 - 1))],
            "whoever held the cycle is gone",
            id="somebody else took it",
        ),
        pytest.param([], "60 s were over", id="the time is over"),
    ],
)
def test_a_watch_ends_without_a_mark_when(root: DataRoot, things: list[Any], words: str) -> None:
    opened(root)
    written(root, FINE)
    found = watched(root, *(lambda thing=thing: thing(root) for thing in things))
    assert (found.run_id, found.why, found.lost) == (RUN[0], words, ())
    assert not mark_of(root).exists()


def test_a_watch_whose_holder_died_ends(root: DataRoot) -> None:
    cycle.change(root, lambda found: found["lease"]["holder"].update(started=1.0))
    assert watched(root).why == "whoever held the cycle is gone"


def test_a_run_that_ended_long_ago_is_left_alone_even_where_a_gate_failed(root: DataRoot) -> None:
    opened(root, "finished")
    written(root, LOST, "finished")
    assert watched(root).why == "the run ended"
    assert not mark_of(root).exists()


def test_a_run_that_was_never_opened_is_waited_for(root: DataRoot) -> None:
    assert watched(root, limit_s=3.0) == watch.Watched("", "3 s were over", 0)


@pytest.mark.parametrize("kept", [1, 0.5, 0], ids=["without its line end", "half of it", "nothing of it"])
def test_a_torn_last_line_is_not_there_yet(root: DataRoot, kept: float) -> None:
    opened(root)
    path = written(root, LOST)
    whole = path.read_bytes()
    *lines, last = whole.splitlines()
    torn = b"\n".join(lines) + b"\n" + last[: int(len(last) * kept)]
    path.write_bytes(torn)
    found = watched(root, lambda: None, lambda: path.write_bytes(whole))
    assert (found.done, len(found.lost)) == (6, 1)
    path.write_bytes(torn)
    assert watched(root).lost == ()


@pytest.mark.parametrize("line", [b"{\n", b'{"type":"end"}\n', b"[]\n"], ids=["no JSON", "no time", "no record"])
def test_a_broken_record_ends_the_watch_and_marks_nothing(root: DataRoot, line: bytes) -> None:
    opened(root)
    path = written(root, FINE)
    path.write_bytes(path.read_bytes() + line)
    found = watched(root)
    assert found.why.startswith("its record is broken (")
    assert not mark_of(root).exists()


def test_it_judges_only_when_there_is_something_new(root: DataRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[int] = []
    monkeypatch.setattr(Partial, "certain", lambda self: judged.append(len(self.rows)) or [])
    opened(root)
    watched(root, lambda: written(root, FINE), lambda: None, lambda: None, lambda: written(root, LOST))
    assert judged == [5, 6]


def test_it_rests_longer_than_it_works(root: DataRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tables = Told(), [{("pass", "pass"): n} for n in range(1, 6)]
    clock.things = [lambda table=table: written(root, table) for table in tables]
    at: list[float] = []

    def certain(_: Partial) -> list[Any]:
        at.append(clock.monotonic())
        clock.elapsed += 1.0
        return []

    monkeypatch.setattr(Partial, "certain", certain)
    opened(root)
    Watch(root, shipped(), kind="smoke", ordinal=1, clock=clock).until(60.0)
    assert at[1] - at[0] < 2.0  # the first one loads what the others need, and is not counted
    assert [later - sooner >= 1.0 + watch.REST for sooner, later in pairwise(at[1:])] == [True]


def test_the_record_is_neither_locked_nor_touched(root: DataRoot) -> None:
    opened(root)
    path = written(root, LOST)
    before = {found: found.read_bytes() for found in path.parent.iterdir() if found != mark_of(root)}
    watched(root)
    assert {found: found.read_bytes() for found in path.parent.iterdir() if found != mark_of(root)} == before
