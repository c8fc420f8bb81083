"""``day3_watch`` beside a record that another process writes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

from clocks import TurnedClock
from judged import FULL, POLICY_FILE, POLICY_SCHEMA, SMOKE, write_cycle, write_data, write_run
from solidgreen import cycle, jsonio
from solidgreen.cycle import Holder
from solidgreen.paths import DataRoot

RUN = ("smoke1-a", "smoke", 1)
FALSE_PASS = {("pass", "pass"): 2, ("reject", "pass"): 1}


@pytest.fixture(name="root")
def root_fixture(tmp_path: Path) -> DataRoot:
    """Return a data root with an open first smoke in a cycle that this process holds."""
    root = DataRoot(tmp_path / "day3")
    write_data(root, SMOKE, FULL)
    run_id, kind, ordinal = RUN
    write_cycle(root, [])
    entry = {"run_id": run_id, "kind": kind, "ordinal": ordinal, "state": "open"}
    cycle.change(root, lambda found: found.update(runs=[entry]))
    cycle.take(root, Holder.of(os.getpid()), minutes=60, clock=TurnedClock())
    return root


def params(root: DataRoot, **changes: Any) -> dict[str, Any]:
    given = {"data_root": str(root.root), "kind": "smoke", "policy": str(POLICY_FILE)}
    return {**given, "policy_schema": str(POLICY_SCHEMA), "time_limit": 20, **changes}


def mark_of(root: DataRoot) -> Path:
    return root.run(RUN[0]) / "early_stop.json"


def test_check_do_of_a_run_with_a_lost_gate(root: DataRoot, run_module: Any) -> None:
    write_run(root, FALSE_PASS, *RUN, minutes=0, end=None)
    looked = run_module("day3_watch", params(root), check=True)
    assert (looked["changed"], looked["gates"]) == (True, ["smoke1:critical_false_pass"])
    assert not mark_of(root).exists()
    done = run_module("day3_watch", params(root))
    assert (done["changed"], done["gates"], done["done"]) == (True, ["smoke1:critical_false_pass"], 3)
    assert jsonio.read_json(mark_of(root))["reason"] == done["msg"]


def test_a_run_without_a_lost_gate_is_left_alone(root: DataRoot, run_module: Any) -> None:
    write_run(root, {("pass", "pass"): 2}, *RUN, minutes=0, end=None)
    looked = run_module("day3_watch", params(root), check=True)
    assert (looked["changed"], looked["msg"]) == (False, "no gate is lost yet")
    done = run_module("day3_watch", params(root, time_limit=0.2))
    assert (done["changed"], done["gates"], done["msg"]) == (False, [], "0.2 s were over")
    assert not mark_of(root).exists()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(lambda root: {"policy": str(root.root / "none.yml")}, "policy ", id="no policy"),
        pytest.param(lambda root: root.labels.unlink() or {}, "labels.json", id="no labels"),
    ],
)
def test_what_cannot_be_watched_ends_with_a_sentence(root: DataRoot, run_module: Any, spoil: Any, words: str) -> None:
    write_run(root, FALSE_PASS, *RUN, minutes=0, end=None)
    done = run_module("day3_watch", params(root, **spoil(root)))
    assert (done["failed"], done["exit_code"]) == (True, 13)
    assert words in done["msg"]
    assert not mark_of(root).exists()


def test_it_ends_when_the_playbook_that_holds_the_cycle_was_killed(root: DataRoot, run_module: Any) -> None:
    """As Ansible runs it in the background its parent is no playbook: the lease names who it is there for."""
    write_run(root, {("pass", "pass"): 2}, *RUN, minutes=0, end=None)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as playbook:
        cycle.release(root, Holder.of(os.getpid()))
        cycle.take(root, Holder.of(playbook.pid), minutes=60, clock=TurnedClock())
        ended = subprocess.Popen([sys.executable, "-c", f"import os, time; time.sleep(1); os.kill({playbook.pid}, 9)"])
        began = time.monotonic()
        done = run_module("day3_watch", params(root))
        ended.wait()
    assert done["msg"] == "whoever held the cycle is gone"
    assert 0.5 < time.monotonic() - began < 10
