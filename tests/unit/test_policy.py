import json
from pathlib import Path

import pytest
import yaml
from judged import POLICY_FILE, POLICY_SCHEMA, shipped
from solidgreen import gates, jsonio, metrics, policy
from solidgreen.errors import BadInput

TEXT = POLICY_FILE.read_text(encoding="utf-8")


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "policy.yml"
    path.write_text(text, encoding="utf-8")
    return path


def changed(tmp_path: Path, old: str, new: str, count: int = 1) -> policy.Policy:
    assert old in TEXT
    return policy.load(written(tmp_path, TEXT.replace(old, new, count)), POLICY_SCHEMA)


def test_the_shipped_policy_holds_every_number_of_the_plan() -> None:
    held = {(gate.scope, gate.metric): (gate.operator, gate.threshold_text, gate.severity) for gate in shipped().gates}
    assert held == {
        ("smoke", "comparable"): (">=", "18 of 20", "hard"),
        ("smoke", "accuracy"): (">=", "0.7", "hard"),
        ("smoke", "accuracy_lower"): (">", "0.6", "hard"),
        ("smoke", "accuracy_strict"): (">=", "0.7", "review"),
        ("smoke", "pass_recall"): (">=", "0.6", "hard"),
        ("smoke", "critical_false_pass"): ("==", "0", "hard"),
        ("smoke", "http_422"): ("==", "0", "hard"),
        ("smoke", "http_429_exhaustion"): ("<=", "0.05", "hard"),
        ("smoke", "pass_blocked"): ("<", "0.3", "hard"),
        ("smoke", "duration_minutes"): ("<=", "45", "hard"),
        ("pair", "dependence"): ("==", "0", "hard"),
        ("pair", "consistency"): (">=", "0.95", "hard"),
        ("full", "comparable"): (">=", "85 of 90", "hard"),
        ("full", "accuracy"): (">=", "0.65", "hard"),
        ("full", "accuracy_lower"): (">", "0.55", "hard"),
        ("full", "accuracy_strict"): (">=", "0.65", "review"),
        ("full", "critical_false_pass"): ("==", "0", "hard"),
        ("full", "http_429_exhaustion"): ("<=", "0.05", "hard"),
        ("full", "pass_blocked"): ("<", "0.3", "hard"),
        ("full", "duration_minutes"): ("<=", "45", "hard"),
        ("full", "new_errors"): ("==", "0", "hard"),
        ("run", "blocked_share"): ("<=", "0.7", "hard"),
        ("run", "blocked_share_by_class"): ("<=", "0.3", "hard"),
        ("run", "classes_missing"): ("==", "0", "hard"),
        ("run", "unanswered"): ("==", "0", "review"),
        ("run", "drift"): ("<=", "0.3", "review"),
        ("run", "min_interval"): (">=", "2.5", "hard"),
        ("run", "retries_429"): (">=", "6", "hard"),
        ("run", "ledger_damage"): ("==", "0", "hard"),
        ("run", "registration_changes"): ("==", "0", "hard"),
        ("run", "verdict_faults"): ("==", "0", "hard"),
        ("run", "secrets"): ("==", "0", "hard"),
        # Beyond the plan, and never more than said.
        ("smoke", "accuracy_lower_effective"): (">", "0.6", "advisory"),
        ("smoke", "accuracy_over_baseline"): (">", "0", "advisory"),
        ("smoke", "first_try_gap"): ("<=", "0.2", "advisory"),
        ("pair", "flips"): ("==", "0", "advisory"),
        ("full", "accuracy_lower_effective"): (">", "0.55", "advisory"),
        ("full", "accuracy_over_baseline"): (">", "0", "advisory"),
        ("full", "first_try_gap"): ("<=", "0.2", "advisory"),
    }


def test_every_metric_the_schema_allows_is_measured_and_the_other_way_round() -> None:
    schema = json.loads(POLICY_SCHEMA.read_text(encoding="utf-8"))
    allowed = schema["properties"]["gates"]["items"]["properties"]["metric"]["enum"]
    nothing = metrics.summarise([])
    pair = gates.Pair({"same": 0, "total": 0, "flips": []}, metrics.Tally((), 0))
    measured = gates.measure(nothing, gates.Facts(), shipped().classes, shipped().correlation) | gates.measure_pair(
        pair
    )
    assert sorted(allowed) == sorted({*measured, "unanswered"})


def test_every_number_is_where_other_parts_read_it() -> None:
    rules = shipped()
    assert rules.classes == ("pass", "warn", "reject", "blocked")
    assert sum(rules.smoke["strata"].values()) == rules.smoke["size"] == 20
    assert rules.pacing["min_interval_floor"] == 2.5
    assert rules.expiry_minutes(1) == 240
    assert rules.level == 0.95


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        pytest.param("  cases: 90", "  cases: 90\n  colour: red", "the unknown key 'colour' in dataset", id="unknown"),
        pytest.param("    min_n: 18", "    min_m: 18", "the unknown key 'min_m' in gates.2", id="unknown in a gate"),
        pytest.param("  cases: 90", "  cases: 91", "91 cases, need 90, the sum of the scenarios", id="sum of cases"),
        pytest.param("  size: 20", "  size: 21", "21 cases, need 20, the sum of the strata", id="sum of strata"),
        pytest.param("    ocr_noise: 3", "    blurred: 3", "3 cases of blurred, need at most 0", id="unknown stratum"),
        pytest.param("    pass: 5\n", "    pass: 5\n    pass: 5\n", "the key 'pass' twice", id="key twice"),
        pytest.param("threshold: 0.70", "threshold: .nan", "nan, need a finite number", id="no number"),
        pytest.param("threshold: 0.70", "threshold: most", "gates.2.threshold", id="threshold of words"),
        pytest.param("threshold: 18/20", "threshold: 18/0", "gates.1.threshold", id="division by zero"),
        pytest.param("metric: accuracy\n", "metric: vibes\n", "gates.2.metric", id="unknown metric"),
        pytest.param("  - id: drift", "  - id: accuracy", "gate accuracy a second time", id="one name for two gates"),
        pytest.param('operator: "=="\n    threshold: 0\n', 'operator: "=="\n    threshold: 1\n', "== 1", id="equals 1"),
        pytest.param("    phase: 3\n    scope: smoke", "    scope: smoke", "with scope smoke", id="no phase"),
        pytest.param("  - number: 5", "  - number: 4", "phases out of order", id="phase twice"),
        pytest.param("dataset:", "dataset: [", "need YAML", id="no YAML"),
        pytest.param(
            'metric: accuracy_lower\n    operator: ">"\n    threshold: 0.60',
            'metric: accuracy_lower\n    operator: ">"\n    threshold: 0.84',
            "gate accuracy_lower with > 0.84, need a threshold that 20 cases can reach (20 of 20 reach 0.8389)",
            id="a bound that 20 of 20 cannot reach",
        ),
        pytest.param(
            'metric: accuracy_lower\n    operator: ">"\n    threshold: 0.55',
            'metric: accuracy_lower\n    operator: ">"\n    threshold: 0.96',
            "with > 0.96, need a threshold that 90 cases can reach (90 of 90 reach 0.9591)",
            id="a bound that 90 of 90 cannot reach",
        ),
        pytest.param(
            "threshold: 18/20", "threshold: 21/20", "a threshold that 20 cases can reach (20 of 20", id="21 of 20"
        ),
        pytest.param(
            "threshold: 0.95", "threshold: 0", "a threshold that some result of 20 cases misses", id="cannot fail"
        ),
        pytest.param("min_n: 20", "min_n: 21", "min_n 21, need at most 20, what a smoke run has", id="n of 21"),
        pytest.param(
            'metric: pass_recall\n    operator: ">="\n    threshold: 0.60\n    min_n: 5',
            'metric: pass_recall\n    operator: ">="\n    threshold: 0.60\n    min_n: 6',
            "gate pass_recall with min_n 6, need at most 5, what a smoke run has",
            id="more of a class than there is",
        ),
        pytest.param(
            "min_n: 4\n", "min_n: 5\n", "gate classes_present with min_n 5, need at most 4", id="five classes"
        ),
        pytest.param("      - text: The data", "      - txt: The data", "the unknown key 'txt'", id="in a box"),
        pytest.param(
            "threshold: 45\n    min_n: 1",
            "threshold: 45\n    min_n: 2",
            "gate duration with min_n 2, need at most 1",
            id="a run has one duration",
        ),
        pytest.param(
            'metric: accuracy_lower_effective\n    operator: ">"\n    threshold: 0.60',
            'metric: accuracy_lower_effective\n    operator: ">"\n    threshold: 0.99',
            "gate accuracy_lower_effective with > 0.99, need a threshold that 20 cases can reach",
            id="an effective bound that 20 of 20 cannot reach",
        ),
        pytest.param("near_copy: 0.95", "near_copy: 1.5", "qualification.near_copy", id="more alike than alike"),
        pytest.param("correlation: 0.3", "correlation: -0.3", "intra_parent_correlation", id="negative correlation"),
        pytest.param("level: 0.95", "level: 0.9999999999999999", "confidence.level", id="a level that overflows"),
        pytest.param("retries_429: 8", f"retries_429: {10**400}", "pacing.retries_429", id="400 digits"),
        pytest.param("threshold: 18/20", f"threshold: {'9' * 400}/1", "threshold", id="a share of 400 digits"),
        pytest.param('"1": 240', '"1": 1.0e+308', "freshness.phase_minutes", id="minutes without end"),
        pytest.param('"0": 480', "0: 480", "the key 0", id="a number as key"),
        pytest.param("0.95, 0.99]", "0.95, 1.0]", "power.true_accuracy", id="certainty is no accuracy to ask about"),
    ],
)
def test_a_policy_that_cannot_be_is_refused_with_its_line(tmp_path: Path, old: str, new: str, found: str) -> None:
    with pytest.raises(BadInput) as caught:
        changed(tmp_path, old, new)
    assert found in str(caught.value)
    assert int(caught.value.context["line"]) > 0
    assert f"line {caught.value.context['line']}:" in str(caught.value)


def test_the_line_named_is_the_line_of_the_fault(tmp_path: Path) -> None:
    number = next(i for i, line in enumerate(TEXT.splitlines(), start=1) if "retries_429_floor" in line)
    with pytest.raises(BadInput, match=f"line {number}: found pacing.retries_429_floor"):
        changed(tmp_path, "retries_429_floor: 6", "retries_429_floor: six")


@pytest.mark.parametrize("text", ["", "- 1\n", "just words\n", "\x00"], ids=["empty", "a list", "a string", "binary"])
def test_a_file_that_is_no_policy_is_bad_input(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput):
        policy.load(written(tmp_path, text), POLICY_SCHEMA)


def test_a_missing_policy_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        policy.load(tmp_path / "absent.yml", POLICY_SCHEMA)


@pytest.mark.parametrize(
    ("old", "new", "text", "loosens"),
    [
        pytest.param('["stub-mode", "no', '["no', "asks for no check stub-mode", True, id="evidence left out"),
        pytest.param('["lease", "res', '["lease", "x", "res', "asks for a check x too", False, id="evidence added"),
        pytest.param(
            '["postgres", "redis"]',
            '["postgres", "redis"]\n        managed_only: true',
            "asks for postgres of managed stacks only",
            True,
            id="evidence of fewer stacks",
        ),
        pytest.param("owners: [QA Lead, ", "owners: [", "is owned by Platform/API Lead", False, id="owners"),
        pytest.param("seed: 20260301", "seed: 1", "smoke.seed is 1", True, id="seed"),
        pytest.param('"1": 240', '"1": 9999', "freshness.phase_minutes.1 is 9999", True, id="expiry"),
        pytest.param("threshold: 0.70", "threshold: 0.6", "smoke:accuracy needs >= 0.6", True, id="lower floor"),
        pytest.param("threshold: 0.70", "threshold: 0.8", "smoke:accuracy needs >= 0.8", False, id="higher floor"),
        pytest.param("threshold: 0.05", "threshold: 0.10", "exhaustion needs <= 0.1", True, id="higher ceiling"),
        pytest.param("min_n: 18", "min_n: 5", "asks for n >= 5", True, id="smaller n"),
        pytest.param("severity: hard", "severity: advisory", "is advisory, in the plan hard", True, id="milder"),
        pytest.param("severity: review", "severity: hard", "is hard, in the plan review", False, id="stricter"),
        pytest.param("budget_minutes: 45", "budget_minutes: 90", "pacing.budget_minutes is 90", True, id="budget"),
        pytest.param("level: 0.95", "level: 0.80", "confidence.level is 0.8", True, id="confidence"),
        pytest.param(
            "correlation: 0.3", "correlation: 0.1", "dependence.intra_parent_correlation is 0.1", True, id="correlation"
        ),
        pytest.param("near_copy: 0.95", "near_copy: 0.99", "qualification.near_copy is 0.99", True, id="copies"),
        pytest.param("exit_code: 14\n", "exit_code: 10\n", "exit_code", True, id="milder code"),
    ],
)
def test_a_changed_number_is_said(tmp_path: Path, old: str, new: str, text: str, loosens: bool) -> None:
    found = policy.deviations(changed(tmp_path, old, new), shipped())
    assert {deviation.loosens for deviation in found} == {loosens}
    assert text in found[0].text


def test_a_gate_left_out_is_said_and_loosens(tmp_path: Path) -> None:
    document = yaml.safe_load(TEXT)
    document["gates"] = document["gates"][1:]
    found = policy.deviations(policy.load(written(tmp_path, yaml.safe_dump(document)), POLICY_SCHEMA), shipped())
    assert [(each.text, each.loosens) for each in found] == [("gate smoke:critical_false_pass is left out", True)]


def test_the_shipped_policy_deviates_in_nothing(tmp_path: Path) -> None:
    assert policy.deviations(shipped(), policy.load(POLICY_FILE, POLICY_SCHEMA)) == []
    commented = policy.load(written(tmp_path, f"# a remark\n{TEXT}"), POLICY_SCHEMA)
    assert policy.deviations(commented, None) == []


def test_the_shipped_policy_is_the_one_the_core_knows() -> None:
    found = jsonio.digest(shipped().data)
    assert found == policy.SHIPPED, (
        f"policy/day3.yml says something else than when its digest was pinned. Where that is meant: put {found!r} as "
        "SHIPPED into module_utils/solidgreen/policy.py and run scripts/plan_page.py; else put the policy back."
    )


@pytest.mark.parametrize("readable", [False, True], ids=["no file to compare with", "the same edited file"])
def test_an_edited_policy_cannot_pass_for_the_shipped_one(tmp_path: Path, readable: bool) -> None:
    edited = changed(tmp_path, "threshold: 0.70", "threshold: 0.6")
    (found,) = policy.deviations(edited, edited if readable else None)
    assert found.loosens
    assert found.text == f"the policy is not the shipped one (digest {jsonio.digest(edited.data)[:12]})"


def test_other_words_are_said_and_loosen_nothing(tmp_path: Path) -> None:
    found = policy.deviations(changed(tmp_path, "title: Twenty cases", "title: A few cases"), shipped())
    assert found == [policy.Deviation("the policy has other words than the shipped one", loosens=False)]


def test_every_gate_names_its_section_of_the_plan() -> None:
    assert all(gate.source.startswith("§") for gate in shipped().gates)
