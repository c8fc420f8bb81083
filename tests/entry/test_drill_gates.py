"""``invoke drill --gates``: it knows every gate, finds the smallest change, and fails where a judge can be fooled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from solidgreen import jsonio, ledger, policy, verdict
from solidgreen.check import Status
from solidgreen.judgement import judge_run
from solidgreen.paths import DataRoot

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import drill_gates as drill  # noqa: E402 - the folder is on the path only now
import drill_records as records  # noqa: E402
from drill_changes import Impossible  # noqa: E402

RULES = policy.load(drill.POLICY, drill.POLICY_SCHEMA)
GATES = {":".join(gate.key): gate for gate in RULES.gates}


@pytest.fixture(scope="module")
def passing(tmp_path_factory: pytest.TempPathFactory) -> records.RecordSet:
    """A record set that nobody changes."""
    root = DataRoot(tmp_path_factory.mktemp("records") / "day3")
    records.make(root, RULES)
    return records.RecordSet.load(root)


# --- the record set ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", records.RUNS)
def test_every_gate_of_a_run_passes_before_anything_is_changed(passing: records.RecordSet, label: str) -> None:
    kind, ordinal = records.RUNS[label]
    cycle, run_id = jsonio.read_json(passing.root.cycle), passing.runs[label][0]["run_id"]
    found = judge_run(passing.root, RULES, run_id=run_id, kind=kind, ordinal=ordinal, cycle=cycle)
    assert {result.name: result.seen for result in found.results if result.status is not Status.PASS} == {}
    assert len(found.results) == len(RULES.gates_for(kind, ordinal))
    assert found.conclusion.exit_code == 0


def test_the_record_set_is_the_same_each_time(passing: records.RecordSet, tmp_path: Path) -> None:
    records.make(DataRoot(tmp_path), RULES)
    first, again = (
        {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (passing.root.root, tmp_path)
    )
    assert first == again
    assert "manifest.csv" in first


@pytest.mark.parametrize("label", records.RUNS)
def test_its_ledgers_are_what_the_batch_writes(passing: records.RecordSet, label: str) -> None:
    path = passing.path(label)
    schema = jsonio.read_json(ROOT / "schemas" / "observation.schema.json")
    validator = jsonschema.Draft202012Validator(schema)
    assert [error.message for line in jsonio.read_jsonl(path) for error in validator.iter_errors(line)] == []
    found = ledger.closed(path, "finished")
    assert all(verdict.follows(record, passing.vmap) for record in found.observations)
    assert records.chained(passing.runs[label]) == path.read_bytes()


def test_it_makes_mistakes_and_retries_as_a_real_system_does(passing: records.RecordSet) -> None:
    full = passing.observations("full1")
    assert 0 < sum(not passing.right(record) for record in full) < len(full) / 10
    assert any(len(record["attempts"]) > 1 for record in full)


# --- the table -----------------------------------------------------------------------------------------------------


def test_no_gate_of_the_policy_is_forgotten(passing: records.RecordSet) -> None:
    plan, without = drill.drills(RULES, passing)
    assert without == []
    turned = {":".join(gate.key) for each in plan for gate in each.gates if each.wanted == drill.FAIL}
    assert turned == set(GATES)


@pytest.mark.parametrize("name", GATES)
def test_every_gate_is_drilled_from_both_sides(passing: records.RecordSet, name: str) -> None:
    plan, _ = drill.drills(RULES, passing)
    sides = {each.wanted for each in plan for gate in each.gates if ":".join(gate.key) == name}
    assert sides >= {drill.FAIL, drill.PASS}  # nothing changed is the other side of a zero tolerance
    if GATES[name].metric not in ("duration_minutes", "secrets", "ledger_damage"):
        assert drill.INCONCLUSIVE in sides


BY_ROWS = {g.metric for g in RULES.gates if g.severity != "advisory"} - {*drill.NOT_IN_ROWS}


def test_what_decides_and_can_be_seen_in_rows_is_drilled_by_rows_as_well(passing: records.RecordSet) -> None:
    plan, _ = drill.drills(RULES, passing)
    assert {
        g.metric for each in plan if (each.way, each.wanted) == (drill.ROWS, drill.FAIL) for g in each.gates
    } == BY_ROWS


@pytest.mark.parametrize(
    ("name", "run", "operator", "threshold", "n", "value", "turn"),
    [
        pytest.param("smoke:accuracy", "smoke1", ">=", "0.70", 20, "share", (13, 14), id="a share"),
        pytest.param("smoke:accuracy", "smoke1", ">=", "0.80", 20, "share", (15, 16), id="another number"),
        pytest.param("smoke:accuracy_lower", "smoke1", ">", "0.60", 20, "bound", (16, 17), id="a bound"),
        pytest.param("full:accuracy_lower", "full1", ">", "0.55", 90, "bound", (58, 59), id="a bound of 90"),
        pytest.param("full:comparable", "full1", ">=", "85/90", 90, "share", (84, 85), id="a fraction"),
        pytest.param("smoke:http_429_exhaustion", "smoke1", "<=", "0.05", 20, "share", (2, 1), id="at most"),
        pytest.param("full:http_429_exhaustion", "full1", "<=", "0.05", 90, "share", (5, 4), id="at most, of 90"),
        pytest.param("full:pass_blocked", "full1", "<", "0.30", 20, "share:pass", (6, 5), id="less than, of a class"),
        pytest.param("pair:consistency", "smoke2", ">=", "0.95", 20, "share", (18, 19), id="two flips"),
    ],
)
def test_the_smallest_change_comes_from_the_policys_own_number(
    passing: records.RecordSet,
    name: str,
    run: str,
    operator: str,
    threshold: str,
    n: int,
    value: str,
    turn: tuple[int, int],
) -> None:
    gate = replace(GATES[name], operator=operator, threshold=Fraction(threshold))
    at = drill.Place(RULES, passing, gate, run)
    compared, *classes = value.split(":")
    assert at.n(*classes) == n
    assert at.turn(n, getattr(at, compared)(*classes)) == turn


def test_a_changed_policy_changes_its_drill(passing: records.RecordSet) -> None:
    harder = replace(GATES["smoke:accuracy"], threshold=Fraction("0.8"))
    rules = replace(RULES, gates=tuple(harder if gate is GATES["smoke:accuracy"] else gate for gate in RULES.gates))
    texts = [
        [each.change.text for each in drill.drills(each_rules, passing, "smoke:accuracy")[0]]
        for each_rules in (RULES, rules)
    ]
    assert texts[0] == ["13 of 20 right", "14 of 20 right", "17 of 20 answered", "13 of 20 right"]
    assert texts[1] == ["15 of 20 right", "16 of 20 right", "17 of 20 answered", "15 of 20 right"]


def test_a_gate_that_nothing_can_turn_is_told(passing: records.RecordSet) -> None:
    never = replace(GATES["smoke:accuracy"], threshold=Fraction(0))
    with pytest.raises(Impossible, match=r">= 0.7 comes out the same for 0 to 20 of 20"):
        drill.Place(RULES, passing, never, "smoke1").turn(20, lambda hits: Fraction(hits, 20))
    rules = replace(RULES, gates=(never,))
    plan, without = drill.drills(rules, passing, "smoke:accuracy")
    assert plan == []
    assert without == ["smoke:accuracy: >= 0.7 comes out the same for 0 to 20 of 20"]


# --- judges that can be fooled -------------------------------------------------------------------------------------

GREEN = """
import json, sys
from pathlib import Path
gates = json.loads(Path(__file__).with_name("gates.json").read_text())
{edit}
print(json.dumps({{"gates": gates, "exit_code": {code}, "callouts": [], "deviations": []}}))
sys.exit({code})
"""


def judge_that(folder: Path, *, edit: str = "", code: int = 0, text: str = "") -> Path:
    """Write a judge that says the same of whatever it is given: every gate of a first smoke passes, but for *edit*."""
    entries = [
        {"scope": g.scope, "id": g.id, "status": "pass", "severity": g.severity, "exit_code": g.exit_code}
        for g in RULES.gates
        if g.scope in ("smoke", "run")
    ]
    (folder / "gates.json").write_text(json.dumps(entries))
    path = folder / "judge.py"
    path.write_text(text or GREEN.format(edit=edit, code=code))
    return path


@pytest.mark.parametrize(
    ("judge", "words"),
    [
        pytest.param(
            {}, "run:retries_429, registered with retries_429 5: run:retries_429 is pass, need fail", id="green"
        ),
        pytest.param(
            {"edit": "[g.update(status='fail') for g in gates if g['id'] == 'retries_429']"},
            "registered with retries_429 5: ended with 0, need 10",
            id="a failed gate and exit code 0",
        ),
        pytest.param(
            {"edit": "[g.update(status='fail') for g in gates if g['id'] == 'retries_429']", "code": 10},
            "registered with retries_429 6: run:retries_429 is fail, need pass",
            id="always red",
        ),
        pytest.param(
            {"edit": "gates = [g for g in gates if g['id'] != 'retries_429']"},
            "run:retries_429 is named 0 times, need fail",
            id="the gate left out",
        ),
        pytest.param({"edit": "gates = []"}, "it named no gate and ended with 0", id="no gate at all"),
        pytest.param(
            {"text": "raise SystemExit('it broke')"}, "it named no gate and ended with 1 (it broke)", id="broken"
        ),
        pytest.param({"text": "print('PASS')"}, "no JSON document on standard output", id="no document"),
    ],
)
def test_a_judge_that_can_be_fooled_fails_the_drill(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], judge: Mapping[str, Any], words: str
) -> None:
    code = drill.main(["--only", "run:retries_429", "--judge", str(judge_that(tmp_path, **judge))])
    shown = capsys.readouterr().out
    assert code == 14
    assert words in shown
    assert shown.splitlines()[-1].endswith("take nothing for judged by these gates until that is mended")
    assert "\nNOT " in f"\n{shown}"


def said(name: str, status: str) -> dict[str, Any]:
    gate = GATES[name]
    return {**dict(zip(("scope", "id"), gate.key, strict=True)), "status": status} | {
        "severity": gate.severity,
        "exit_code": gate.exit_code,
    }


@pytest.mark.parametrize(
    ("wanted", "gates", "code", "faults"),
    [
        pytest.param("fail", {"smoke:accuracy": "fail"}, 10, [], id="a gate that fired"),
        pytest.param("pass", {"smoke:accuracy": "pass", "pair:flips": "fail"}, 0, [], id="an advisory one beside it"),
        pytest.param("pass", {"smoke:accuracy": "pass", "run:drift": "fail"}, 11, [], id="a review one beside it"),
        pytest.param(
            "pass",
            {"smoke:accuracy": "fail"},
            10,
            ["smoke:accuracy is fail, need pass"],
            id="fired too early",
        ),
        pytest.param(
            "fail",
            {"smoke:accuracy": "fail", "run:registration": "fail"},
            14,
            ["registration fired, though nothing was tampered with"],
            id="for another reason",
        ),
        pytest.param(
            "fail",
            {"smoke:accuracy": "fail"},
            11,
            ["ended with 11, need 10 (last words)"],
            id="too mild",
        ),
        pytest.param(
            "inconclusive", {"smoke:accuracy": "inconclusive"}, 0, ["ended with 0, need 11 (last words)"], id="no data"
        ),
    ],
)
def test_what_the_judge_says_is_held_against_what_it_has_to(
    wanted: str, gates: Mapping[str, str], code: int, faults: list[str]
) -> None:
    entries = [said(name, status) for name, status in gates.items()]
    bench = drill.Bench(Path(), Path(), (), RULES, Path(), 0)
    each = drill.Drill((GATES["smoke:accuracy"],), drill.Change("", "smoke1"), wanted)
    assert bench.faults(each, drill.Judged(code, {"gates": entries, "exit_code": code}, "last words")) == faults


def test_a_record_set_that_does_not_pass_as_it_is_fails_the_drill() -> None:
    (each, *_) = drill.baseline(RULES)
    bench = drill.Bench(Path(), Path(), (), RULES, Path(), 0)
    document = {"gates": [said(":".join(gate.key), "pass") for gate in each.gates], "exit_code": 0}
    assert bench.faults(each, drill.Judged(0, document, "")) == []
    document["gates"][0]["status"] = "fail"
    faults = bench.faults(each, drill.Judged(10, {**document, "exit_code": 10}, "no"))
    assert faults == [f"{':'.join(each.gates[0].key)} is fail, need pass", "ended with 10, need 0 (no)"]


def test_a_gate_without_a_drill_fails_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(drill.TABLE, "secrets")
    code = drill.main(["--only", "smoke:duration", "--judge", str(judge_that(tmp_path))])
    assert code == 14
    last = capsys.readouterr().out.splitlines()[-1]
    assert "found 1 gate that no change turns (run:secrets measures secrets, which no drill changes)" in last


def test_equal_changes_are_judged_once(passing: records.RecordSet) -> None:
    plan, _ = drill.drills(RULES, passing)
    assert len({(each.way, each.change.work) for each in plan}) < len(plan)


# --- the command ---------------------------------------------------------------------------------------------------


def command(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, str(ROOT / "scripts" / "drill_gates.py"), *words]
    return subprocess.run(argv, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_a_gate_is_drilled_with_the_real_judge_and_nothing_is_left_behind(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("a place", "a temp")}
    for place in places.values():
        place.mkdir()
    done = command("--only", "run:verdicts_blind", "--json", cwd=places["a place"], TMPDIR=str(places["a temp"]))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {each["change"]: (each["fired"], each["exit_code"]) for each in found["drills"]} == {
        "a wrong verdict rewritten to its label, the chain signed anew": (["verdicts_blind"], 14),
        "nothing kept of the answers, the chain signed anew": (["verdicts_blind"], 14),
        "another verdict map in the place of the registered one": (["verdicts_blind"], 14),
        "1 case answered otherwise": ([], 0),
        "no verdict map to read the answers again by": ([], 11),
    }
    assert done.stderr.splitlines()[-1] == found["sentence"]
    assert [list(place.iterdir()) for place in places.values()] == [[], []]


def test_what_is_kept_can_be_judged_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep = tmp_path / "kept sets"
    judge = judge_that(tmp_path)
    drill.main(["--only", "run:retries_429", "--keep", str(keep), "--judge", str(judge)])
    capsys.readouterr()
    less = next(keep.glob("000 *"))
    argv = [sys.executable, str(ROOT / "scripts" / "judge.py"), "--json", "--results"]
    (record,) = (less / "results" / "runs").glob("smoke1-*/observations.jsonl")
    done = subprocess.run([*argv, str(record)], capture_output=True, text=True, check=False)
    assert done.returncode == 10
    assert [gate["id"] for gate in json.loads(done.stdout)["gates"] if gate["status"] == "fail"] == ["retries_429"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(
            ["--only", "smoke:nonsense"], "option --only: found 'smoke:nonsense', need one of smoke:", id="gate"
        ),
        pytest.param(["--keep", "{full}"], "found something in it, need a new or an empty folder", id="a full folder"),
        pytest.param(["--policy", "absent.yml"], "policy absent.yml: found No such file", id="no policy"),
    ],
)
def test_bad_input_is_13_and_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    (tmp_path / "file").write_text("x")
    assert drill.main([word.format(full=tmp_path) for word in words]) == 13
    shown = capsys.readouterr()
    assert said in shown.err
    assert len(shown.err.splitlines()) == 1
    assert shown.out == ""


def test_a_disk_that_takes_nothing_ends_with_12_and_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    assert drill.main(["--only", "smoke:accuracy", "--keep", str(tmp_path / "file" / "below")]) == 12
    (said_once,) = capsys.readouterr().err.splitlines()
    assert "found a disk that does not take it (Not a directory)" in said_once


def test_a_looser_policy_is_drilled_by_its_own_numbers_and_caps_every_end(tmp_path: Path) -> None:
    looser = tmp_path / "looser.yml"
    looser.write_bytes(drill.bent_policy(RULES, ("smoke", "http_429_exhaustion", "0.15")))
    done = command("--only", "smoke:http_429_exhaustion", "--policy", "looser.yml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ends = {(each["change"], each["way"]): each["exit_code"] for each in json.loads(done.stdout)["drills"]}
    assert ends == {
        ("4 of 20 given up on 429", "ledger"): 10,
        ("3 of 20 given up on 429", "ledger"): 10,  # too few can be compared by then
        ("1 record taken out, the chain signed anew", "ledger"): 11,
        ("4 of 20 given up on 429", "rows"): 10,
    }


def test_the_temporary_folder_is_gone_after_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    before = set(Path(tempfile.gettempdir()).glob("drill of gates *"))
    assert drill.main(["--only", "nonsense"]) == 13
    capsys.readouterr()
    assert set(Path(tempfile.gettempdir()).glob("drill of gates *")) <= before
