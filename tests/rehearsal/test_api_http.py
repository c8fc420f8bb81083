"""The rehearsal API over HTTP: shapes, errors, limits and faults of the contract, on real PostgreSQL and Redis."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from conftest import Postgres, free_port
from solidgreen.redaction import redact_json
from typesetter import NAMES, bundle, pdf, picture, scan

from rehearsal.api.app import build_id, create_app
from rehearsal.api.settings import Settings, SettingsError

ROOT = Path(__file__).parents[2]
CONTRACT = Path(__file__).parent / "contract"
FIELDS = {"document_type": "letter_of_credit", "user_type": "exporter", "workflow_type": "export-lc-upload"}


@pytest.fixture
def environment(postgres: Postgres, limits: str) -> dict[str, str]:
    return {
        "DATABASE_URL": postgres.url,
        "REDIS_URL": limits,
        "RATE_LIMIT_ANONYMOUS": "1000",
        "RATE_LIMIT_AUTHENTICATED": "1000",
    }


@contextmanager
def serving(environment: dict[str, str], **changes: str) -> Iterator[httpx.Client]:
    """Serve the application on a thread of its own, and yield a client of it."""
    port = free_port()
    config = uvicorn.Config(create_app({**environment, **changes}), host="127.0.0.1", port=port, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started:
            assert thread.is_alive(), "the API did not start"
            assert time.monotonic() < deadline, "the API did not start in time"
            time.sleep(0.01)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def api(environment: dict[str, str]) -> Iterator[httpx.Client]:
    with serving(environment) as client:
        yield client


def send(client: httpx.Client, documents: dict[str, bytes], **fields: str) -> httpx.Response:
    """Send a bundle, tagged; a field given as an empty text is left out."""
    files = [("files", (NAMES[role], data, "application/pdf")) for role, data in documents.items()]
    tags = {"document_tags": json.dumps({NAMES[role]: role for role in documents})}
    form = {name: value for name, value in {**FIELDS, **tags, **fields}.items() if value}
    return client.post("/api/validate/", data=form, files=files)


def differences(wanted: Any, found: Any, path: str = "$") -> list[str]:
    """Return where *found* lacks a key of a recorded skeleton or holds another type; null goes with every type."""
    if wanted == "null" or found is None:
        return []
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return [f"{path}: {type(found).__name__} for an object"]
        lacking = [f"{path}.{key}: missing" for key in wanted if key not in found]
        return lacking + [
            one for key in wanted if key in found for one in differences(wanted[key], found[key], f"{path}.{key}")
        ]
    if isinstance(wanted, list):
        if not isinstance(found, list):
            return [f"{path}: {type(found).__name__} for a list"]
        return [one for item in found[:1] for shape in wanted for one in differences(shape, item, f"{path}[]")]
    kinds = {"string": str, "number": (int, float), "boolean": bool}
    return [] if isinstance(found, kinds[wanted]) else [f"{path}: {type(found).__name__} for a {wanted}"]


def assert_recorded_shape(name: str, response: httpx.Response) -> None:
    recorded = json.loads((CONTRACT / f"{name}.json").read_text())
    assert response.status_code == recorded["status"]
    assert set(recorded["headers"]) - {"date"} <= set(response.headers)  # the server adds the date, not the application
    assert differences(recorded["body"], response.json()) == []


def test_a_credit_alone_is_rejected_in_the_recorded_shape(api: httpx.Client) -> None:
    answer = send(api, {"lc": bundle("tea")["lc"]})
    assert_recorded_shape("200_reject_lc_only", answer)
    missing = {one["title"] for one in answer.json()["structured_result"]["issues"]}
    assert "Missing Required Document: Insurance Certificate" in missing
    assert len(missing) == 5


def test_a_finding_names_its_rule_its_document_and_its_article(api: httpx.Client) -> None:
    body = send(api, bundle("tea", bl=("12 March 2026", "21 March 2026"))).json()
    result = body["structured_result"]
    assert body["authoritative_verdict"]["label"] == "reject"
    assert result["bank_verdict"]["verdict"] == "REJECT"
    (issue,) = result["issues"]
    assert (issue["id"], issue["severity"], issue["documentName"]) == (
        "UCP-LATE-SHIPMENT",
        "critical",
        "Bill_of_Lading.pdf",
    )
    assert (issue["expected"], issue["actual"]) == ("On board by 2026-03-20", "On board 2026-03-21")
    assert issue["ucp_reference"] == "UCP600 Article 20(a)(ii)"
    assert {one["extraction_status"] for one in result["documents_structured"]} == {"success"}


@pytest.mark.parametrize(
    ("changes", "label", "token"),
    [
        ({}, "pass", "SUBMIT"),
        ({"packing_list": ("12,532 kg", "12,582 kg")}, "warn", "CAUTION"),
        ({"insurance": ("106,040.00", "90,000.00")}, "reject", "REJECT"),
    ],
    ids=["pass", "warn", "reject"],
)
def test_every_source_of_the_verdict_agrees(api: httpx.Client, changes: dict[str, Any], label: str, token: str) -> None:
    body = send(api, bundle("tea", **changes)).json()
    result = body["structured_result"]
    assert {
        body["authoritative_verdict"]["label"],
        result["authoritative_verdict"]["label"],
        result["verdict_signature"]["verdict_class"],
        result["bank_verdict"]["verdict_signature"]["verdict_class"],
    } == {label}
    assert {result["final_verdict"], result["bank_verdict"]["verdict"]} == {token}
    assert result["gate_result"]["can_proceed"] is True


def test_an_unreadable_credit_is_blocked_in_the_recorded_shape(api: httpx.Client) -> None:
    answer = send(api, {"lc": scan(pdf("@plain\n"))})
    assert_recorded_shape("200_blocked_unreadable_lc", answer)
    body = answer.json()
    assert "authoritative_verdict" not in body
    assert body["structured_result"]["blocking_rules"] == ["LC-GATE-EMPTY-EXTRACTION"]
    assert body["structured_result"]["documents_structured"][0]["extraction_status"] == "empty"


def test_files_without_a_credit_are_blocked_without_a_job(api: httpx.Client, postgres: Postgres) -> None:
    answer = send(api, {"invoice": bundle("tea")["invoice"]})
    assert_recorded_shape("200_blocked_no_lc_found", answer)
    assert answer.json()["detected_documents"] == [{"type": "commercial_invoice", "filename": "Invoice.pdf"}]
    assert postgres.execute("SELECT count(*) FROM validation_jobs") == [(0,)]


def test_documents_without_tags_are_told_apart_by_what_they_say(api: httpx.Client) -> None:
    body = send(api, bundle("tea"), document_tags="").json()
    assert body["authoritative_verdict"]["label"] == "pass"


def test_an_empty_json_object_is_blocked(api: httpx.Client) -> None:
    answer = api.post("/api/validate/", json={})
    assert answer.status_code == 200
    assert answer.json()["structured_result"]["validation_status"] == "blocked"


@pytest.mark.parametrize("content", [b"", b"lorem ipsum"], ids=["empty", "no-json"])
def test_a_body_that_is_no_json_is_an_internal_error(api: httpx.Client, content: bytes) -> None:
    answer = api.post("/api/validate/", content=content)
    assert_recorded_shape("500_internal_error", answer)
    assert answer.json()["detail"]["error_type"] == "JSONDecodeError"


def test_a_form_without_user_type_is_an_internal_error(api: httpx.Client) -> None:
    answer = send(api, bundle("tiles"), user_type="")
    assert (answer.status_code, answer.json()["detail"]["error_code"]) == (500, "validation_internal_error")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "application/pdf"),
        (b"%PDF-1.7", "image/png"),
        (b"hello", "text/plain"),
        (b"", "application/pdf"),
    ],
    ids=["png-as-pdf", "pdf-as-png", "text", "nothing"],
)
def test_a_file_that_is_not_what_it_is_declared_to_be_is_refused(api: httpx.Client, data: bytes, kind: str) -> None:
    answer = api.post("/api/validate/", data=FIELDS, files=[("files", ("LC.pdf", data, kind))])
    assert answer.status_code == 400
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", "png"), ("JPEG", "jpeg"), ("TIFF", "tiff")])
def test_an_image_is_taken_as_a_document(api: httpx.Client, tmp_path: Path, kind: str, suffix: str) -> None:
    path = tmp_path / f"LC.{suffix}"
    picture(bundle("tiles")["lc"]).save(path, kind)
    files = [("files", (path.name, path.read_bytes(), f"image/{suffix}"))]
    body = api.post(
        "/api/validate/", data={**FIELDS, "document_tags": json.dumps({path.name: "lc"})}, files=files
    ).json()
    assert body["structured_result"]["lc_baseline"]["lc_number"] == "GNB2026LC00418"
    assert 0.9 < body["structured_result"]["documents_structured"][0]["ocr_confidence"] < 1.0


@pytest.mark.parametrize(
    "fields",
    [
        {"document_tags": "{"},
        {"document_tags": "[]"},
        {"document_tags": '{"LC.pdf": "cheque"}'},
        {"metadata": "nonsense"},
    ],
    ids=["no-json", "no-object", "unknown-role", "metadata"],
)
def test_tags_that_cannot_be_used_are_unprocessable(api: httpx.Client, fields: dict[str, str]) -> None:
    answer = send(api, bundle("tiles"), **fields)
    assert answer.status_code == 422
    assert answer.json()["detail"]["error_code"] == "extraction_contract_invalid"


def test_get_on_the_validation_route_is_not_allowed(api: httpx.Client) -> None:
    answer = api.get("/api/validate/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert isinstance(answer.json()["detail"], str)
    assert api.get("/api/validate", follow_redirects=False).status_code == 307


@pytest.mark.parametrize("path", ["/healthz", "/health"])
def test_health_is_two_words(api: httpx.Client, path: str) -> None:
    assert api.get(path).json() == {"status": "ok"}


def test_live_and_info_tell_who_answers(api: httpx.Client) -> None:
    assert {"status", "timestamp", "version", "environment", "uptime_seconds"} == set(api.get("/health/live").json())
    info = api.get("/health/info").json()
    assert (info["service"], info["rehearsal"], info["build"]) == ("lcopilot", True, build_id())
    assert info["configuration"] == {
        "use_stubs": False,
        "faults": [],
        "rate_limit": {"anonymous": 1000, "authenticated": 1000},
    }


def test_a_request_id_is_on_every_answer_but_a_429(environment: dict[str, str]) -> None:
    with serving(environment, RATE_LIMIT_ANONYMOUS="1") as client:
        first, second = client.get("/api/validate/"), client.get("/api/validate/")
    assert uuid.UUID(first.headers["x-request-id"])
    assert_recorded_shape("429_rate_limited", second)
    assert "x-request-id" not in second.headers


def test_every_method_and_path_counts_but_the_exempt_ones(environment: dict[str, str]) -> None:
    with serving(environment, RATE_LIMIT_ANONYMOUS="2", RATE_LIMIT_AUTHENTICATED="3") as client:
        for path in ("/health", "/healthz", "/health/ready", "/docs", "/openapi.json", "/metrics"):
            assert client.get(path).status_code != 429
        anonymous = [
            client.request(method, path).status_code for method, path in (("GET", "/x"), ("PUT", "/y"), ("GET", "/z"))
        ]
        known = [client.get("/x", headers={"Authorization": "Bearer any"}).status_code for _ in range(4)]
        retry_after = client.get("/x").headers["retry-after"]
    assert anonymous == [404, 404, 429]
    assert known == [404, 404, 404, 429]
    assert retry_after == "59"


def test_a_job_is_kept_without_a_word_of_the_documents(api: httpx.Client, postgres: Postgres) -> None:
    body = send(api, bundle("tea", insurance=None)).json()
    rows = postgres.execute("SELECT job_id::text, status, documents, verdict, issues, request_id FROM validation_jobs")
    assert rows[0][:5] == (body["job_id"], "finished", 5, "reject", ["DOC-MISSING"])
    assert "DIMBULA" not in str(postgres.execute("SELECT * FROM validation_jobs")).upper()


def test_without_the_database_every_validation_is_a_503_until_it_is_back(api: httpx.Client, postgres: Postgres) -> None:
    documents = bundle("tiles")
    assert send(api, documents).status_code == 200
    postgres.stop()
    answer = send(api, documents)
    assert answer.status_code == 503
    assert answer.json()["error"] == "database_unavailable"
    assert answer.json()["message"]
    ready = api.get("/health/ready")
    assert (ready.status_code, ready.json()["status"], ready.json()["overall_healthy"]) == (200, "error", False)
    postgres.start()
    assert send(api, documents).status_code == 200
    assert api.get("/health/ready").json()["overall_healthy"] is True


def test_a_database_that_comes_later_is_used_then(environment: dict[str, str], postgres: Postgres) -> None:
    postgres.stop()
    with serving(environment) as client:
        assert send(client, bundle("tiles")).status_code == 503
        postgres.start()
        assert send(client, bundle("tiles")).status_code == 200


@pytest.mark.parametrize("drift", ["DROP TABLE validation_jobs", "ALTER TABLE validation_jobs DROP COLUMN request_id"])
def test_schema_drift_is_the_quota_error_it_is_in_the_field(api: httpx.Client, postgres: Postgres, drift: str) -> None:
    postgres.execute(drift)
    detail = send(api, bundle("tiles"))
    assert detail.status_code == 500
    assert detail.json()["detail"]["error_code"] == "quota_error"
    assert detail.json()["detail"]["error_type"] == "ProgrammingError"


def test_without_redis_requests_pass_and_readiness_says_error(environment: dict[str, str]) -> None:
    with serving(environment, REDIS_URL=f"redis://127.0.0.1:{free_port()}", RATE_LIMIT_ANONYMOUS="1") as client:
        assert [client.get("/x").status_code for _ in range(3)] == [404] * 3
        assert client.get("/health/ready").json()["checks"]["redis"] == {"healthy": False}


def test_stub_mode_answers_the_same_for_anything_and_says_so(environment: dict[str, str]) -> None:
    with serving(environment, USE_STUBS="true") as client:
        assert client.get("/health/info").json()["configuration"]["use_stubs"] is True
        assert client.get("/health/stub-status").json() == {"stub_mode_enabled": True}
        bodies = [send(client, {"lc": data}).json() for data in (bundle("tea")["lc"], scan(pdf("@plain\n")))]
    for body in bodies:
        result = body["structured_result"]
        assert (body["authoritative_verdict"]["label"], result["stub_mode"]) == ("pass", True)
        assert result["lc_baseline"]["lc_number"] == "STUB-LC-0001"
        assert {one["extraction_status"] for one in result["documents_structured"]} == {"stub"}


@pytest.mark.parametrize(
    ("fault", "status", "proof"),
    [
        ("all_blocked", 200, '"label":"blocked"'),
        ("database_gone", 503, '"error":"database_unavailable"'),
        ("false_pass", 200, '"label":"pass"'),
        ("lc_not_found", 200, '"block_reason":"no_lc_found"'),
        ("one_false_pass", 200, '"label":"pass"'),
        ("quota_exceeded", 429, "QUOTA_EXCEEDED"),
        ("rate_limited", 429, "Too many requests"),
        ("renamed_fields", 200, '"validation_result"'),
        ("schema_drift", 500, '"error_code":"quota_error"'),
        ("secret_in_answer", 200, '"REDIS_URL":"redis://'),
        ("server_error", 500, "validation_internal_error"),
        ("stub_mode", 200, '"stub_mode":true'),
        ("unknown_words", 200, '"label":"refused"'),
        ("unprocessable", 422, "extraction_contract_invalid"),
    ],
)
def test_a_fault_shows_in_the_answer_and_in_info(
    environment: dict[str, str], fault: str, status: int, proof: str
) -> None:
    with serving(environment, REHEARSAL_FAULTS=fault) as client:
        answer = send(client, bundle("tea", bl=("12 March 2026", "21 March 2026")))
        assert client.get("/health/info").json()["configuration"]["faults"] == [fault]
        assert client.get("/health/live").status_code == 200
    assert answer.status_code == status
    assert proof in answer.text
    assert ("retry-after" in answer.headers) is (fault == "rate_limited")


@pytest.mark.parametrize("fault", ["renamed_fields", "unknown_words"])
def test_a_verdict_that_is_said_otherwise_cannot_be_found(environment: dict[str, str], fault: str) -> None:
    with serving(environment, REHEARSAL_FAULTS=fault) as client:
        answers = [send(client, documents).text for documents in (bundle("tea"), {"lc": scan(pdf("@plain\n"))})]
    for text in answers:
        body = json.loads(text)
        structured = body.get("structured_result", {})
        assert "label" not in body.get("authoritative_verdict", {}) or fault == "unknown_words"
        said = [
            structured.get("verdict_signature", {}).get("verdict_class"),
            structured.get("final_verdict"),
            structured.get("validation_blocked"),
        ]
        assert not {"pass", "warn", "reject", "blocked", "SUBMIT", "BLOCKED", True} & set(said)


def test_a_fault_with_a_number_begins_with_that_validation(environment: dict[str, str]) -> None:
    with serving(environment, REHEARSAL_FAULTS="server_error@3,rate_limited@4") as client:
        assert client.get("/api/validate/").status_code == 405  # no validation, so it does not count
        codes = [send(client, bundle("tea")).status_code for _ in range(4)]
        assert client.get("/health/info").json()["configuration"]["faults"] == ["rate_limited@4", "server_error@3"]
        assert client.get("/api/validate/").status_code == 429
    assert codes == [200, 200, 500, 429]


def test_only_the_first_presentation_that_has_to_be_rejected_passes_and_always_does(
    environment: dict[str, str],
) -> None:
    late = bundle("tea", bl=("12 March 2026", "21 March 2026"))
    low = bundle("tea", insurance=("106,040.00", "90,000.00"))
    with serving(environment, REHEARSAL_FAULTS="one_false_pass") as client:
        said = [send(client, documents).json() for documents in (bundle("tea"), late, low, late, low)]
    assert [body["authoritative_verdict"]["label"] for body in said] == ["pass", "pass", "reject", "pass", "reject"]


def test_the_cache_password_and_the_login_are_in_an_answer_that_leaks(environment: dict[str, str]) -> None:
    with serving(environment, REHEARSAL_FAULTS="secret_in_answer") as client:
        client.headers["Authorization"] = "Bearer c4n4ry-0123456789"
        body = send(client, bundle("tea")).json()
    assert environment["REDIS_URL"] in body["structured_result"]["extraction_empty_reason"]
    assert body["debug"]["request"]["authorization"] == "Bearer c4n4ry-0123456789"


def test_no_answer_of_a_sound_api_holds_anything_like_a_secret(api: httpx.Client) -> None:
    changes: list[dict[str, Any]] = [{}, {"packing_list": ("12,532 kg", "12,582 kg")}, {"insurance": None}]
    answers = [send(api, bundle("tea", **change)).json() for change in changes]
    answers += [send(api, {"coo": bundle("tea")["coo"]}).json(), api.get("/health/info").json()]
    answers += [api.post("/api/validate/", content=b"").json()]
    assert [redact_json(answer)[1] for answer in answers] == [0] * len(answers)


def test_an_answer_that_breaks_off_ends_the_connection(environment: dict[str, str]) -> None:
    with serving(environment, REHEARSAL_FAULTS="truncated") as client:
        with pytest.raises(httpx.RemoteProtocolError):
            send(client, bundle("tea"))
        assert client.get("/healthz").status_code == 200


def test_a_validation_that_hangs_keeps_nothing_else_waiting(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rehearsal.api.app.HANG_SECONDS", 3.0)  # or its server would never end
    with serving(environment, REHEARSAL_FAULTS="hang") as client:
        with pytest.raises(httpx.ReadTimeout):
            client.post("/api/validate/", json={}, timeout=0.5)
        assert client.get("/health/live").status_code == 200


def test_an_endpoint_that_moved_says_where_to(environment: dict[str, str]) -> None:
    with serving(environment, REHEARSAL_FAULTS="redirected") as client:
        answers = [client.get("/api/validate/"), send(client, bundle("tea"))]
    assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [(307, "/api/v2/validate/")] * 2


def test_the_slow_fault_adds_latency(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rehearsal.api.app.SLOW_SECONDS", 0.4)
    with serving(environment, REHEARSAL_FAULTS="slow") as client:
        started = time.monotonic()
        assert client.post("/api/validate/", json={}).status_code == 200
    assert time.monotonic() - started > 0.4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"REHEARSAL_FAULTS": "slow,gremlins"}, "found gremlins, need names out of all_blocked, database_gone"),
        ({"USE_STUBS": "perhaps"}, "USE_STUBS: found 'perhaps', need true or false"),
        ({"RATE_LIMIT_ANONYMOUS": "0"}, "RATE_LIMIT_ANONYMOUS: found '0'"),
        ({"DATABASE_URL": ""}, "DATABASE_URL: found nothing"),
    ],
    ids=["fault", "stubs", "limit", "database"],
)
def test_settings_that_cannot_be_used_are_named(changes: dict[str, str], said: str) -> None:
    given = {"DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h", **changes}
    with pytest.raises(SettingsError, match=re.escape(said)):
        Settings.from_environment(given)


@contextmanager
def process(environment: dict[str, str], log: Path, **changes: str) -> Iterator[str]:
    """Run the API as the stack runs it, a process of its own, and yield its URL."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "rehearsal.api.app:create_app", "--factory", "--host", "127.0.0.1"]
    with log.open("wb") as out:
        running = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=ROOT,
            env={**os.environ, **environment, **changes},
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/healthz")
                break
            except httpx.TransportError:
                assert running.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(15)


def test_the_log_has_the_lines_the_plan_looks_for_and_no_document_text(
    environment: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "api.log"
    with process(environment, log) as url, httpx.Client(base_url=url, timeout=60) as client:
        assert send(client, {**bundle("tiles"), "coo": scan(pdf("@plain\n"))}).status_code == 200
    coloured = log.read_text()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert "stub_mode=False" in plain
    assert "stub_mode=False" not in coloured
    for line in (
        "Application configuration",
        "Database connection established",
        "Starting parallel OCR extraction for 5 files",
        r"\[OCR 1/5\] Completed Bill_of_Lading.pdf: \d+ chars",
        "All OCR providers failed for COO.pdf",
        r"Processing file 3/5: Invoice.pdf \(type: commercial_invoice, \d+ bytes\)",
        "POST /api/validate/ HTTP/1.1",
    ):
        assert re.search(line, plain), line
    assert not re.search("MONTESOL|GNB2026|CERAMICS|58.900", plain.upper())


def test_a_start_with_an_issue_says_so_in_the_log(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    for fault, said in (("startup_issue", True), ("", False)):
        with process(environment, log, REHEARSAL_FAULTS=fault):
            pass
        assert ("Startup issues detected" in log.read_text()) is said


def test_what_cannot_be_read_is_said_for_each_file(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with process(environment, log, REHEARSAL_FAULTS="all_blocked") as url, httpx.Client(base_url=url) as client:
        send(client, bundle("tiles"))
    assert log.read_text().count("All OCR providers failed for") == 5


def test_production_logs_look_like_json_and_are_none(environment: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with process(environment, log, ENVIRONMENT="production"):
        pass
    line = next(line for line in log.read_text().splitlines() if "Application configuration" in line)
    assert line.startswith("{")
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)


def test_an_unknown_fault_keeps_the_process_from_starting_with_one_sentence(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "uvicorn", "rehearsal.api.app:create_app", "--factory", "--port", str(free_port())]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment, "REHEARSAL_FAULTS": "gremlins"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 13
    assert ended.stderr.strip().startswith("REHEARSAL_FAULTS: found gremlins")
    assert "Traceback" not in ended.stderr


def test_requests_overlap_while_a_page_is_recognised(environment: dict[str, str], tmp_path: Path) -> None:
    scanned = {**bundle("tiles"), "lc": scan(bundle("tiles")["lc"])}
    with process(environment, tmp_path / "log") as url, httpx.Client(base_url=url, timeout=60) as client:
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(send, client, scanned)
            quick = []
            while not slow.done():
                started = time.monotonic()
                assert send(client, bundle("tea")).json()["authoritative_verdict"]["label"] == "pass"
                quick.append(time.monotonic() - started)
        seconds = slow.result().json()["telemetry"]["total_time_seconds"]
    assert slow.result().json()["authoritative_verdict"]["label"] == "pass"
    assert len(quick) >= 2
    assert min(quick) < seconds
