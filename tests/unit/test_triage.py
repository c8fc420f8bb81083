"""The triage: recorded evidence of what went wrong in the field leads to its cause, its owner and the next command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from batch_world import VERDICT_MAP, SimulatedWorkers, answered, case, job, run, sample, steady
from clocks import TurnedClock
from hypothesis import given
from hypothesis import strategies as st
from solidgreen import answers, causes, diagnosis, jsonio, observation, policy, request, symptoms, triage, verdict
from solidgreen.answers import Exchange
from solidgreen.check import Check, Status
from solidgreen.diagnosis import Diagnosis, Evidence, Log, Run
from solidgreen.errors import BadInput
from solidgreen.freeze import Outcome
from solidgreen.logs import Text
from solidgreen.pacing import Pacing
from solidgreen.paths import DataRoot

ROOT = Path(__file__).resolve().parents[2]
POLICY = policy.load(ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json")
OWNERS = {owner for phase in POLICY.phases for owner in phase.owners}
FILE, SCHEMA = ROOT / "policy" / "triage.yml", ROOT / "schemas" / "triage.schema.json"
SHIPPED = causes.load(FILE, SCHEMA, OWNERS)
VMAP = verdict.load_map(VERDICT_MAP)
TEXT = FILE.read_text("utf-8")
FAST = Pacing(min_interval=0.0, max_in_flight=1, retries_429=0, budget_minutes=45, retries_other=0)
SENT = request.load_template(ROOT / "policy" / "request_template.yml").fields
REGISTRATION = {
    "pacing": {"retries_429": 8, "min_interval": 3.0},
    "target": {"url": "http://localhost:8000/api/validate/", "authenticated": False},
}


def observed(*exchanges: Exchange, pii: bool = False) -> list[Mapping[str, Any]]:
    """Return the observations of a run that got these answers, one a second."""
    clock, found = TurnedClock(), []
    for number, exchange in enumerate(exchanges, start=1):
        began = clock.now()
        clock.sleep(1.0)
        last = observation.attempt(1, started_at=began, at_s=number - 1.0, wait_s=0.0, exchange=exchange)
        one = case(number, contains_pii=pii)
        found.append(observation.observation(number, one, [last], exchange, VMAP, now=clock.now()))
    return found


def captured(name: str) -> Exchange:
    return answered(sample(name)["status"], sample(name)["body"])


def read_answer(label: str, **result: Any) -> Exchange:
    documents = [
        {"filename": "LC.pdf", "document_type": "letter_of_credit", "extraction_status": "success"},
        {"filename": "Invoice.pdf", "document_type": "commercial_invoice", "extraction_status": "success"},
    ]
    return answered(200, {"structured_result": {"final_verdict": label, "documents_structured": documents, **result}})


def failed(status: int, code: str = "", message: str = "", kind: str = "") -> Exchange:
    return answered(status, {"detail": {"error_code": code, "message": message, "error_type": kind}})


def page(status: int) -> Exchange:
    return answers.classify(
        status, {"content-type": "text/html"}, b"<!doctype html><p>hello", 0.1, now=TurnedClock().now()
    )


def check(name: str, seen: str, status: Status = Status.FAIL) -> Check:
    return Check(name, name, status, seen, "something else", "do it")


def log(*lines: str, service: str = "api") -> Log:
    return Log(Text(service, lines, 0), f"/var/log/{service}.log")


def facts(*, sent: Mapping[str, str] | None = SENT, **pacing: Any) -> dict[str, Any]:
    registration = {**REGISTRATION, "pacing": {**REGISTRATION["pacing"], **pacing}}
    return symptoms.of_run(registration, policy=POLICY, sent=sent)


def diagnosed(
    *exchanges: Exchange,
    phase: int = 3,
    checks: Sequence[Check] = (),
    logs: Sequence[Log] = (),
    settings: Mapping[str, Any] | None = None,
    pii: bool = False,
    status: str = "fail",
) -> Diagnosis:
    runs = [Run("smoke1", settings or facts(), observed(*exchanges, pii=pii))] if exchanges else []
    evidence = Evidence(phase, status=status, checks=checks, runs=runs, logs=logs)
    return diagnosis.diagnose(evidence, SHIPPED)


def of(seen: Mapping[str, Any]) -> Diagnosis:
    """Return the diagnosis of evidence as a table holds it."""
    return diagnosed(*seen.get("exchanges", ()), **{key: value for key, value in seen.items() if key != "exchanges"})


GOOD, BLIND = read_answer("SUBMIT"), captured("200_blocked_unreadable_lc")
STARTED = "2026-03-01T11:59:00Z [info] Application configuration stub_mode=False"
NO_OCR = "2026-03-01T11:59:00Z [warning] Startup issues detected missing=OCR engine"
GONE = answered(503, {"error": "database_unavailable", "message": "gone"})
LIMITED = answered(429, {"detail": "Too many requests. Please try again later."}, retry_after="59")
QUOTA = answered(429, {"detail": {"error_code": "QUOTA_EXCEEDED", "message": "used up"}})
RESET = answers.broken("reset", 0.5, detail="ConnectionResetError")
#: A refusal whose body broke off keeps its status; that it did is in its record.
BROKEN_OFF = answers.classify(
    500,
    {"content-type": "application/json"},
    b'{"detail": {"error_co',
    0.5,
    now=TurnedClock().now(),
    lost="ConnectionResetError",
)

#: What was recorded in the field, and how it has to be called: evidence, cause, owner, a part of the next command.
FIELD = [
    pytest.param(
        {
            "phase": 1,
            "checks": [check("phase-completed", "dependency failed to start: container trdrhub-api-1 is unhealthy")],
            "logs": [log('exec: "curl": executable file not found in $PATH: unknown', service="health:trdrhub-api-1")],
        },
        "health-check-without-curl",
        "Infra Lead",
        "write the health check of trdrhub-api-1 with what its image has",
        id="container unhealthy, its health check calls curl",
    ),
    pytest.param(
        {"phase": 1, "checks": [check("phase-completed", "container trdrhub-api-1 is unhealthy")]},
        "container-unhealthy",
        "Infra Lead",
        "docker inspect --format '{{json .State.Health.Log}}' trdrhub-api-1",
        id="container unhealthy, nobody saw why",
    ),
    pytest.param(
        {"phase": 1, "checks": [check("engine", "System error 5 has occurred. Access is denied.")]},
        "engine-denied",
        "Infra Lead",
        "as administrator",
        id="Docker service start denied without elevation",
    ),
    pytest.param(
        {
            "phase": 1,
            "checks": [
                check(
                    "engine",
                    "request returned 500 Internal Server Error for API route and version http://%2Fvar%2Frun/_ping, "
                    "check if the server supports the requested API version",
                )
            ],
        },
        "engine-answers-500",
        "Infra Lead",
        "sudo systemctl restart docker",
        id="engine answers 500 to every call",
    ),
    pytest.param(
        {"phase": 1, "checks": [check("engine", "no end after 15 s")]},
        "engine-hangs",
        "Infra Lead",
        "then invoke phase --only 1",
        id="engine starting for ever, calls hang",
    ),
    pytest.param(
        {"exchanges": [failed(500, "quota_error", "Validation processing failed.", "ProgrammingError")] * 20},
        "database-schema",
        "Platform/API Lead",
        "alembic upgrade head",
        id="missing columns surface as quota_error",
    ),
    pytest.param(
        {"exchanges": [GOOD] * 8 + [GONE] * 12},
        "database-gone",
        "Infra Lead",
        'then invoke go --new-cycle --fix "what was changed"',
        id="database unavailable in mid-run",
    ),
    pytest.param(
        {"exchanges": [GOOD] * 15 + [BROKEN_OFF] * 5},
        "connection-reset",
        "Platform/API Lead",
        "killed workers",
        id="connection reset while reading an error body",
    ),
    pytest.param(
        {"exchanges": [GOOD] * 15 + [RESET] * 5},
        "connection-reset",
        "Platform/API Lead",
        "killed workers",
        id="connection reset before an answer",
    ),
    pytest.param(
        {"exchanges": [LIMITED] * 57 + [GOOD] * 33, "settings": facts(retries_429=1)},
        "rate-limit-few-retries",
        "QA Lead",
        "retries_429: 8 in day3_pacing",
        id="57 of 90 lost to 429 with one retry",
    ),
    pytest.param(
        {"exchanges": [LIMITED] * 57 + [GOOD] * 33},
        "rate-limit",
        "QA Lead",
        "rate_limit_stats.json",
        id="lost to 429 in spite of enough retries",
    ),
    pytest.param(
        {"exchanges": [BLIND] * 20, "logs": [log(STARTED, *["All OCR providers failed for LC.pdf"] * 40)]},
        "nothing-read",
        "Data/Model Lead",
        "tail -n 120 /var/log/api.log",
        id="all blocked because the gate had nothing to read",
    ),
    pytest.param(
        {"exchanges": [BLIND] * 20, "logs": [log(NO_OCR, *["All OCR providers failed for LC.pdf"] * 40)]},
        "ocr-not-configured",
        "Platform/API Lead",
        "grep -A2 'Startup issues' /var/log/api.log",
        id="all blocked, no OCR provider configured",
    ),
    pytest.param(
        {
            "phase": 1,
            "checks": [check("log-clean:api", f"1 critical lines, first: {NO_OCR}")],
            "logs": [log(NO_OCR)],
        },
        "ocr-not-configured",
        "Platform/API Lead",
        "restart the API, then invoke phase --only 1",
        id="no OCR provider, seen at the start",
    ),
    pytest.param(
        {"exchanges": [captured("200_blocked_no_lc_found")] * 20},
        "no-lc-found",
        "Data/Model Lead",
        "policy/request_template.yml",
        id="no letter of credit found",
    ),
    pytest.param(
        {
            "phase": 2,
            "checks": [check("stub-mode", "200 application/json: configuration.use_stubs=true")],
            "logs": [log("Application configuration stub_mode=True")],
        },
        "stub-mode",
        "Platform/API Lead",
        "find where USE_STUBS=true comes from",
        id="stub mode on",
    ),
    pytest.param(
        {
            "phase": 5,
            "checks": [
                check("api-healthz", "404 text/html (0 of 3 cycles held)"),
                check("api-validate", "404 text/plain (0 of 3 cycles held)"),
                check("rewrite-api", "the API's host does not answer as the API: 404 text/html (0 of 3 cycles held)"),
                check("app-root", "200 text/html (3 of 3 cycles held)", Status.PASS),
            ],
        },
        "edge-404",
        "SRE Lead",
        "attach the API's deployment to its host",
        id="api host answers 404 from the edge",
    ),
    pytest.param(
        {
            "phase": 5,
            "checks": [
                check("api-validate", "200 text/html (0 of 3 cycles held)"),
                check(
                    "rewrite-api", "200 text/html where the API's host says 405 application/json (0 of 3 cycles held)"
                ),
            ],
        },
        "html-on-api-path",
        "Frontend/Release Lead",
        "make the edge send /api/* to the API service",
        id="root domain answers 200 HTML on an API path",
    ),
    pytest.param(
        {"exchanges": [page(200)] * 20},
        "html-on-api-path",
        "Frontend/Release Lead",
        "curl -i",
        id="200 HTML to a validation",
    ),
    pytest.param(
        {"exchanges": [failed(401, "unauthorized", "Not authenticated")] * 20},
        "unauthorised",
        "Security/Compliance Lead",
        "DAY3_API_TOKEN",
        id="unauthenticated",
    ),
    pytest.param(
        {"exchanges": [failed(422, "extraction_contract_invalid", "broken", "ContractError")] * 20},
        "extraction-contract",
        "Data/Model Lead",
        "policy/request_template.yml",
        id="extraction contract broken",
    ),
    pytest.param(
        {"exchanges": [GOOD] * 14 + [answered(400, {"detail": "LC.pdf is not what it is declared to be"})] * 6},
        "type-and-content",
        "Data/Model Lead",
        "file --mime-type",
        id="type and content disagree",
    ),
    pytest.param(
        {"exchanges": [GOOD] * 5 + [QUOTA]},
        "quota",
        "Platform/API Lead",
        "quota of the target's account",
        id="quota used up",
    ),
    pytest.param(
        {"exchanges": [answered(307, {}, location="/api/validate/")] * 4, "phase": 2},
        "redirect",
        "QA Lead",
        "/api/validate/",
        id="a redirect without the last slash",
    ),
    pytest.param(
        {
            "exchanges": [captured("500_internal_error")] * 20,
            "settings": facts(sent={"document_type": "letter_of_credit"}),
        },
        "user-type-missing",
        "QA Lead",
        "user_type: exporter",
        id="user_type missing",
    ),
    pytest.param(
        {"exchanges": [captured("500_internal_error")] * 20},
        "server-error",
        "Platform/API Lead",
        "traceback",
        id="the API answers 500 to every call",
    ),
    pytest.param(
        {"exchanges": [GOOD] * 10 + [captured("500_internal_error")] * 10},
        "server-error-since",
        "SRE Lead",
        "at 2026-03-01T12:00:11.000000Z",
        id="the API begins to answer 500",
    ),
    pytest.param(
        {"exchanges": [answers.broken("timeout", 60.0)] * 20},
        "answers-hang",
        "Platform/API Lead",
        "waits for",
        id="answers do not come",
    ),
    pytest.param(
        {"exchanges": [answers.broken("connect", 0.0)] * 4, "phase": 2},
        "api-down",
        "Platform/API Lead",
        "then invoke phase --only 2",
        id="nothing listens",
    ),
    pytest.param(
        {"exchanges": [GOOD] * 20, "checks": [check("smoke1:critical_false_pass", "3 of 7")]},
        "false-pass",
        "Data/Model Lead",
        "failed_cases.csv",
        id="the API passes what must be rejected",
    ),
]


@pytest.mark.parametrize(("seen", "cause", "owner", "step"), FIELD)
def test_what_failed_in_the_field_is_named_first(seen: dict[str, Any], cause: str, owner: str, step: str) -> None:
    found = of(seen)
    first = found.causes[0]
    assert (first.id, first.owner) == (cause, owner)
    assert step in first.next_step
    assert "<again>" not in first.next_step
    assert all(trace.text and trace.count <= max(trace.of, trace.count) for trace in first.evidence)


def test_every_cause_but_those_of_the_table_has_its_own_case() -> None:
    """Causes that are not in the table are found by the tests that follow; each must be found by one."""
    tabled = {item.values[1] for item in FIELD}
    others = {cause for _, cause in OTHERS}
    assert {cause.id for cause in SHIPPED.causes} == tabled | others


OTHERS = [
    ({"phase": 1, "checks": [check("engine", "No such file or directory")]}, "engine-absent"),
    ({"phase": 1, "checks": [check("redis-tcp", "nothing listens on 127.0.0.1:6379")]}, "cache-gone"),
    ({"exchanges": [answered(503, {"detail": "upstream connect error"})] * 20}, "unavailable"),
    ({"exchanges": [answered(404, {"detail": "Not Found"})] * 4, "phase": 2}, "no-such-route"),
    ({"exchanges": [answered(200, {"decision": "fine"})] * 4, "phase": 2}, "verdict-map"),
    ({"exchanges": [read_answer("SUBMIT", note="password=Tr0ub4dor&3xyz")] * 4}, "secret-in-answer"),
    (
        {"exchanges": [read_answer("BLOCKED", gate_result={"missing_critical": ["amount", "applicant"]})] * 4},
        "fields-missing",
    ),
    ({"exchanges": [read_answer("BLOCKED", gate_result={"block_reason": "sanctions_hold"})] * 4}, "blocked-otherwise"),
    ({"exchanges": [BLIND] * 4, "phase": 2, "pii": True}, "values-not-kept"),
    ({"checks": [check("pair:consistency", "0.850 (17 of 20)")]}, "unstable-verdicts"),
    ({"phase": 4, "checks": [check("full1:new_errors", "1 class: reset")]}, "errors-the-smokes-did-not-show"),
    ({"phase": 5, "checks": [check("tls:api.trdrhub.com", "3.1 days left")]}, "certificate"),
]


@pytest.mark.parametrize(("seen", "cause"), OTHERS, ids=[cause for _, cause in OTHERS])
def test_every_other_known_cause_is_named_first_by_its_evidence(seen: dict[str, Any], cause: str) -> None:
    assert of(seen).causes[0].id == cause


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param({}, id="nothing at all"),
        pytest.param(
            {
                "exchanges": [GOOD] * 17 + [BLIND] * 3,
                "logs": [log(STARTED, *["All OCR providers failed for LC.pdf"] * 3)],
                "checks": [check("smoke1:comparable", "1.000 (20 of 20)", Status.PASS)],
            },
            id="noisy scans that are rightly blocked",
        ),
        pytest.param({"exchanges": [GOOD, GOOD, captured("200_reject_lc_only"), BLIND], "phase": 2}, id="probe cases"),
        pytest.param(
            {"phase": 5, "checks": [check("app-root", "200 text/html (3 of 3 cycles held)", Status.PASS)]}, id="routes"
        ),
        pytest.param(
            {"checks": [check("verdicts-readable", "0 of 0 answers without a readable verdict", Status.INCONCLUSIVE)]},
            id="a check that could not be made",
        ),
        pytest.param({"exchanges": [GOOD] * 20, "settings": facts(retries_429=1)}, id="few retries that lost nothing"),
    ],
)
def test_what_is_healthy_has_no_cause(seen: dict[str, Any]) -> None:
    found = of(seen)
    assert found.causes == ()
    assert found.cause == "no known cause fits what was seen"


@pytest.mark.parametrize(
    ("exchanges", "order"),
    [
        pytest.param([GONE] * 12 + [RESET] * 3 + [GOOD] * 5, ["database-gone", "connection-reset"], id="mostly gone"),
        pytest.param([RESET] * 12 + [GONE] * 3 + [GOOD] * 5, ["connection-reset", "database-gone"], id="mostly reset"),
        pytest.param(
            [failed(500, "quota_error", "x", "ProgrammingError")] * 4 + [captured("500_internal_error")] * 9,
            ["server-error-since", "database-schema"],
            id="500 of two kinds, each counted once",
        ),
        pytest.param(
            [failed(500, "quota_error", "x", "ProgrammingError")] * 9 + [LIMITED] * 4,
            ["database-schema", "rate-limit"],
            id="nothing is left for a cause of the rest",
        ),
    ],
)
def test_what_explains_more_comes_first_whatever_the_file_says(exchanges: list[Exchange], order: list[str]) -> None:
    assert [finding.id for finding in diagnosed(*exchanges).causes] == order
    turned = causes.Causes("", SHIPPED.causes[::-1])
    evidence = Evidence(3, runs=[Run("smoke1", facts(), observed(*exchanges))])
    assert [finding.id for finding in diagnosis.diagnose(evidence, turned).causes] == order


def test_a_log_that_repeats_itself_weighs_no_more_than_the_cases_it_is_about() -> None:
    lines = [log(*["Database unavailable"] * 90)]
    found = diagnosed(*[RESET] * 12, *[GONE] * 3, *[GOOD] * 5, logs=lines).causes
    assert [finding.id for finding in found] == ["connection-reset", "database-gone"]
    assert [trace.place for trace in found[1].evidence] == ["records", "log"]
    assert [(finding.id, finding.share) for finding in diagnosed(logs=lines).causes] == [("database-gone", 0.5)]


def test_evidence_is_said_with_counts_cases_and_times() -> None:
    first = diagnosed(*[GOOD] * 8, *[GONE] * 12).causes[0]
    (trace,) = first.evidence
    assert trace.text == (
        "12 of 20 cases: http status 503, error code database_unavailable, "
        "from case 9 on (2026-03-01T12:00:09.000000Z), first smoke1 D3-009"
    )
    assert (trace.count, trace.of, trace.share, trace.timing) == (12, 20, 0.6, "onward")
    assert trace.where == ("smoke1 D3-009", "smoke1 D3-010", "smoke1 D3-011")
    assert first.sentence() == (
        f"the API has lost its database [Infra Lead] ({trace.text}). "
        "Next: start PostgreSQL and see why it stopped (docker compose logs postgres, memory, disk), "
        'then invoke go --new-cycle --fix "what was changed"'
    )


@pytest.mark.parametrize(
    ("pattern", "timing", "words"),
    [
        ("xxxxxxxxxx", "every", ""),
        ("x...", "scattered", ""),
        (".....xxxxx", "onward", "from case 6 on"),
        (".....xx.xx", "onward", "from case 6 on"),
        ("xxxx......", "at_first", "up to case 4 only"),
        ("..xxxx....", "a_while", "from case 3 ("),
        ("x..x..x..x", "scattered", "here and there"),
        ("xxxxx.xxxx", "every", "all through"),
    ],
)
def test_when_errors_began_and_ended_is_seen(pattern: str, timing: str, words: str) -> None:
    found = diagnosed(*[GONE if sign == "x" else GOOD for sign in pattern])
    (seen,) = found.facts["errors_over_time"]
    assert (seen["class"], seen["cases"], seen["timing"]) == (
        "infra_unavailable 503 database_unavailable",
        pattern.count("x"),
        timing,
    )
    assert (seen["first_case"], seen["last_case"]) == (pattern.index("x") + 1, pattern.rindex("x") + 1)
    assert words in found.causes[0].evidence[0].text


@given(st.text("x.", min_size=1, max_size=60).filter(lambda pattern: "x" in pattern))
def test_every_run_has_exactly_one_timing(pattern: str) -> None:
    track = diagnosis._Track()
    for position, sign in enumerate(pattern):
        if sign == "x":
            track.add(position, "smoke1", {"case_id": "D3-1", "finished_at": "t"})
    assert track.timing(len(pattern)) in causes.TIMINGS
    assert (track.timing(len(pattern)) == "every") >= (pattern.count("x") == len(pattern))


def test_a_log_before_the_phase_began_speaks_of_earlier_phases_but_for_startup_lines() -> None:
    lines = [NO_OCR, "2026-03-01T11:59:30Z column jobs.tenant does not exist", "2026-03-01T12:00:01Z GET /healthz"]
    evidence = Evidence(1, since="2026-03-01T12:00:00Z", logs=[log(*lines)])
    assert [finding.id for finding in diagnosis.diagnose(evidence, SHIPPED).causes] == ["ocr-not-configured"]
    earlier = Evidence(1, since="2026-03-01T11:59:00Z", logs=[log(*lines)])
    assert [f.id for f in diagnosis.diagnose(earlier, SHIPPED).causes] == ["database-schema", "ocr-not-configured"]


def test_personal_data_keeps_its_values_and_says_what_could_not_be_looked_at() -> None:
    found = diagnosed(*[BLIND] * 4, captured("500_internal_error"), pii=True)
    assert [finding.id for finding in found.causes] == ["server-error"]
    assert found.facts["not_looked_at"] == ["4 answers over personal data, of which no value was kept"]
    text = json.dumps(jsonio.to_plain(found))
    assert not [word for word in ("EMPTY", "empty_extraction", "LC.pdf", "amount") if word in text]


def test_what_a_document_or_an_error_says_is_not_repeated() -> None:
    detail = "ProgrammingError near 'Acme Trading, account 4711' token=abcdefgh12345678"
    said = "2026-03-01T12:00:00Z ProgrammingError: could not read 'Acme Trading' password=hunter2hunter2"
    found = diagnosed(*[failed(500, "db", detail, "x")] * 4, logs=[log(said)])
    assert found.causes[0].id == "database-schema"
    text = json.dumps([jsonio.to_plain(finding) for finding in found.causes])
    assert "ProgrammingError" in text
    assert not [word for word in ("Acme", "4711", "abcdefgh", "hunter2") if word in text]


@pytest.mark.parametrize("name", ["api;reboot", "$(reboot)", "--privileged", "a b"])
def test_what_an_engine_says_becomes_no_other_command(tmp_path: Path, name: str) -> None:
    loose = [cause for cause in SHIPPED.causes if cause.id == "container-unhealthy"]
    document = TEXT.replace(
        r"container (?P<container>[\w.-]+) is unhealthy|", r"container (?P<container>.+) is unhealthy|"
    )
    path = tmp_path / "triage.yml"
    path.write_text(document)
    known = causes.load(path, SCHEMA, OWNERS)
    evidence = Evidence(1, checks=[check("phase-completed", f"container {name} is unhealthy")])
    (finding,) = diagnosis.diagnose(evidence, known).causes
    assert finding.next_step == loose[0].next_step


KEYS = [
    "structured_result",
    "gate_result",
    "missing_critical",
    "extraction_summary",
    "completeness",
    "issues",
    "rule",
    "severity",
    "block_reason",
    "documents_structured",
    "document_type",
    "extraction_status",
    "status",
    "type",
    "detected_documents",
    "validation_blocked",
]
WEIRD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@steady
@given(st.dictionaries(st.sampled_from(["structured_result", "status", "block_reason", "detected_documents"]), WEIRD))
def test_an_answer_of_any_shape_is_diagnosed(body: dict[str, Any]) -> None:
    found = diagnosed(answered(200, body), GOOD, phase=2)
    assert found.facts["observations"] == 2
    assert len(triage.checks(found)) == 4
    jsonio.canonical(found)


# --- the checks of phase 2 -----------------------------------------------------------------------------------------


def checked(found: Diagnosis, **options: Any) -> dict[str, Check]:
    return {item.id: item for item in triage.checks(found, **options)}


def test_answers_that_differ_and_were_read_pass() -> None:
    found = checked(diagnosed(GOOD, BLIND, phase=2))
    assert {check_id: item.status for check_id, item in found.items()} == dict.fromkeys(
        ["cases-answered", "not-uniformly-blocked", "reading-proven", "verdicts-readable"], Status.PASS
    )
    assert found["reading-proven"].seen == (
        "1 of 2 answers with a document read, types letter_of_credit, commercial_invoice"
    )


@pytest.mark.parametrize(
    ("exchanges", "seen", "step"),
    [
        pytest.param(
            [captured("200_blocked_no_lc_found")] * 2,
            "2 of 2 verdicts blocked: no letter of credit is recognised among the documents "
            "(2 of 2 cases: verdict blocked, block reason no_lc_found, first smoke1 D3-001)",
            "policy/request_template.yml",
            id="no LC found",
        ),
        pytest.param(
            [BLIND] * 4,
            "4 of 4 verdicts blocked: the gate had nothing to read, because no text was extracted from the documents "
            "(4 of 4 cases: verdict blocked, rules LC-GATE-EMPTY-EXTRACTION, first smoke1 D3-001)",
            "see why extraction fails in the API's log (tail -n 120 <log>)",
            id="nothing read",
        ),
    ],
)
def test_a_uniformly_blocked_api_fails_with_its_likeliest_cause(
    exchanges: list[Exchange], seen: str, step: str
) -> None:
    item = checked(diagnosed(*exchanges, phase=2))["not-uniformly-blocked"]
    assert (item.status, item.seen) == (Status.FAIL, seen)
    assert step in item.next_step
    assert item.owner == "Data/Model Lead"


@pytest.mark.parametrize(
    "exchanges",
    [
        pytest.param([], id="nothing sent"),
        pytest.param([captured("200_blocked_no_lc_found")], id="one blocked case may deserve it"),
        pytest.param([captured("500_internal_error")] * 4, id="errors alone"),
        pytest.param([answers.broken("connect", 0.0)] * 4, id="no connection"),
    ],
)
def test_too_little_to_tell_is_inconclusive(exchanges: list[Exchange]) -> None:
    item = checked(diagnosed(*exchanges, phase=2))["not-uniformly-blocked"]
    assert item.status is Status.INCONCLUSIVE
    assert item.next_step


def test_errors_are_named_in_the_diagnosis() -> None:
    found = diagnosed(captured("500_internal_error"), answered(422), phase=2)
    assert found.facts["outcomes"] == {"server_error": 1, "unprocessable": 1}
    assert found.facts["errors"] == {"no": 1, "validation_internal_error": 1}
    assert {finding.id for finding in found.causes} == {"server-error", "extraction-contract"}


def test_the_diagnosis_shows_what_the_plan_asks_to_look_at() -> None:
    seen = diagnosed(BLIND, phase=2).facts
    assert {"gate_result", "issues", "extraction_summary"} <= set(seen["keys"]["structured_result"])
    assert seen["severities"] == {"critical": 1}
    assert seen["rules"] == {"LC-GATE-EMPTY-EXTRACTION": 1}
    assert seen["block_reasons"] == {"empty_extraction": 1}
    assert seen["completeness"] == {"0.0": 1}
    assert seen["missing_critical"] == dict.fromkeys(["amount", "applicant", "beneficiary", "currency", "lc_number"], 1)
    assert (seen["lc_detected"], seen["answers_with_documents"], seen["answers_with_reading"]) == (1, 1, 0)


def test_reading_is_not_proven_by_one_type_of_document() -> None:
    assert checked(diagnosed(captured("200_reject_lc_only"), phase=2))["reading-proven"].status is Status.FAIL


def test_answers_whose_values_may_not_be_kept_prove_nothing() -> None:
    found = checked(diagnosed(GOOD, read_answer("REJECT"), phase=2, pii=True))
    assert found["reading-proven"].status is Status.INCONCLUSIVE
    assert "no personal data" in found["reading-proven"].next_step
    assert found["not-uniformly-blocked"].status is Status.PASS


def test_an_answer_whose_verdict_nobody_can_read_fails_by_name() -> None:
    item = checked(diagnosed(answered(200, {"verdict": "fine"}), GOOD, phase=2))["verdicts-readable"]
    assert (item.status, item.seen) == (Status.FAIL, "1 of 2 answers without a readable verdict")
    assert "policy/verdict_map.yml" in item.next_step


def test_without_known_causes_the_checks_hold_and_say_why_none_is_named() -> None:
    evidence = Evidence(2, runs=[Run("probe", facts(), observed(*[BLIND] * 4))])
    found = checked(diagnosis.diagnose(evidence, causes.Causes("", ())), problem="triage t.yml line 3: found x")
    assert found["not-uniformly-blocked"].status is Status.FAIL
    assert found["not-uniformly-blocked"].seen == (
        "4 of 4 verdicts blocked: no cause was looked for, triage t.yml line 3: found x"
    )


# --- the triage of a phase -----------------------------------------------------------------------------------------

VERDICT = {
    "phase": 3,
    "name": "smoke",
    "cycle_id": "c1",
    "status": "fail",
    "started_at": "2026-03-01T11:59:59Z",
    "finished_at": "2026-03-01T12:10:00Z",
    "next": "look at failed_cases.csv",
    "checks": [],
}


def on_disk(root: DataRoot, *exchanges: Exchange) -> dict[str, Any]:
    """Lay down the record of a first smoke and return the verdict that names it."""
    replies = iter(exchanges)
    run(
        root.run("smoke1-test"),
        job(len(exchanges), FAST),
        SimulatedWorkers(TurnedClock(), lambda *_: (1.0, next(replies))),
    )
    named = Check("smoke1:run-complete", "t", Status.PASS, "s", "n", facts={"run_id": "smoke1-test"})
    return {**VERDICT, "checks": [named.to_dict()]}


def reported(root: DataRoot, verdict: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    evidence = triage.gather(root, verdict, policy=POLICY, sent=SENT, logs=options.pop("logs", []))
    return triage.report(evidence, verdict, SHIPPED)


def test_the_triage_of_a_phase_names_cause_owner_evidence_and_way_on(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    verdict = on_disk(root, *[GOOD] * 8, *[GONE] * 12)
    found = reported(root, verdict)
    assert (found["phase"], found["status"], found["at"]) == (3, "fail", "2026-03-01T12:10:00Z")
    assert [(item["id"], item["owner"]) for item in found["causes"]] == [("database-gone", "Infra Lead")]
    assert found["causes"][0]["evidence"][0]["where"][0] == "smoke1 D3-009"
    assert found["sentence"] == f"phase 3 (smoke), likely cause: {found['lines'][0]}"
    assert found["facts"]["errors_over_time"][0]["timing"] == "onward"
    assert found == reported(root, verdict)


def test_a_phase_that_fits_no_cause_keeps_its_own_way_on(tmp_path: Path) -> None:
    found = reported(DataRoot(tmp_path), {**VERDICT, "checks": [check("smoke1:accuracy", "0.500").to_dict()]})
    assert found["causes"] == []
    assert found["lines"] == ["no known cause fits what was seen. Next: look at failed_cases.csv"]


def test_a_record_or_log_that_cannot_be_read_is_said_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    root = DataRoot(tmp_path)
    verdict = on_disk(root, *[GOOD] * 4)
    path = root.run("smoke1-test") / "observations.jsonl"
    path.write_text(path.read_text().replace('"verdict":"pass"', '"verdict":"warn"', 1))
    dumb = Log(Text("api", (), 0, "no log: No such file or directory (/x)"), "/x")
    found = reported(
        root, {**verdict, "checks": [*verdict["checks"], check("pair:consistency", "0.5").to_dict()]}, logs=[dumb]
    )
    assert [item["id"] for item in found["causes"]] == ["unstable-verdicts"]
    assert found["facts"]["not_looked_at"] == [
        "log of api: no log: No such file or directory (/x)",
        "record of smoke1-test: a record changed after it was written",
    ]


@pytest.mark.parametrize(
    ("number", "status", "step"),
    [(1, "fail", "invoke phase --only 1"), (3, "inconclusive", "invoke go"), (4, "fail", "--new-cycle --fix")],
)
def test_the_way_on_looks_again_as_the_phase_can_be_looked_at_again(number: int, status: str, step: str) -> None:
    assert step in diagnosis.again(number, status)
    assert ("--new-cycle" in diagnosis.again(number, status)) is ((number, status) == (4, "fail"))


def test_the_engine_is_asked_what_an_unhealthy_container_said() -> None:
    asked: list[Sequence[str]] = []

    def engine(argv: Sequence[str]) -> Outcome:
        asked.append(argv)
        return Outcome(0, 'exec: "curl": executable file not found in $PATH')

    verdict = {**VERDICT, "phase": 1, "checks": [check("phase-completed", "container api-1 is unhealthy").to_dict()]}
    (said,) = triage.health_logs(verdict, engine, "unix:///run/docker.sock")
    assert asked == [
        [
            *("docker", "--host", "unix:///run/docker.sock"),
            *("inspect", "--format", "{{range .State.Health.Log}}{{.Output}}{{end}}", "api-1"),
        ]
    ]
    assert said.text.lines == ('exec: "curl": executable file not found in $PATH',)


def test_an_engine_that_does_not_answer_is_said() -> None:
    verdict = {**VERDICT, "checks": [check("phase-completed", "container api-1 is unhealthy").to_dict()]}
    (said,) = triage.health_logs(verdict, lambda _: Outcome(None, "no end after 15 s"))
    assert (said.text.lines, said.text.problem) == ((), "no end after 15 s")


# --- the file of causes --------------------------------------------------------------------------------------------


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "triage.yml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        pytest.param("    phases: [1]\n", "    phase: 1\n", "the unknown key 'phase' in causes.0", id="unknown key"),
        pytest.param("  - id: cache-gone", "  - id: database-gone", "the cause database-gone again", id="id twice"),
        pytest.param("    owner: SRE Lead", "    owner: Somebody", "the owner 'Somebody', need one of", id="no role"),
        pytest.param("http_status: 422", "http_state: 422", "the unknown fact 'http_state', need one of", id="no fact"),
        pytest.param("fields: {lacks", "colour: {lacks", "the unknown fact 'colour', need one of", id="no run fact"),
        pytest.param("log: Startup issues", "log: (Startup issues", "which is none (", id="log pattern"),
        pytest.param("seen: use_stubs\n", "seen: use_[stubs\n", "which is none (", id="check pattern"),
        pytest.param("matches: text/html", 'matches: "text/[html"', "which is none (", id="value pattern"),
        pytest.param(
            'check: "pair:consistency"',
            'check: "pair:consistency"\n        log: x',
            "a sign with check and log, need one of records, run, check, log",
            id="a sign in two places",
        ),
        pytest.param("- records: {http_status: 422}", "- required: true", "nothing to look for", id="a sign nowhere"),
        pytest.param(
            "- records: {http_status: 422}",
            "- records: {http_status: 422}\n        seen: x",
            "the key 'seen', need only what a sign in records knows: required, min_share, timing",
            id="a key of another place",
        ),
        pytest.param("min_share: 0.3", "min_share: 30", "min_share", id="a share of more than all"),
        pytest.param("timing: [onward, a_while]", "timing: [later]", "timing", id="unknown timing"),
        pytest.param("phases: [5]", "phases: [6]", "phases", id="no such phase"),
        pytest.param("{at_least: 1}", "{more_than: 1}", "the unknown key 'more_than'", id="unknown comparison"),
        pytest.param(
            "    owner: SRE Lead\n", "    owner: SRE Lead\n    owner: QA Lead\n", "'owner' twice", id="key twice"
        ),
        pytest.param("causes:\n", "causes: [\n", "need YAML", id="no YAML"),
    ],
)
def test_a_file_of_causes_that_cannot_be_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, found: str
) -> None:
    assert old in TEXT
    with pytest.raises(BadInput) as caught:
        causes.load(written(tmp_path, TEXT.replace(old, new, 1)), SCHEMA, OWNERS)
    assert found in str(caught.value)
    line = int(caught.value.context["line"])
    assert str(caught.value).startswith(f"triage {tmp_path / 'triage.yml'} line {line}: found ")


def test_the_line_named_is_the_line_of_the_fault(tmp_path: Path) -> None:
    number = next(i for i, line in enumerate(TEXT.splitlines(), start=1) if "http_status: 422" in line)
    with pytest.raises(BadInput, match=f"line {number}: found the unknown fact 'status'"):
        causes.load(written(tmp_path, TEXT.replace("http_status: 422", "status: 422")), SCHEMA, OWNERS)


@pytest.mark.parametrize("text", ["", "- 1\n", "words\n", "\x00"], ids=["empty", "a list", "a string", "binary"])
def test_a_file_that_holds_no_causes_is_bad_input(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadInput):
        causes.load(written(tmp_path, text), SCHEMA, OWNERS)


def test_a_missing_file_of_causes_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        causes.load(tmp_path / "absent.yml", SCHEMA, OWNERS)


@pytest.mark.parametrize(
    ("condition", "value", "met"),
    [
        ({"one_of": ("Blocked",)}, "blocked", True),
        ({"one_of": (401, 403)}, 403, True),
        ({"one_of": (1,)}, True, False),
        ({"one_of": (False,)}, 0, False),
        ({"one_of": ("x",)}, None, False),
        ({"one_of": ("x",)}, ["y", "x"], True),
        ({"at_least": 1}, 1, True),
        ({"at_least": 1}, None, False),
        ({"at_least": 1}, True, False),
        ({"at_least": 1}, ["one"], True),
        ({"at_least": 1}, [], False),
        ({"below": 1}, 0, True),
        ({"below": 1}, 1, False),
        ({"below": 1}, [], True),
        ({"lacks": "x"}, ["y"], True),
        ({"lacks": "x"}, ["x"], False),
        ({"lacks": "x"}, None, False),
    ],
)
def test_a_condition_holds_for_what_it_says_and_never_for_the_unknown(
    condition: dict[str, Any], value: Any, met: bool
) -> None:
    assert causes.Condition(**condition).met(value) is met


def test_the_page_says_what_every_fact_and_key_means() -> None:
    page_text = (ROOT / "docs" / "triage.md").read_text("utf-8")
    sign = json.loads(SCHEMA.read_text("utf-8"))["$defs"]["sign"]["properties"]
    named = [*symptoms.RECORD, *symptoms.RUN, *sign, *causes.TIMINGS]
    assert [name for name in named if f"`{name}`" not in page_text] == []
