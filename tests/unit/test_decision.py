"""Decisions over phase verdicts, gates and the cycle."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from judged import NOW, ROOT, RUNS, SMOKE, Counts, counts, shipped, write_cycle, write_phase, write_root
from solidgreen import bundle, cycle, jsonio, judgement
from solidgreen.check import Check, Status
from solidgreen.decision import Decision, decide
from solidgreen.errors import BadInput
from solidgreen.paths import DataRoot
from solidgreen.policy import Deviation, PhaseSpec

Change = Callable[[DataRoot], Any]


def judged_root(tmp_path: Path, smoke: Counts = SMOKE, **changes: Any) -> DataRoot:
    """Return a results folder in which all six phases have their verdict."""
    root = write_root(tmp_path, smoke, **changes)
    checks: dict[int, list[Check]] = {3: [], 4: []}
    for run_id, kind, ordinal in RUNS:
        found = judgement.judge_run(root, shipped(), run_id=run_id, kind=kind, ordinal=ordinal, cycle=cycle.load(root))
        judgement.write(root, found)
        checks[3 if kind == "smoke" else 4] += found.checks("QA Lead")
    for number, each in checks.items():
        write_phase(root, number, each)
    return root


def decided(
    root: DataRoot, level: str = "solid", now: datetime = NOW, deviations: Sequence[Deviation] = ()
) -> Decision:
    runs = {f"{run['kind']}{run['ordinal']}": run["run_id"] for run in (cycle.load(root) or {}).get("runs", [])}
    files = {label: jsonio.read_json_or_none(root.run(run_id) / "gates.json") for label, run_id in runs.items()}
    found = decide(
        {number: jsonio.read_json_or_none(root.phase(number)) for number in range(6)},
        cycle=cycle.load(root),
        policy=shipped(),
        level_asked=level,
        gate_files={label: file for label, file in files.items() if file},
        deviations=deviations,
        now=now,
    )
    schema = json.loads((ROOT / "schemas" / "decision.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(jsonio.to_plain(found))
    return found


def check(status: str, code: int | None = None, name: str = "looked") -> Check:
    return Check(name, "Looked at", Status(status), "what was seen", "what was needed", "do that", exit_code=code)


def phase(number: int, status: str, code: int | None = None) -> Change:
    return lambda root: write_phase(root, number, [check("pass", name="first"), check(status, code)])


def edit(file: Callable[[DataRoot], Path], change: Callable[[dict[str, Any]], Any]) -> Change:
    def apply(root: DataRoot) -> None:
        document = jsonio.read_json(file(root))
        change(document)
        jsonio.write_json(file(root), document)

    return apply


def in_phase(number: int, **changes: Any) -> Change:
    return edit(lambda root: root.phase(number), lambda document: document.update(changes))


def in_cycle(**changes: Any) -> Change:
    return edit(lambda root: root.cycle, lambda document: document.update(changes))


def in_gates(run_id: str, change: Callable[[dict[str, Any]], Any]) -> Change:
    return edit(lambda root: root.run(run_id) / "gates.json", change)


def missing(number: int) -> Change:
    return lambda root: root.phase(number).unlink()


def dirty(clean: bool | None = False) -> Change:
    git = {"solidgreen": {"commit": "c", "clean": clean}}
    return edit(lambda root: root.cycle, lambda document: document["registration"].update(git=git))


SOLID, LOCAL = "REHEARSAL SOLID GREEN PENDING APPROVAL", "REHEARSAL LOCAL GO"
NO_GO, OPEN = "REHEARSAL NO-GO", "REHEARSAL INCONCLUSIVE"
TABLE: list[tuple[str, str, list[Change], str, int, str]] = [
    # what happened, level asked, changes, decision, exit code, words of what decided
    ("everything passed", "solid", [], SOLID, 0, "accuracy_lower: lower bound 0.839"),
    ("everything passed, local asked", "local", [], SOLID, 0, "accuracy_lower"),
    ("phase 5 not run, local asked", "local", [missing(5)], LOCAL, 0, "accuracy_lower"),
    ("phase 5 not run, solid asked", "solid", [missing(5)], LOCAL, 11, "phase 5 (production) left no verdict"),
    ("phase 5 failed, local asked", "local", [phase(5, "fail")], LOCAL, 0, "accuracy_lower"),
    ("phase 5 failed, solid asked", "solid", [phase(5, "fail")], LOCAL, 10, "phase 5, looked failed: what was seen"),
    ("phase 5 open, solid asked", "solid", [phase(5, "inconclusive")], LOCAL, 11, "phase 5, looked is inconclusive"),
    *[(f"phase {n} left no file", "local", [missing(n)], OPEN, 11, f"phase {n} ") for n in range(5)],
    *[(f"phase {n} failed", "local", [phase(n, "fail")], NO_GO, 10, f"phase {n}, looked failed") for n in range(5)],
    *[
        (f"phase {n} open", "local", [phase(n, "inconclusive")], OPEN, 11, f"phase {n}, looked is inconclusive")
        for n in range(5)
    ],
    ("infrastructure failed twice", "solid", [phase(1, "fail", 12)], NO_GO, 12, "phase 1, looked failed"),
    ("bad input", "solid", [phase(3, "fail", 13)], OPEN, 13, "phase 3, looked failed"),
    ("evidence damaged", "solid", [phase(3, "fail", 14)], NO_GO, 14, "phase 3, looked failed"),
    # precedence: 14 before 13 before 12 before 10 before 11
    ("14 over 13", "solid", [phase(2, "fail", 13), phase(3, "fail", 14)], NO_GO, 14, "phase 3"),
    ("13 over 12", "solid", [phase(1, "fail", 12), phase(2, "fail", 13)], NO_GO, 13, "phase 2"),
    ("12 over 10", "solid", [phase(0, "fail", 10), phase(1, "fail", 12)], NO_GO, 12, "phase 1"),
    ("10 over 11", "solid", [missing(0), phase(4, "fail")], NO_GO, 10, "phase 4"),
    # a pass that cannot be believed
    ("a pass expired", "solid", [in_phase(1, expires_at="2026-03-01T13:30:00Z")], OPEN, 11, "its pass expired at"),
    ("a pass expires now", "solid", [in_phase(1, expires_at="2026-03-01T14:00:00Z")], OPEN, 11, "its pass expired"),
    ("a pass without expiry", "solid", [in_phase(1, expires_at=None)], OPEN, 11, "states no expiry"),
    ("a pass of another cycle", "solid", [in_phase(2, cycle_id="cycle-0")], NO_GO, 14, "the verdict of cycle-0"),
    ("a file of another phase", "solid", [in_phase(2, phase=1)], NO_GO, 14, "phase 2 (configuration) has the verdict"),
    ("a pass with no checks", "solid", [in_phase(2, checks=[])], NO_GO, 14, "says pass over a check that did not"),
    (
        "a pass over a failed check",
        "solid",
        [in_phase(2, checks=[check("fail").to_dict()])],
        NO_GO,
        14,
        "says pass over a check that did not",
    ),
    (
        "a pass that states a longer life than the policy gives",
        "solid",
        [in_phase(5, finished_at="2026-03-01T09:59:00Z", expires_at="2026-12-31T00:00:00Z")],
        LOCAL,
        11,
        "phase 5 (production): its pass expired at 2026-03-01T13:59:00.000000Z",
    ),
    ("a pass from tomorrow", "solid", [in_phase(2, finished_at="2026-03-02T12:00:00Z")], NO_GO, 14, "which is not yet"),
    ("a time that is none", "solid", [in_phase(2, finished_at="noon")], NO_GO, 14, "left a file that is no verdict"),
    ("a code that is none", "solid", [in_phase(2, exit_code="x")], NO_GO, 14, "left a file that is no verdict"),
    ("a code nobody knows", "local", [phase(2, "fail"), in_phase(2, exit_code=1)], NO_GO, 14, "phase 2, looked failed"),
    ("a status nobody knows", "solid", [in_phase(2, status="green")], NO_GO, 14, "left a file that is no verdict"),
    ("checks that are none", "solid", [in_phase(2, checks=[{"id": "x"}])], NO_GO, 14, "a file that is no verdict"),
    # the gates behind phases 3 and 4
    ("no gates of smoke 2", "solid", [lambda r: (r.run("smoke2-b") / "gates.json").unlink()], OPEN, 11, "smoke2"),
    ("only one smoke", "solid", [in_cycle(runs=[])], OPEN, 11, "phase 3 (smoke) passed without the gates of smoke1"),
    (
        "a gate left out",
        "solid",
        [in_gates("smoke1-a", lambda d: d["gates"].pop(1))],
        NO_GO,
        14,
        "smoke1 was judged without comparable",
    ),
    (
        "gates of another policy",
        "solid",
        [in_gates("full1-c", lambda d: d.update(policy_sha256="0" * 64))],
        NO_GO,
        14,
        "judged by another policy",
    ),
    (
        "gates of another run",
        "solid",
        [in_gates("full1-c", lambda d: d.update(run_id="full1-z"))],
        NO_GO,
        14,
        "judge full1-z, not this run",
    ),
    (
        "a failed gate under a passed phase",
        "solid",
        [in_gates("smoke1-a", lambda d: d["gates"][0].update(status="fail"))],
        NO_GO,
        14,
        "says pass over gates of smoke1 that did not",
    ),
    # the cycle
    ("no cycle", "solid", [lambda root: root.cycle.unlink()], "NO-GO", 14, "not of this cycle"),
    (
        "a barred cycle",
        "solid",
        [in_cycle(barred={"reason": "smoke failed"})],
        NO_GO,
        10,
        "the runs are barred: smoke failed",
    ),
    ("demonstration mode", "solid", [in_cycle(demonstration={"reason": "demo"})], OPEN, 11, "demonstration mode"),
    ("target never asked", "solid", [in_cycle(rehearsal=None)], "INCONCLUSIVE", 11, "nobody asked the target"),
    # caps
    ("a dirty tree", "solid", [dirty()], LOCAL, 11, "git tree of solidgreen is not clean"),
    ("a dirty tree, local asked", "local", [dirty()], LOCAL, 0, "accuracy_lower"),
    ("a tree nobody looked at", "solid", [dirty(None)], LOCAL, 11, "git tree of solidgreen is not clean"),
]


@pytest.mark.parametrize(
    ("level", "changes", "decision", "code", "words"),
    [pytest.param(*row[1:], id=row[0]) for row in TABLE],
)
def test_the_decision_is(
    tmp_path: Path, level: str, changes: list[Change], decision: str, code: int, words: str
) -> None:
    root = judged_root(tmp_path)
    for change in changes:
        change(root)
    found = decided(root, level)
    assert (found.decision, found.exit_code) == (decision, code), found.sentence()
    assert words in found.deciding
    assert found.next


def test_a_target_that_is_no_rehearsal_carries_no_prefix(tmp_path: Path) -> None:
    found = decided(judged_root(tmp_path, rehearsal=False))
    assert (found.decision, found.exit_code, found.next) == ("SOLID GREEN PENDING APPROVAL", 0, "invoke approve")


def test_a_rehearsal_never_points_to_a_signature(tmp_path: Path) -> None:
    assert "cannot be signed" in decided(judged_root(tmp_path)).next


def test_a_rehearsals_pacing_on_a_real_target_is_not_believed(tmp_path: Path) -> None:
    root = judged_root(tmp_path)
    write_cycle(root, RUNS, rehearsal=False)
    in_gates("smoke1-a", lambda d: d.update(rehearsal_pacing=True))(root)
    found = decided(root)
    assert (found.exit_code, found.level) == (14, None)
    assert "the target is none" in found.deciding


@pytest.mark.parametrize(
    ("loosens", "decision", "code"),
    [pytest.param(True, LOCAL, 11, id="loosened"), pytest.param(False, SOLID, 0, id="tightened")],
)
def test_a_deviation_is_said_and_caps_when_it_loosens(tmp_path: Path, loosens: bool, decision: str, code: int) -> None:
    root = judged_root(tmp_path)
    found = decided(root, deviations=[Deviation("gate smoke:accuracy needs >= 0.6", loosens)])
    assert (found.decision, found.exit_code) == (decision, code)
    assert found.deviations == ("gate smoke:accuracy needs >= 0.6",)


def test_a_review_gate_holds_the_decision_inconclusive(tmp_path: Path) -> None:
    found = decided(judged_root(tmp_path, counts(SMOKE, "reject>server_error 1")))
    assert (found.decision, found.exit_code, found.level) == (OPEN, 11, None)
    assert "smoke1:unanswered" in found.deciding


def test_a_failed_smoke_is_decided_by_its_number(tmp_path: Path) -> None:
    found = decided(judged_root(tmp_path, counts(SMOKE, "warn>reject 4")))
    assert (found.decision, found.exit_code) == (NO_GO, 10)
    assert found.deciding == (
        "phase 3, smoke1:accuracy_lower failed: lower bound 0.584 (16 of 20, wilson 95%), need > 0.6; "
        "passes with 17 of 20; 1 more right answer"
    )


def test_phases_never_run_are_not_listed_beside_a_failure(tmp_path: Path) -> None:
    root = judged_root(tmp_path)
    phase(1, "fail", 12)(root)
    for number in (2, 3, 4, 5):
        root.phase(number).unlink()
    assert decided(root).reasons == ("phase 1, looked failed: what was seen, need what was needed",)


def test_the_decision_is_dated_by_its_latest_phase_and_stays_the_same(tmp_path: Path) -> None:
    root = judged_root(tmp_path)
    first, later = decided(root), decided(root, now=NOW + timedelta(hours=1))
    assert first == later
    assert first.at == "2026-03-01T13:05:00.000000Z"


def test_an_unknown_level_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="local or solid"):
        decided(judged_root(tmp_path), "green")


def test_nothing_at_all_is_inconclusive() -> None:
    found = decide({}, cycle=None, policy=shipped(), level_asked="solid", gate_files={}, deviations=(), now=NOW)
    assert (found.decision, found.exit_code, found.deciding, found.next) == (
        "INCONCLUSIVE",
        11,
        "no cycle is open",
        "invoke go",
    )


def test_the_bundle_decides_by_what_lies_in_the_folder(tmp_path: Path) -> None:
    root = judged_root(tmp_path)
    made = bundle.make(root, shipped(), shipped=shipped(), level_asked="solid", now=NOW)
    assert made.decision == decided(root)


# --- what the gates say against what the evidence says -------------------------------------------------------------


def made(root: DataRoot) -> Decision:
    return bundle.make(root, shipped(), shipped=shipped(), level_asked="solid", now=NOW).decision


def in_lines(file: Callable[[DataRoot], Path], old: bytes, new: bytes) -> Change:
    def apply(root: DataRoot) -> None:
        path = file(root)
        assert old in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(old, new, 1))

    return apply


def better(document: dict[str, Any]) -> None:
    gate = next(gate for gate in document["gates"] if gate["id"] == "accuracy_lower")
    gate.update(seen="lower bound 0.999 (20 of 20, wilson 95%)", value=0.999)


def without(file: Callable[[DataRoot], Path]) -> Change:
    return lambda root: file(root).unlink()


def of_run(run_id: str, name: str) -> Callable[[DataRoot], Path]:
    return lambda root: root.run(run_id) / name


def drop_rows(root: DataRoot) -> None:
    lines = root.day3_results.read_bytes().splitlines(keepends=True)
    root.day3_results.write_bytes(b"".join(line for line in lines if b'"run_id":"full1-c"' not in line))


@pytest.mark.parametrize(
    ("change", "label", "words"),
    [
        pytest.param(in_gates("smoke2-b", better), "smoke2", "gates.json: found other content", id="a better number"),
        pytest.param(in_gates("full1-c", better), "full1", "gives (accuracy_lower)", id="and which"),
        pytest.param(
            in_gates("smoke1-a", lambda d: d.update(digests={"policy": "0" * 64})),
            "smoke1",
            "(registration)",
            id="digest",
        ),
        pytest.param(
            in_lines(of_run("smoke1-a", "observations.jsonl"), b'"verdict":"warn"', b'"verdict":"pass"'),
            "smoke1",
            "observations.jsonl line",
            id="edited",
        ),
        pytest.param(without(of_run("smoke1-a", "observations.jsonl")), "smoke1", "no record of a run", id="no ledger"),
        pytest.param(without(of_run("full1-c", "results.jsonl")), "full1", "results.jsonl: no file", id="no rows"),
        pytest.param(without(lambda root: root.labels), "smoke1", "labels.json: no file", id="no labels"),
        pytest.param(
            without(lambda root: root.day3_results), "smoke1", "found other rows of smoke1-a", id="no results"
        ),
        pytest.param(
            in_gates("smoke1-a", lambda d: d.update(digests=["x"])), "smoke1", "another form", id="no digests"
        ),
        pytest.param(
            in_lines(lambda root: root.cases, b'"contains_pii"', b'"expected"'),
            "smoke1",
            "cases.jsonl line 2: the key expected",
            id="a label among the cases",
        ),
        pytest.param(
            in_lines(lambda root: root.cases, b'"contains_pii":false', b'"contains_pii":true'),
            "smoke1",
            "gates.json: found other content than the evidence gives (registration)",
            id="cases edited",
        ),
        pytest.param(
            without(lambda root: root.cases),
            "smoke1",
            "gates.json: found other content than the evidence gives (verdicts_blind, registration)",
            id="no cases",
        ),
        pytest.param(drop_rows, "full1", "found other rows of full1-c", id="rows of one run gone"),
        pytest.param(
            edit(lambda root: root.labels, lambda d: d["labels"]["w-001"].update(expected="reject")),
            "smoke1",
            "gates.json: found other content",
            id="labels edited",
        ),
        pytest.param(
            edit(of_run("full1-c", "metrics_summary.json"), lambda d: d.update(accuracy=1.5)),
            "full1",
            "metrics_summary.json: found other content",
            id="metrics edited",
        ),
    ],
)
def test_a_file_that_its_evidence_does_not_give_is_not_believed(
    tmp_path: Path, change: Change, label: str, words: str
) -> None:
    root = judged_root(tmp_path)
    change(root)
    found = made(root)
    assert (found.decision, found.exit_code, found.level) == (NO_GO, 14, None)
    assert any(reason.startswith(f"{label}: ") and words in reason for reason in found.reasons), found.reasons
    assert found.phases["4" if label == "full1" else "3"] == "not believed"


def test_a_failed_phase_over_tampered_evidence_says_both(tmp_path: Path) -> None:
    root = judged_root(tmp_path, counts(SMOKE, "warn>reject 4"))
    in_gates("smoke1-a", better)(root)
    found = made(root)
    assert (found.exit_code, found.phases["3"]) == (14, "fail")
    assert "smoke1:accuracy_lower failed" in found.reasons[0]
    assert any("found other content than the evidence gives" in reason for reason in found.reasons)


def test_a_run_that_ended_and_was_not_judged_yet_is_open_and_not_doubted(tmp_path: Path) -> None:
    root = judged_root(tmp_path)
    for name in ("gates.json", "results.jsonl"):
        (root.run("full1-c") / name).unlink()
    found = made(root)
    assert (found.decision, found.exit_code) == (OPEN, 11)
    assert "without the gates of full1" in found.deciding


#: Ids of the checks that a whole rehearsal left, phase by phase.
LEFT = json.loads((ROOT / "tests" / "fixtures" / "phase_checks.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("spec", shipped().phases, ids=lambda spec: spec.name)
def test_the_checks_a_real_run_leaves_answer_everything_the_policy_asks(spec: PhaseSpec) -> None:
    assert spec.unseen(LEFT[str(spec.number)], managed=True) == []


@pytest.mark.parametrize("spec", shipped().phases, ids=lambda spec: spec.name)
def test_without_its_check_no_box_is_answered(spec: PhaseSpec) -> None:
    for box in spec.checklist:
        for pattern in box.evidence:
            left = [name for name in LEFT[str(spec.number)] if not fnmatchcase(name, pattern)]
            assert (box, pattern) in spec.unseen(left, managed=True)


@pytest.mark.parametrize(("driver", "level"), [("external", "solid"), ("compose", None), ("embedded", None)])
def test_only_a_stack_registered_as_someone_elses_is_excused_from_its_logs(
    tmp_path: Path, driver: str, level: str | None
) -> None:
    root = judged_root(tmp_path)
    edit(lambda r: r.cycle, lambda document: document["registration"]["target"].update(driver=driver))(root)
    without = [check for check in jsonio.read_json(root.phase(2))["checks"] if not check["id"].startswith("log:")]
    in_phase(2, managed=False, checks=without)(root)
    found = decided(root)
    assert found.level == level
    assert level or (found.exit_code, "says pass without a check log:" in found.deciding) == (14, True)


# --- a cycle that says two things ----------------------------------------------------------------------------------


def in_cycle(change: Callable[[dict[str, Any]], Any]) -> Change:
    return edit(lambda root: root.cycle, change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(
            in_cycle(lambda c: (c["registration"].update(rehearsal=True), c.update(rehearsal=False))),
            "the cycle says both that its target is a rehearsal and that it is none",
            id="no rehearsal any more",
        ),
        pytest.param(
            in_cycle(lambda c: (c["registration"]["target"].update(rehearsal=True), c.update(rehearsal=False))),
            "the cycle says both that its target is a rehearsal and that it is none",
            id="its target is one",
        ),
        pytest.param(phase(1, "waived"), "has a check that says waived, which only a gate can be", id="a waived check"),
        pytest.param(
            in_cycle(lambda c: c["runs"][2].update(ended_at="2026-03-01T13:59:00.000000Z")),
            "before its runs did",
            id="a phase that ended before its run",
        ),
        pytest.param(
            lambda root: write_phase(root, 1, [check("fail", 12)], exit_code=10),
            "says fail over a check that says worse",
            id="a milder exit code than a check",
        ),
        pytest.param(
            lambda root: write_phase(root, 3, [check("fail", 10)], status="inconclusive", exit_code=11),
            "says inconclusive over a check that says worse",
            id="a milder status than a check",
        ),
    ],
)
def test_what_contradicts_itself_is_not_believed(tmp_path: Path, change: Change, words: str) -> None:
    root = judged_root(tmp_path)
    change(root)
    found = decided(root)
    assert (found.exit_code, found.level) == (14, None)
    assert any(words in reason for reason in found.reasons), found.reasons
    assert found.decision.startswith("REHEARSAL")
