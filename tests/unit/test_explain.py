"""``invoke explain`` as a command, and the page whose tables the study makes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from dataset import row, write_documents, write_manifest
from judged import ROOT, shipped
from solidgreen import power
from solidgreen.power import Plan
from solidgreen.stats import clustered, wilson

from scripts import explain
from scripts.bench import study

PAGE = (ROOT / "docs" / "statistics.md").read_text("utf-8")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "explain.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    plot = tmp_path_factory.mktemp("explain") / "power.svg"
    return run("--json", "--plot", plot), plot


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(shipped(), power.planned(shipped()))


def data_set(folder: Path) -> Path:
    """Write the ninety cases of the policy, three of each parent, over the same two documents."""
    write_documents(folder, 1)
    scenarios = [name for name, entry in shipped().dataset["scenarios"].items() for _ in range(entry["count"])]
    return write_manifest(
        folder,
        [
            row(number, scenario, cleaned_path="bundles/b1", synthetic_parent_id=f"P{number % 30}")
            for number, scenario in enumerate(scenarios, start=1)
        ],
    )


# --- the command ---------------------------------------------------------------------------------------------------


def test_one_json_document_says_what_the_gates_take_and_who_passes(drawn: Any) -> None:
    done, _ = drawn
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    taken = {gate["gate"]: (gate["needs"], gate["counts"], gate["n"]) for gate in told["gates"]}
    assert taken["smoke:accuracy_lower"] == ("17 of 20", "right answer", 20)
    assert taken["full:critical_false_pass"] == ("none of 35", "false pass", 35)
    assert taken["full:ledger"] == ("a single damaged place fails it", "", None)
    accuracies = told["true_accuracy"]
    assert accuracies == shipped().data["power"]["true_accuracy"]
    assert told["chances"]["gates"]["smoke:accuracy_lower"] == pytest.approx(
        list(power.run_power(20, 17, accuracies).values())
    )
    for model in ("any", "no_false_pass"):
        for same, fresh in zip(told["together"][model]["same"], told["together"][model]["fresh"], strict=True):
            assert 0 <= fresh <= same <= 1
    assert [entry["parents"] for entry in told["shared_parents"]["structures"]] == [30, 15, 9]


def test_fewer_parents_count_as_fewer_cases(drawn: Any) -> None:
    entries = json.loads(drawn[0].stdout)["shared_parents"]["structures"]
    sizes = [entry["full"]["effective_n"] for entry in entries]
    assert sizes == pytest.approx([56.25, 36.0, 24.3243], abs=1e-4)
    bounds = [entry["full"]["at_the_gate"]["lower"] for entry in entries]
    alone = wilson(59, 90)
    assert alone is not None
    assert sorted(bounds, reverse=True) == bounds
    assert max(bounds) < alone.lower


def test_people_read_the_same_on_standard_error(drawn: Any) -> None:
    text = drawn[0].stderr
    assert re.search(r"^accuracy_lower +17 of 20 \(> 0\.6\) +59 of 90 \(> 0\.55\) +right answer", text, re.MULTILINE)
    assert re.search(r"^smoke:accuracy_lower +10\.7 +22\.5 +41\.1 +64\.8 +86\.7 +98\.4", text, re.MULTILINE)
    assert "30 parents, declared correlation 0.3" in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_plot_is_a_picture_of_the_gates_and_the_plan(drawn: Any) -> None:
    picture = drawn[1].read_text("utf-8")
    for words in ("chance to pass, in %", "smoke:accuracy_lower", "full:critical_false_pass", "any, 9 parents, same"):
        assert words in picture


def test_a_data_set_brings_its_own_classes_and_parents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = data_set(tmp_path)
    (tmp_path / "other").mkdir()
    path.rename(tmp_path / "other" / "m.csv")
    monkeypatch.setattr(Plan, "together", lambda *_, **__: {"same": 0.5, "fresh": 0.25} | NEVER)
    options = ["--manifest", str(tmp_path / "other" / "m.csv"), "--data-root", str(tmp_path), "--json"]
    assert explain.main(options) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["cases"]["full"] == {"total": 90, "expected": {"pass": 20, "warn": 20, "reject": 35, "blocked": 15}}
    [entry] = told["shared_parents"]["structures"]
    assert (entry["parents"], entry["full"]["parents"], entry["full"]["largest"]) == (30, 30, 3)
    assert entry["full"]["effective_n"] == pytest.approx(56.25)
    assert entry["smoke"]["parents"] < 20


NEVER = {f"{kind}:{gate}": 0.0 for kind in ("smoke", "full") for gate in ("accuracy_lower", "accuracy_lower_effective")}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--policy", "absent.yml"], "policy absent.yml: found No such file", id="no policy"),
        pytest.param(["--policy", "{policy}"], "found the unknown key 'extra'", id="a policy with a key too many"),
        pytest.param(["--manifest", "absent.csv"], "manifest absent.csv: found no readable file", id="no manifest"),
        pytest.param(["--data-root", "{folder}"], "manifest.csv: found no readable file", id="no data set"),
        pytest.param(
            ["--manifest", "{small}"], "smoke stratum pass: found 1 cases, need 5", id="too few cases for a smoke"
        ),
        pytest.param(
            ["--plot", "power.pdf"], "found 'power.pdf', need a name that ends in .svg or .png", id="no picture"
        ),
        pytest.param(
            ["--plot", "{folder}/absent/power.svg"], "found no folder of that name", id="no folder for the picture"
        ),
        pytest.param(["--accuracy", "1"], "unrecognized arguments", id="no such option"),
    ],
)
def test_bad_input_is_13_and_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    data = yaml.safe_load((ROOT / "policy" / "day3.yml").read_text("utf-8")) | {"extra": 1}
    (tmp_path / "policy.yml").write_text(yaml.safe_dump(data), "utf-8")
    (tmp_path / "small").mkdir()
    write_documents(tmp_path / "small", 1)
    small = write_manifest(tmp_path / "small", [row(1, "pass")])
    monkeypatch.setattr(Plan, "together", lambda *_, **__: {"same": 0.5, "fresh": 0.25} | NEVER)
    stated = [one.format(policy=tmp_path / "policy.yml", folder=tmp_path / "none", small=small) for one in arguments]
    try:
        code = explain.main(stated)
    except SystemExit as end:  # argparse ends by itself
        code = int(end.code or 0)
    said = capsys.readouterr()
    assert (code, said.out) == (13, "")
    assert words in said.err
    assert "Traceback" not in said.err


# --- the study and its page ----------------------------------------------------------------------------------------


def table(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of the page by their column names."""
    found = re.search(f"<!-- study:{name} -->\n(.*?)\n<!-- /study:{name} -->", PAGE, re.DOTALL)
    assert found, f"docs/statistics.md has no table {name}"
    head, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]
    return [dict(zip(head, cells, strict=True)) for cells in rows]


def test_the_page_names_the_command_that_makes_its_tables() -> None:
    assert PAGE.startswith("# What the numbers can tell\n")
    assert "\n.venv/bin/python scripts/bench/study.py --write\n" in PAGE
    assert [len(table(name)) > 0 for name in ("needs", "coverage", "methods", "false-go")] == [True] * 4


def test_the_whole_cases_on_the_page_are_those_of_the_gates(plan: Plan) -> None:
    head, *rows = study.needs(plan)
    assert table("needs") == [dict(zip(head, cells, strict=True)) for cells in rows]


def test_the_closed_forms_on_the_page_are_those_of_the_code() -> None:
    for hits, n, said in ((20, 20, "[0.839, 1]"), (17, 20, "0.640"), (16, 20, "0.584"), (59, 90, "0.5528")):
        interval = wilson(hits, n)
        assert interval is not None
        digits = 4 if n == 90 else 3
        assert f"{interval.lower:.{digits}f}" in said
        assert said in PAGE


def test_the_reported_interval_covers_at_every_shape_on_the_page_and_an_estimated_correlation_does_not() -> None:
    rows = table("coverage")
    assert [(row["cases"], row["parents"]) for row in rows[::2]] == [(str(n), str(k)) for n, k in study.SHAPES]
    assert min(float(row["declared, exact"]) for row in rows) >= 94
    assert min(float(row["estimated, exact"]) for row in rows) < 94
    [ours] = [row for row in table("methods") if row["interval"] == "declared, exact"]
    assert ours["points below 94 %"].startswith("0 of ")


@pytest.mark.parametrize("model", study.MODELS, ids=lambda model: model.__name__)
@pytest.mark.parametrize(("n", "parents"), study.SHAPES)
def test_the_reported_interval_covers_in_a_sample_of_the_study(n: int, parents: int, model: Any) -> None:
    sizes = study.parents(n, parents, even=False)
    lower, upper = study.ends([clustered(hits, sizes.tolist(), study.CORRELATION) for hits in range(n + 1)])
    for accuracy in (0.6, 0.8, 0.95):
        hits = model(np.random.default_rng(3), accuracy, sizes).sum(axis=1)
        assert hits.mean() / n == pytest.approx(accuracy, abs=0.01)
        variance = accuracy * (1 - accuracy) * n * (1 + ((sizes**2).sum() / n - 1) * study.CORRELATION)
        assert hits.var() == pytest.approx(variance, rel=0.07)
        assert ((lower[hits] <= accuracy) & (accuracy <= upper[hits])).mean() >= 0.94


def test_the_interval_with_an_estimated_correlation_is_the_reported_one_but_for_the_correlation() -> None:
    sizes = np.array([4, 4, 4, 4, 4])
    right = np.array([[4, 4, 4, 4, 4], [4, 0, 4, 0, 4], [3, 3, 3, 3, 3], [0, 0, 0, 0, 0], [2, 1, 4, 3, 2]])
    lower, upper = study.estimated(right, sizes)
    for place, correlation in enumerate([0.0, 1.0, 0.0, 0.0]):
        interval = clustered(int(right[place].sum()), sizes.tolist(), correlation)
        assert interval is not None
        assert (lower[place], upper[place]) == pytest.approx((interval.lower, interval.upper), abs=1e-9)
    assert 0 < lower[4] < 0.6 < upper[4] < 1


def test_every_gate_has_a_system_at_its_boundary_or_leaves_nothing_to_chance(plan: Plan) -> None:
    at_boundary = {boundary.gate.partition(":")[2] for boundary in study.boundaries(plan)}
    advisory = {gate.id for gate in shipped().gates if gate.severity == "advisory"}
    hard = {gate.id for gate in shipped().gates if gate.severity != "advisory"}
    assert at_boundary | set(study.CERTAIN) == hard
    assert not at_boundary & {*study.CERTAIN, *(advisory - hard)}


def test_the_false_go_study_on_the_page_agrees_with_the_exact_chances(plan: Plan) -> None:
    rows = {row["gate"].strip("`"): row for row in table("false-go")}
    for boundary in study.boundaries(plan):
        row = rows.pop(boundary.gate)
        assert row["system at its boundary"] == boundary.words
        if row["the gate, exact"]:
            exact = plan.exact(boundary.answers[0])[boundary.gate]
            assert row["the gate, exact"] == f"{100 * exact:.1f}"
            assert float(row["the gate"]) == pytest.approx(100 * exact, abs=2)
        assert float(row["plan, fresh"]) <= float(row["smokes, fresh"])
    assert not rows


def test_a_fault_beside_the_verdict_is_judged_by_the_gates(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "SYSTEMS", 300)
    found = {each.gate: study.passing(plan, each, [1, 2]) for each in study.boundaries(plan) if each.fault}
    assert found["smoke:http_422"]["gate"] == pytest.approx(100 * 0.95**20, abs=9)
    assert found["smoke:secrets"]["gate"] == pytest.approx(100 * 0.95**20, abs=9)
    # Of the unanswered, one in a smoke is one disagreement, and two are too many for the agreement of the smokes.
    assert found["smoke:comparable"]["gate"] > found["smoke:comparable"]["smokes, same"]
    # A kind of error that the smokes showed is not new in the full run.
    assert found["full:new_errors"]["smokes, fresh"] == 100


def test_tables_go_between_their_marks_and_nowhere_else() -> None:
    page = "a\n<!-- study:x -->\nold\n<!-- /study:x -->\nb\n"
    assert study.placed(page, "x", "new") == "a\n<!-- study:x -->\nnew\n<!-- /study:x -->\nb\n"
    with pytest.raises(ValueError, match="no place for the table 'y'"):
        study.placed(page, "y", "new")
