"""What people read: the last screen, the sign-off, the checklist, the page, JUnit, the list of files."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from judged import NOW, RUNS, SMOKE, Counts, counts, shipped, write_phase, write_root
from solidgreen import bundle, cycle, jsonio, judgement, report
from solidgreen.bundle import Made
from solidgreen.check import Check, Status
from solidgreen.paths import DataRoot
from solidgreen.policy import Box

HOSTILE = "<script>alert(1)</script>|**x**\n\x1b[31m\u2028=cmd()\x00"


def check(name: str, status: str = "pass", text: str = "seen") -> Check:
    return Check(name, text, Status(status), text, "needed", text if status != "pass" else "")


#: Check ids as the phases of the plan leave them.
IDS = {
    0: [
        "frozen",
        "snapshot",
        "maintenance-window",
        "lease",
        "restore-point:R1",
        "restore-point:R2",
        "restore-point:R3",
    ],
    1: [
        "postgres-tcp",
        "redis-tcp",
        "api-tcp",
        "postgres",
        "redis",
        "healthz",
        "health-live",
        "validate",
        "target-identity",
        "log-clean:api",
    ],
    2: [
        "target-identity",
        "no-demonstration",
        "env-file:.env",
        "stub-mode",
        "log:configuration",
        "log:database",
        "probe:run-complete",
        "not-uniformly-blocked",
        "reading-proven",
        "verdicts-readable",
        "log:ocr",
        "log:document-type",
    ],
    5: ["api-healthz", "api-health-live", "api-validate", "app-root", "rewrite-api"],
}


def made(tmp_path: Path, smoke: Counts = SMOKE, level: str = "solid", **changes: Any) -> tuple[DataRoot, Made]:
    root = write_root(tmp_path, smoke, **changes)
    for number, names in IDS.items():
        write_phase(root, number, [check(name) for name in names])
    checks = {3: [check("dataset-counts"), check("registration-unchanged")], 4: []}
    for run_id, kind, ordinal in RUNS:
        found = judgement.judge_run(root, shipped(), run_id=run_id, kind=kind, ordinal=ordinal, cycle=cycle.load(root))
        judgement.write(root, found)
        checks[3 if kind == "smoke" else 4] += found.checks("QA Lead")
    for number, each in checks.items():
        write_phase(root, number, each)
    return root, again(root, level)


def again(root: DataRoot, level: str = "solid") -> Made:
    return bundle.make(root, shipped(), shipped=shipped(), level_asked=level, now=NOW)


def test_the_last_screen_of_a_go(tmp_path: Path) -> None:
    _, found = made(tmp_path)
    assert found.screen("data/day3/results/DAY3_SIGNOFF.md") == [
        "0  freeze          pass          7 checks   1 m 15 s",
        "1  infrastructure  pass          10 checks  1 m 15 s",
        "2  configuration   pass          12 checks  1 m 15 s",
        "3  smoke           pass          62 checks  1 m 15 s",
        "4  full            pass          24 checks  1 m 15 s",
        "5  production      pass          5 checks   1 m 15 s",
        "=> REHEARSAL SOLID GREEN PENDING APPROVAL   (asked for: solid, reached)",
        "   decided by  smoke1:accuracy_lower: lower bound 0.839 (20 of 20, wilson 95%), need > 0.6; "
        "holds down to 17 of 20; 3 to spare",
        "   evidence    data/day3/results/DAY3_SIGNOFF.md",
        "   next        invoke go --env workstation (a rehearsal cannot be signed as a GO)",
    ]


def test_the_last_screen_of_a_no_go(tmp_path: Path) -> None:
    root, _ = made(tmp_path, counts(SMOKE, "warn>reject 4"))
    for number in (4, 5):
        root.phase(number).unlink()
    assert again(root).screen("x/DAY3_SIGNOFF.md")[3:8] == [
        "3  smoke           FAIL          2 of 60 checks: smoke1:accuracy_lower, smoke2:accuracy_lower",
        "4  full            not run",
        "5  production      not run",
        "=> REHEARSAL NO-GO   (asked for: solid, not reached, exit 10)",
        "   decided by  phase 3, smoke1:accuracy_lower failed: lower bound 0.584 (16 of 20, wilson 95%), need > 0.6; "
        "passes with 17 of 20; 1 more right answer",
    ]


def test_the_last_screen_is_ten_plain_lines_whatever_happened(tmp_path: Path) -> None:
    root, _ = made(tmp_path)
    write_phase(root, 1, [check(HOSTILE + str(n), "fail", HOSTILE * 5) for n in range(9)])
    for each in (again(root), again(DataRoot(tmp_path / "nothing"))):
        lines = each.screen(HOSTILE)
        assert len(lines) == 10
        assert all(line.isprintable() for line in lines)


def test_a_checklist_of_a_go_has_every_box_ticked(tmp_path: Path) -> None:
    _, found = made(tmp_path)
    text = report.checklist(found.picture)
    boxes = sum(len(phase.checklist) for phase in shipped().phases)
    assert text.count("- [x]") == boxes
    assert "- [ ]" not in text


def test_an_open_box_says_why(tmp_path: Path) -> None:
    root, _ = made(tmp_path, counts(SMOKE, "warn>reject 4"))
    root.phase(4).unlink()
    looked_at = [check("snapshot"), check("frozen:cron", "inconclusive", "nobody looked")]
    write_phase(root, 0, looked_at)
    document = jsonio.read_json(root.phase(0))
    jsonio.write_json(root.phase(0), {**document, "checks": [each.to_dict() for each in looked_at]})
    text = report.checklist(again(root).picture)
    assert "- [ ] At least 85 of 90 records can be compared\n  - open: the phase is not run" in text
    assert "- [x] The results so far" in text
    assert 'open: check "frozen:cron" inconclusive: nobody looked' in text
    assert "open: nothing was looked at under maintenance-window" in text
    assert "lower bound 0.584" in text


@pytest.mark.parametrize(
    ("evidence", "statuses", "state", "reason"),
    [
        pytest.param(("a*",), {"a:1": "pass", "a:2": "pass"}, "pass", None, id="every match passed"),
        pytest.param(("a*",), {"a:1": "pass", "a:2": "fail"}, "fail", 'check "a:2" fail', id="one match failed"),
        pytest.param(("a*", "b"), {"a": "pass"}, "pass", "nothing was looked at under b", id="one pattern unmatched"),
        pytest.param(("a",), {}, "not run", "the phase is not run", id="no phase"),
        pytest.param(("a",), {"a": "pass"}, "expired", "the phase's pass has expired", id="expired"),
    ],
)
def test_a_box_is_ticked_by_evidence_alone(
    evidence: tuple[str, ...], statuses: dict[str, str], state: str, reason: str | None
) -> None:
    found = report.open_reason(Box("x", evidence), [check(n, s) for n, s in statuses.items()], state)
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    root, found = made(tmp_path)
    assert bundle.write(root, found) is True
    names = ["decision.json", "DAY3_SIGNOFF.md", "EXECUTION_CHECKLIST.md", "report.html", "gates.junit.xml"]
    before = {name: (root.results / name).read_bytes() for name in [*names, "evidence/manifest.json"]}
    assert bundle.write(root, again(root)) is False
    assert {name: (root.results / name).read_bytes() for name in before} == before


def test_the_sign_off_shows_decision_gates_matrices_and_links_that_lead_somewhere(tmp_path: Path) -> None:
    root, found = made(tmp_path, previous=[{"cycle_id": "cycle-0", "decision": "REHEARSAL NO-GO", "fix": "gateway"}])
    bundle.write(root, found)
    text = root.signoff.read_text(encoding="utf-8")
    assert text.startswith("# Day 3 sign-off\n\n**REHEARSAL SOLID GREEN PENDING APPROVAL** · cycle cycle-1")
    assert "| smoke2:accuracy\\_lower | pass | lower bound 0.839 (20 of 20, wilson 95%) |" in text
    assert "| reject | 0 | 0 | 35 | 0 | 0 |" in text
    assert "| cycle-0 | none | REHEARSAL NO-GO | none | gateway |" in text
    assert "Signature: none" in text
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (root.results / link).is_file(), link


class Reader(HTMLParser):
    """Collects tags, links and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_one_file_without_scripts_and_its_links_lead_somewhere(tmp_path: Path) -> None:
    root, found = made(tmp_path)
    bundle.write(root, found)
    page = Reader(root.report.read_text(encoding="utf-8"))
    assert not {"script", "img", "iframe", "link"} & set(page.tags)
    assert "REHEARSAL SOLID GREEN PENDING APPROVAL" in page.text
    assert "Lower 95 % bound of the agreement" in page.text
    assert page.links
    assert all((root.results / link).is_file() for link in page.links)


def test_hostile_text_does_nothing_anywhere(tmp_path: Path) -> None:
    root, _ = made(tmp_path, previous=[{"cycle_id": HOSTILE, "fix": HOSTILE}], rehearsal=True)
    write_phase(root, 1, [check(HOSTILE, "fail", HOSTILE)])
    found = again(root)
    bundle.write(root, found)
    page = root.report.read_text(encoding="utf-8")
    assert "<script" not in page
    assert not Reader(page).handlers
    for path in (root.report, root.signoff, root.checklist, root.junit):
        text = path.read_text(encoding="utf-8")
        assert "\x1b" not in text
        assert "\u2028" not in text
        assert "\x00" not in text
    for text in (root.signoff.read_text(encoding="utf-8"), root.checklist.read_text(encoding="utf-8")):
        assert "<script" not in text
        assert "**x**" not in text
    ElementTree.fromstring(root.junit.read_bytes())


def test_junit_counts_failures_errors_and_what_bears_on_nothing(tmp_path: Path) -> None:
    root, _ = made(tmp_path, counts(SMOKE, "warn>reject 4", "reject>server_error 1"))
    root.phase(5).unlink()
    suites = {
        str(suite.get("name")): suite
        for suite in ElementTree.fromstring(report.junit(again(root).picture)).iter("testsuite")
    }
    assert len(suites) == 6
    smoke = suites["phase 3 smoke"]
    assert {case.get("name") for case in smoke if case.find("failure") is not None} == {
        "smoke1:accuracy_lower",
        "smoke2:accuracy_lower",
    }
    assert "smoke1:unanswered" in {case.get("name") for case in smoke if case.find("error") is not None}
    assert {case.get("name") for case in smoke if case.find("skipped") is not None} == {
        "smoke1:drift",
        "pair:flips",
        *(f"smoke{n}:{name}" for n in (1, 2) for name in ("accuracy_lower_effective", "first_try")),
    }
    assert suites["phase 5 production"].get("errors") == "1"
    assert suites["phase 1 infrastructure"].get("failures") == "0"


def test_the_file_list_holds_digest_size_and_role_of_everything_and_names_what_is_missing(tmp_path: Path) -> None:
    root, found = made(tmp_path)
    plan = tmp_path / "plan.md"
    plan.write_text("the plan", encoding="utf-8")
    bundle.write(root, found, plan)
    listed = jsonio.read_json(root.evidence / "manifest.json")
    named = {entry["path"]: entry for entry in listed["files"]}
    asked = {
        "metrics_summary.json",
        "confusion_matrix.csv",
        "day3_results.jsonl",
        "failed_cases.csv",
        "rate_limit_stats.json",
        "DAY3_SIGNOFF.md",
        "EXECUTION_CHECKLIST.md",
        "plan/plan.md",
    }
    assert {name for name, entry in named.items() if entry["role"] == "plan section 9"} == asked
    for name, entry in named.items():
        path = plan if name.startswith("plan/") else root.results / name
        assert (entry["sha256"], entry["bytes"]) == (jsonio.sha256_file(path), path.stat().st_size)
    assert listed["missing"] == ["qualified/smoke20.json", "qualified/qualification.json"]


def test_a_folder_with_nothing_in_it_is_reported_too(tmp_path: Path) -> None:
    root = DataRoot(tmp_path / "day3")
    found = again(root)
    assert found.decision.exit_code == 11
    assert bundle.write(root, found) is True
    assert "**INCONCLUSIVE**" in root.signoff.read_text(encoding="utf-8")
    assert "- [x]" not in root.checklist.read_text(encoding="utf-8")


def test_a_loosened_policy_is_said_everywhere(tmp_path: Path) -> None:
    root, _ = made(tmp_path)
    pacing = {**shipped().pacing, "budget_minutes": 90}
    loose = replace(shipped(), data={**shipped().data, "pacing": pacing})
    found = bundle.make(root, loose, shipped=shipped(), level_asked="solid", now=NOW)
    said = "pacing.budget_minutes is 90, the plan has 45"
    assert (found.decision.level, found.decision.exit_code) == ("local", 11)
    assert found.decision.deviations == (said,)
    assert "1 deviation from the plan" in found.screen("x")[6]
    assert said in Reader(report.html(found.picture)).text
