import json
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from judged import NOW, POLICY_FILE, POLICY_SCHEMA, RUNS, SMOKE, START, counts, gate, write_phase, write_root
from solidgreen import bundle, cycle, gates, judgement, policy, waivers
from solidgreen.check import Check, Status
from solidgreen.clock import stamp
from solidgreen.paths import DataRoot

SCHEMA = json.loads((POLICY_SCHEMA.parent / "waiver.schema.json").read_text(encoding="utf-8"))
MANIFEST = "a" * 64
LATER = stamp(START + timedelta(days=1))
FILLED = {
    "schema": waivers.SCHEMA,
    "waives": "smoke:accuracy",
    "manifest_sha256": MANIFEST,
    "reason": "the five cases are relabelled next week",
    "expires": LATER,
    "signed_by": "cto@example.org",
}


class Approver:
    """A policy with a list of approvers beside it, and somebody who is on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.waivers = folder, folder / "waivers"
        self.waivers.mkdir()
        self.key = folder / "key"
        self._ssh("-q", "-t", "ed25519", "-N", "", "-f", str(self.key))
        mine, schema = folder / "policy" / POLICY_FILE.name, folder / "schemas" / POLICY_SCHEMA.name
        for path, given in ((mine, POLICY_FILE), (schema, POLICY_SCHEMA)):
            path.parent.mkdir()
            path.write_bytes(given.read_bytes())
        public = self.key.with_suffix(".pub").read_text(encoding="utf-8").split()[:2]
        mine.with_name("approvers").write_text(f"cto@example.org {' '.join(public)}\n", encoding="utf-8")
        self.policy = policy.load(mine, schema)

    def _ssh(self, *words: str, data: bytes = b"") -> bytes:
        return subprocess.run(["ssh-keygen", *words], input=data, capture_output=True, check=True).stdout

    def file(self, *, key: Path | None = None, after: Mapping[str, Any] | None = None, **changes: Any) -> Path:
        """Write a waiver, signed over its fields with *changes*; *after* is what a hand changes in it then."""
        entry = {**FILLED, **changes}
        words = ("-Y", "sign", "-f", str(key or self.key), "-n", waivers.NAMESPACE)
        signed = {**entry, "signature": self._ssh(*words, data=waivers.message(entry)).decode()} | dict(after or {})
        path = self.waivers / "accuracy.yml"
        path.write_text(yaml.safe_dump(signed), encoding="utf-8")
        return path

    def load(self) -> waivers.Waiver:
        (found,) = waivers.load(self.waivers, self.policy, MANIFEST)
        return found


@pytest.fixture
def approver(tmp_path: Path) -> Approver:
    return Approver(tmp_path)


def failed(name: str = "accuracy") -> gates.GateResult:
    result = gate(name, counts(SMOKE, "warn>reject 5", "reject>warn 2"))
    assert result.status is Status.FAIL
    return result


def test_a_signed_waiver_carries_its_failed_gate_and_says_by_whom(approver: Approver) -> None:
    path = approver.file()
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), SCHEMA)
    (carried,) = waivers.apply([failed()], [approver.load()], START)
    assert (carried.status, carried.effect) == (Status.WAIVED, Status.PASS)
    text = f"smoke:accuracy is waived by cto@example.org until {LATER} (the five cases are relabelled next week)"
    assert text in carried.sentence()
    assert carried.check("QA Lead", "").seen == f"{text}: 0.650 (13 of 20)"


def test_a_time_without_quotes_is_the_time_that_was_signed(approver: Approver) -> None:
    path = approver.file(expires="2026-03-02T12:00:00.000000Z")
    path.write_text(path.read_text(encoding="utf-8").replace("'2026-03-02T12:00:00.000000Z'", "2026-03-02T12:00:00Z"))
    assert approver.load().refusal == ""


@pytest.mark.parametrize("name", ["accuracy_lower", "ledger"])
def test_a_waiver_carries_no_other_gate(approver: Approver, name: str) -> None:
    approver.file()
    other = gate(name, counts(SMOKE, "warn>reject 5"))
    assert waivers.apply([other], [approver.load()], START) == [other]


def test_a_waiver_carries_nothing_that_could_not_be_judged(approver: Approver) -> None:
    approver.file()
    unknown = gate("accuracy", counts(SMOKE, "warn>server_error 3"))
    assert unknown.status is Status.INCONCLUSIVE
    assert waivers.apply([unknown], [approver.load()], START) == [unknown]


def test_a_waiver_that_has_expired_carries_nothing(approver: Approver) -> None:
    approver.file()
    result = failed()
    assert waivers.apply([result], [approver.load()], START + timedelta(days=1)) == [result]


@pytest.mark.parametrize(
    ("changes", "after", "refusal"),
    [
        pytest.param(
            {}, {"reason": "another"}, "its signature is not one of cto@example.org", id="changed when signed"
        ),
        pytest.param({}, {"expires": "2030-01-01T00:00:00Z"}, "its signature is not one of", id="made to last"),
        pytest.param({"signed_by": "me@example.org"}, {}, "not one of me@example.org in approvers", id="no approver"),
        pytest.param({"manifest_sha256": "b" * 64}, {}, "for another data set", id="another data set"),
        pytest.param({"waives": "smoke:vibes"}, {}, "smoke:vibes is no gate of the policy", id="no gate"),
        pytest.param({"waives": "run:ledger"}, {}, "run:ledger is about integrity and hard", id="integrity"),
        pytest.param({"waives": "run:secrets"}, {}, "run:secrets is about integrity and hard", id="secrets"),
        pytest.param({"waives": "pair:flips"}, {}, "pair:flips is about quality and advisory", id="advisory"),
        pytest.param({"expires": "soon"}, {}, "expires 'soon' is no time", id="no time"),
        pytest.param({"reason": " "}, {}, "an empty field", id="no reason"),
        pytest.param({"colour": "red"}, {}, "not solidgreen/waiver/1 with waives", id="an unknown field"),
        pytest.param({}, {"signature": "trust me"}, "its signature is not one of", id="no signature"),
    ],
)
def test_a_waiver_that_is_not_in_force_says_why(
    approver: Approver, changes: dict[str, Any], after: dict[str, Any], refusal: str
) -> None:
    approver.file(after=after, **changes)
    found = approver.load()
    assert refusal in found.refusal
    assert found.said().startswith("waiver accuracy.yml is not in force: ")
    result = failed()
    assert waivers.apply([result], [found], START) == [result]


def test_a_signature_of_a_stranger_in_the_name_of_an_approver_is_refused(approver: Approver, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(stranger)], check=True)
    approver.file(key=stranger)
    assert "its signature is not one of cto@example.org" in approver.load().refusal


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "\x00"], ids=["empty", "a list", "no YAML", "binary"])
def test_a_file_that_is_no_waiver_is_shown_and_carries_nothing(approver: Approver, text: str) -> None:
    (approver.waivers / "x.yml").write_text(text, encoding="utf-8")
    found = approver.load()
    assert found.refusal
    assert waivers.apply([failed()], [found], START)[0].status is Status.FAIL


def test_as_shipped_nobody_can_waive_anything(approver: Approver) -> None:
    approver.file()
    (found,) = waivers.load(approver.waivers, policy.load(POLICY_FILE, POLICY_SCHEMA), MANIFEST)
    assert "its signature is not one of cto@example.org in approvers" in found.refusal


# --- a whole cycle -------------------------------------------------------------------------------------------------


@pytest.fixture
def carried(approver: Approver, tmp_path: Path) -> DataRoot:
    """Return a judged cycle, both smokes of which are at 16 of 20, with a waiver for that."""
    root = write_root(tmp_path, counts(SMOKE, "warn>reject 4"))
    root.waivers.mkdir()
    path = approver.file(waives="smoke:accuracy_lower", manifest_sha256="m" * 64)
    path.rename(root.waivers / path.name)
    checks: dict[int, list[Check]] = {3: [], 4: []}
    for run_id, kind, ordinal in RUNS:
        judged = judgement.judge_run(
            root, approver.policy, run_id=run_id, kind=kind, ordinal=ordinal, cycle=cycle.load(root)
        )
        judgement.write(root, judged)
        checks[3 if kind == "smoke" else 4] += judged.checks("QA Lead")
    for number, found in checks.items():
        write_phase(root, number, found)
    return root


@pytest.mark.parametrize(("level", "code"), [("local", 0), ("solid", 11)])
def test_a_waived_gate_leads_to_a_go_with_waiver_and_no_further(
    carried: DataRoot, approver: Approver, level: str, code: int
) -> None:
    made = bundle.make(carried, approver.policy, shipped=approver.policy, level_asked=level, now=NOW)
    assert (made.decision.decision, made.decision.exit_code) == ("REHEARSAL LOCAL GO WITH WAIVER", code)
    bundle.write(carried, made)
    said = f"smoke:accuracy\\_lower is waived by cto@example.org until {LATER}"
    assert said in carried.signoff.read_text(encoding="utf-8")
    assert "is waived by cto@example.org" in carried.report.read_text(encoding="utf-8")
    assert '"path": "waivers/accuracy.yml"' in (carried.evidence / "manifest.json").read_text(encoding="utf-8")


def test_a_decision_does_not_outlive_its_waiver(carried: DataRoot, approver: Approver) -> None:
    late = START + timedelta(days=1, minutes=1)
    found = bundle.make(carried, approver.policy, shipped=approver.policy, level_asked="local", now=late).decision
    assert (found.level, found.exit_code) == (None, 11)
    assert any(reason.startswith("expired: smoke1:accuracy_lower is lower bound 0.584") for reason in found.reasons)


def test_a_waiver_that_is_taken_away_takes_the_decision_with_it(carried: DataRoot, approver: Approver) -> None:
    (carried.waivers / "accuracy.yml").unlink()
    found = bundle.make(carried, approver.policy, shipped=approver.policy, level_asked="local", now=NOW).decision
    assert (found.level, found.exit_code) == (None, 14)
    assert "found other content than the evidence gives" in found.deciding


def test_nobody_brings_a_list_of_approvers_with_a_policy(approver: Approver, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    for path in (approver.folder / "policy").iterdir():
        (mine / path.name).write_bytes(path.read_bytes())
    approver.file()
    (found,) = waivers.load(approver.waivers, policy.load(mine / POLICY_FILE.name, POLICY_SCHEMA), MANIFEST)
    assert "its signature is not one of cto@example.org in approvers" in found.refusal


def test_a_file_that_is_not_in_force_changes_no_judgement(carried: DataRoot, approver: Approver) -> None:
    (carried.waivers / "notes.yml").write_text("hello", encoding="utf-8")
    (carried.waivers / "keys.yaml").write_text("1: a\nschema: b\n", encoding="utf-8")
    made = bundle.make(carried, approver.policy, shipped=approver.policy, level_asked="local", now=NOW)
    assert (made.decision.decision, made.decision.exit_code) == ("REHEARSAL LOCAL GO WITH WAIVER", 0)
    run_id, kind, ordinal = RUNS[0]
    judged = judgement.judge_run(
        carried, approver.policy, run_id=run_id, kind=kind, ordinal=ordinal, cycle=cycle.load(carried)
    )
    assert [text.split(":")[0] for text in judged.refused] == [
        "waiver keys.yaml is not in force",
        "waiver notes.yml is not in force",
    ]
