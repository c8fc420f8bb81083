"""The drill of faults: its table, what counts as an end elsewhere, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from solidgreen import jsonio, policy
from solidgreen.errors import PRECEDENCE, BadInput
from solidgreen.paths import DataRoot

from scripts import drill_faults
from scripts.drill_faults import CONTROL, TABLE, Came, Drill, Range, came, gaps, known_faults, leaks, load, main

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "drill_faults.py"
DRILL = Drill("flaky", "flaky", 3, "pair:consistency", 10)
CAME = Came(3, ("pair:consistency", "smoke2:accuracy"), 10, "REHEARSAL NO-GO", "it wavers", 1.0)


def table(tmp_path: Path, **changes: Any) -> Path:
    """Write a table with a row for each fault, as changed."""
    rows = [{"faults": name, "phase": 3, "check": "c", "exit_code": 10} for name in sorted(known_faults())]
    control = {"phase": None, "check": "", "exit_code": 0}
    path = tmp_path / "table.yml"
    path.write_text(yaml.safe_dump({"schema": drill_faults.SCHEMA, "control": control, "drills": rows, **changes}))
    return path


# --- the table ----------------------------------------------------------------------------------------------------


def test_every_fault_of_the_rehearsal_has_a_row_and_every_row_a_fault() -> None:
    drills, _ = load(TABLE)
    assert gaps(drills, known_faults()) == []
    assert drills[0].name == CONTROL
    assert (drills[0].faults, drills[0].phase, drills[0].exit_code) == ("", None, 0)


def test_every_row_but_the_control_stops_the_plan_at_a_check_with_a_code_of_the_order() -> None:
    for drill in load(TABLE)[0][1:]:
        assert drill.phase in range(6), drill.name
        assert drill.check, drill.name
        assert drill.exit_code in PRECEDENCE, drill.name


def test_gates_that_the_table_names_are_gates_of_the_policy() -> None:
    rules = policy.load(ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json")
    for drill in load(TABLE)[0]:
        run, _, gate = drill.check.partition(":")
        known = {
            **{f"smoke{n}": {spec.id for spec in rules.gates_for("smoke", n)} for n in (1, 2)},
            "full1": {spec.id for spec in rules.gates_for("full", 1)},
            "pair": {spec.id for spec in rules.gates_for("smoke", 2)},
        }
        if run in known and gate != "run-complete":
            assert gate in known[run], drill.name


def test_a_fault_without_a_row_and_a_row_without_a_fault_are_named() -> None:
    drills = [Drill("a", "flaky@3,gremlins", 3, "c", 10), Drill("b", "slow", 3, "c", 11)]
    assert gaps(drills, {"flaky", "slow", "hang"}) == [
        'fault "hang" of the rehearsal: found no row, need one',
        'row "a": found no fault gremlins in the rehearsal, need one of flaky, hang, slow',
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"schema": "x/1"}, "another schema than solidgreen/drill-faults/1", id="another schema"),
        pytest.param({"drills": [{"faults": "slow", "phase": 3}]}, "missing 2 required", id="half a row"),
        pytest.param(
            {"drills": [{"faults": "slow", "phases": 3}]}, "unexpected keyword argument 'phases'", id="a typo"
        ),
        pytest.param(
            {"drills": [{"faults": "slow", "phase": 3, "check": "c", "exit_code": 10}] * 2}, "a name twice", id="twice"
        ),
        pytest.param({"drills": None}, "not iterable", id="no rows"),
    ],
)
def test_a_table_that_cannot_be_used_is_bad_input(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        load(table(tmp_path, **changes))


# --- what counts as an end elsewhere --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({}, "", id="as the table has it"),
        pytest.param({"phase": 4}, "expected phase 3, pair:consistency, exit code 10; came phase 4", id="phase"),
        pytest.param({"phase": None, "checks": (), "exit_code": 0}, "came no phase stops it, exit code 0", id="a GO"),
        pytest.param({"exit_code": 11}, "smoke2:accuracy, exit code 11 (it wavers)", id="code"),
        pytest.param({"checks": ("smoke2:accuracy",)}, "came phase 3, smoke2:accuracy, exit code 10", id="check"),
        pytest.param({"leaks": ("results/x",)}, "a secret is in results/x", id="a secret in an artifact"),
    ],
)
def test_an_end_elsewhere_is_said_with_what_was_expected_and_what_came(changes: dict[str, Any], words: str) -> None:
    wrong = replace(CAME, **changes).wrong(DRILL)
    assert words in wrong
    assert bool(wrong) is bool(words)


def test_a_control_that_stops_is_an_end_elsewhere() -> None:
    control = Drill(CONTROL, "", None, "", 0)
    assert Came(None, (), 0, "REHEARSAL LOCAL GO", "", 1.0).wrong(control) == ""
    assert "expected no phase stops it, exit code 0; came phase 3" in CAME.wrong(control)


def verdict(status: str, *checks: tuple[str, str]) -> dict[str, Any]:
    return {"status": status, "checks": [{"id": i, "status": s} for i, s in checks], "sentence": f"it {status}s"}


def test_the_end_is_the_first_phase_that_did_not_pass_and_the_checks_that_made_it_so(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    jsonio.write_json(root.phase(2), verdict("pass", ("a", "pass")))
    jsonio.write_json(
        root.phase(3), verdict("fail", ("b", "pass"), ("c", "fail"), ("d", "inconclusive"), ("e", "fail"))
    )
    jsonio.write_json(root.phase(4), verdict("fail", ("f", "fail")))
    end = came(root, 10, "last line", seconds=1.23, found=["x"])
    assert (end.phase, end.checks, end.sentence, end.seconds, end.leaks) == (3, ("c", "e"), "it fails", 1.2, ("x",))


def test_a_plan_that_left_nothing_ended_nowhere(tmp_path: Path) -> None:
    end = came(DataRoot(tmp_path), 13, "BadInput: no manifest", seconds=1, found=[])
    assert (end.phase, end.decision, end.sentence) == (None, "none", "BadInput: no manifest")
    assert end.wrong(Drill(CONTROL, "", None, "", 0))


def test_a_canary_is_found_in_any_file_that_is_not_its_own_place(tmp_path: Path) -> None:
    for name in ("a/b.json", "a/c.bin", "password", "d.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"\0..c4n4ry..\xff" if name != "d.txt" else b"c4n")
    assert leaks(tmp_path, ["c4n4ry"], [tmp_path / "password"]) == ["a/b.json", "a/c.bin"]
    assert leaks(tmp_path, ["c4n4ry"], [tmp_path / "a"]) == ["password"]
    assert leaks(tmp_path, []) == []


# --- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> dict[str, Came]:
    """Have each drill end at once, as its row says unless a test puts another end here."""
    ends: dict[str, Came] = {}

    def drill(_: Range, asked: Drill) -> Came:
        checks = (asked.check,) if asked.check else ()
        return ends.get(asked.name, Came(asked.phase, checks, asked.exit_code, "REHEARSAL NO-GO", "said", 1.0))

    monkeypatch.setattr(Range, "prepare", lambda _: None)
    monkeypatch.setattr(Range, "drill", drill)
    return ends


@pytest.mark.usefixtures("pretended")
def test_drills_that_all_end_as_they_must_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capsys.readouterr()
    rows = {line.split("  ")[0].strip(): line for line in out.splitlines()}
    assert {drill.name for drill in load(TABLE)[0]} < set(rows)
    assert all(line.rstrip().endswith("yes") for name, line in rows.items() if name != "fault")
    assert f"{len(load(TABLE)[0])} drills ended where they must" in err


def test_a_drill_that_ends_elsewhere_fails_the_command(
    pretended: dict[str, Came], capsys: pytest.CaptureFixture[str]
) -> None:
    pretended["flaky"] = Came(None, (), 0, "REHEARSAL LOCAL GO", "all passed", 1.0)
    assert main(["--only", "flaky", "--only", "slow", "--json"]) == 10
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert (document["passed"], document["gaps"]) == (False, [])
    assert {row["name"]: bool(row["wrong"]) for row in document["drills"]} == {"flaky": True, "slow": False}
    assert "flaky: expected phase 3, pair:consistency, exit code 10; came no phase stops it, exit code 0" in err
    assert "found 1 drill that ended elsewhere (flaky)" in err


def test_a_drill_that_breaks_has_not_ended_where_it_must(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Range, "prepare", lambda _: None)  # so that there are no cases to copy
    assert main(["--only", "slow", "--keep", str(tmp_path / "k")]) == 10
    assert "came no phase stops it, exit code 12 (the drill itself broke: " in capsys.readouterr().err


@pytest.mark.usefixtures("pretended")
def test_a_fault_without_a_row_fails_the_command_whatever_the_others_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"faults": name, "phase": 3, "check": "c", "exit_code": 10} for name in sorted(known_faults() - {"hang"})]
    assert main(["--table", str(table(tmp_path, drills=rows)), "--only", "slow"]) == 10
    assert 'fault "hang" of the rehearsal: found no row, need one' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "gremlins"], "option --only gremlins: found no such row, need one of all_blocked, "),
        (["--keep", str(ROOT)], "found something in it, need a new or an empty folder"),
        (["--table", "/no/such.yml"], "table /no/such.yml: found "),
    ],
    ids=["row", "folder", "table"],
)
def test_what_cannot_be_used_is_refused_before_anything_starts(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 13
    assert words in capsys.readouterr().err


def test_an_unknown_option_is_bad_input() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--gremlins"])
    assert ended.value.code == 13


# --- nothing is left behind -------------------------------------------------------------------------------------------


def running(folder: Path) -> list[str]:
    """Return the command lines of processes that have to do with a folder, found without the drill's own means."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in text for text in (*process.cmdline(), process.cwd(), *process.environ().values())):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def test_an_interrupt_stops_the_stack_and_everything_else_that_was_started(tmp_path: Path) -> None:
    keep = tmp_path / "a drill"
    tmp_path.chmod(0o711)
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "--only", "redirected", "--keep", str(keep)],
        cwd=ROOT,
        env={**os.environ, "REHEARSAL_FAULTS": "gremlins"},  # the caller's own switches do not reach the drill
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        state = keep / "drills" / "redirected" / ".solidgreen" / "stack" / "rehearsal" / "state.json"
        until = time.monotonic() + 300
        while not (state.exists() and json.loads(state.read_text())["services"]["api"]["pid"]):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.2)
        assert [line for line in running(keep) if "rehearsal.api" in line]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 11
    assert "stopped by hand; everything that was started is stopped" in err
    assert running(keep) == []
    assert not (keep / "sources" / "data").exists()
