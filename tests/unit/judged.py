"""Builds what the judgement reads: rows and summaries in memory, or a whole results folder with real ledgers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from clocks import TurnedClock
from solidgreen import cases, gates, jsonio, metrics, policy
from solidgreen.cases import Case, Document
from solidgreen.check import Check, Status
from solidgreen.clock import stamp
from solidgreen.gates import Facts, GateResult, Pair
from solidgreen.ledger import Writer
from solidgreen.manifest import Label
from solidgreen.metrics import VERDICTS, Tally
from solidgreen.paths import DataRoot
from solidgreen.selection import draw

ROOT = Path(__file__).resolve().parents[2]
POLICY_FILE, POLICY_SCHEMA = ROOT / "policy" / "day3.yml", ROOT / "schemas" / "policy.schema.json"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STATUS_OF = {"server_error": 500, "unprocessable": 422, "rate_limited": 429, "transport_error": None}

#: Cases by expected and actual verdict (or outcome), every one as it should be.
SMOKE = {("pass", "pass"): 5, ("warn", "warn"): 5, ("reject", "reject"): 7, ("blocked", "blocked"): 3}
FULL = {("pass", "pass"): 20, ("warn", "warn"): 20, ("reject", "reject"): 35, ("blocked", "blocked"): 15}
URL = "http://127.0.0.1:8000/api/validate/"
MAP_FILE = ROOT / "policy" / "verdict_map.yml"
TEMPLATE_SHA256, MAP_SHA256 = "e" * 64, jsonio.sha256_file(MAP_FILE)
#: Cases with personal data, of whose answers only the shape is kept.
PERSONAL = ("p-008",)
Counts = Mapping[tuple[str, str], int]


@cache
def shipped() -> policy.Policy:
    return policy.load(POLICY_FILE, POLICY_SCHEMA)


def counts(base: Counts, *moves: str) -> dict[tuple[str, str], int]:
    """Return *base* changed: ``warn>blocked 2`` turns two right answers, ``warn -1`` drops one, ``warn 5`` adds."""
    changed = dict(base)
    for move in moves:
        what, number = move.split()
        expected, _, actual = what.partition(">")
        if actual:
            changed[expected, expected] -= int(number)
            changed[expected, actual] = changed.get((expected, actual), 0) + int(number)
        else:
            changed[expected, expected] += int(number)
    assert min(changed.values()) >= 0
    return changed


def records(
    table: Counts,
    run_id: str,
    kind: str,
    ordinal: int,
    start: datetime = START,
    ids: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """Return a registration and an observation a case, two seconds apart; *ids* are the cases of each class."""
    made: list[dict[str, Any]] = [
        {
            "type": "registration",
            "run_id": run_id,
            "kind": kind,
            "ordinal": ordinal,
            "pacing": {"min_interval": 3.0, "retries_429": 8},
        }
    ]
    number: dict[str, int] = {}
    for (expected, actual), count in table.items():
        for _ in range(count):
            number[expected] = number.get(expected, 0) + 1
            taken = ids[expected][number[expected] - 1] if ids else f"{expected[0]}-{number[expected]:03}"
            made.append(observation(taken, actual, run_id, start, len(made)))
    return made


def observation(case_id: str, given: str, run_id: str, start: datetime, seq: int) -> dict[str, Any]:
    """Return the record of a case; ``pass*`` is one after a retry that a reset asked for, ``pass!`` one that leaks."""
    actual = given.rstrip("*!")
    answered = actual in VERDICTS
    begun = start + timedelta(seconds=2 * seq)
    status = 200 if answered else STATUS_OF[actual]
    shown = None if case_id in PERSONAL else actual
    reset = {
        "n": 1,
        "started_at": stamp(begun),
        "at_s": 6.0 * seq,
        "duration_s": 0.1,
        "http_status": None,
        "wait_s": 0.5,
    }
    return {
        "type": "observation",
        "seq": seq,
        "case_id": case_id,
        "content_sha256": case(case_id).content_sha256,
        "attempts": [
            *([reset] if given.endswith("*") else []),
            {
                "n": 2 if given.endswith("*") else 1,
                "started_at": stamp(begun),
                "at_s": 6.0 * seq + 3.0 * given.endswith("*"),
                "duration_s": 1.0,
                "http_status": status,
                "wait_s": 0.0,
            },
        ],
        "outcome": "answer" if answered else actual,
        "http_status": status,
        "body_sha256": jsonio.digest([run_id, case_id]),
        "job_id": f"{run_id}/{case_id}" if answered else None,
        "verdict": actual if answered else None,
        "values_kept": case_id not in PERSONAL,
        "response": {"authoritative_verdict": {"label": shown}} if answered else None,
        "verdict_source": "authoritative_label" if answered else None,
        "verdict_sources": {"authoritative_label": actual} if answered else {},
        "secrets": int(given.endswith("!")),
        "disagreements": 0,
        "error_detail": None if answered else "it said no",
        "finished_at": stamp(begun + timedelta(seconds=1)),
    }


@cache
def case(case_id: str) -> Case:
    """Return the case of that id, made of a document that exists nowhere."""
    documents = (Document(f"bundles/{case_id}/lc.pdf", "lc", "application/pdf", jsonio.digest(case_id), 100),)
    return Case(case_id, cases.content_digest(documents), case_id in PERSONAL, documents)


def labels(*tables: Counts) -> dict[str, dict[str, Any]]:
    made: dict[str, dict[str, Any]] = {}
    for table in tables:
        for expected in VERDICTS:
            total = sum(count for (name, _), count in table.items() if name == expected)
            for number in range(1, total + 1):
                made[f"{expected[0]}-{number:03}"] = {
                    "expected": expected,
                    "scenario": scenario(expected, number),
                    "parent": f"P{number % 7}",
                    "source_type": "synthetic",
                    "language": "en",
                }
    return made


def scenario(expected: str, number: int) -> str:
    if expected == "blocked":
        return "ocr_noise"
    return "sanctions_tbml_shell" if expected == "reject" and number > 20 else expected


def drawn(root: DataRoot) -> list[str]:
    """Return the smoke of the policy over the labels of that root."""
    found = [Label(**{"case_id": case, **row}) for case, row in jsonio.read_json(root.labels)["labels"].items()]
    return draw(found, shipped().smoke["strata"], shipped().smoke["seed"])


def rows(table: Counts, run_id: str = "smoke1-x", kind: str = "smoke", ordinal: int = 1, minutes: float = 0) -> Any:
    start = START + timedelta(minutes=minutes)
    return metrics.join(records(table, run_id, kind, ordinal, start), labels(table))


WHOLE = Facts(
    ledger=Tally((), 21),
    registration=Tally((), 8),
    pacing={"min_interval": 3.0, "retries_429": 8},
    known_errors=(),
    verdicts=Tally((), 20),
)


def gate(
    name: str, table: Counts, facts: Facts = WHOLE, *, kind: str = "smoke", pair: Pair | None = None
) -> GateResult:
    """Return one gate's result over a run of those cases."""
    ordinal = 2 if pair else 1
    summary = metrics.summarise(rows(table, kind=kind))
    found = gates.evaluate(shipped(), kind=kind, ordinal=ordinal, summary=summary, facts=facts, pair=pair)
    return next(result for result in found if result.id == name)


_LEDGERS: dict[str, bytes] = {}


# --- a results folder ----------------------------------------------------------------------------------------------


def write_cycle(root: DataRoot, runs: Sequence[tuple[str, str, int]], **changes: Any) -> dict[str, Any]:
    """Write the cycle, with a registration over the files that :func:`write_data` left."""
    digests = {
        "policy": shipped().sha256,
        "manifest": "m" * 64,
        "labels": jsonio.digest(
            {case: {"case_id": case, **row} for case, row in jsonio.read_json(root.labels)["labels"].items()}
        ),
        "documents": jsonio.digest({case.case_id: case.content_sha256 for case in cases.load(root.cases)}),
        "request_template": TEMPLATE_SHA256,
        "verdict_map": MAP_SHA256,
    }
    cycle = {
        "schema": "solidgreen/cycle/1",
        "cycle_id": "cycle-1",
        "env": "rehearsal",
        "rehearsal": True,
        "registration": {
            "at": stamp(START - timedelta(minutes=1)),
            "digests": digests,
            "git": {"solidgreen": {"commit": "c" * 40, "clean": True}},
            "target": {"url": URL},
        },
        "runs": [{"run_id": r, "kind": k, "ordinal": o, "state": "finished"} for r, k, o in runs],
        "barred": None,
        "demonstration": None,
        "previous": [],
        **changes,
    }
    jsonio.write_json(root.cycle, cycle)
    return cycle


def write_data(root: DataRoot, *tables: Counts) -> None:
    """Write the labels, the cases without them, and the map that verdicts are read by."""
    found = labels(*tables)
    jsonio.write_bytes(root.verdict_map, MAP_FILE.read_bytes())
    jsonio.write_json(root.labels, {"manifest_sha256": "m" * 64, "labels": found})
    jsonio.write_bytes(root.cases, cases.payload(map(case, found), manifest_sha256="m" * 64))


def write_run(
    root: DataRoot,
    table: Counts,
    run_id: str,
    kind: str,
    ordinal: int,
    minutes: float,
    *,
    end: str | None = "finished",
    **changes: Any,
) -> None:
    """Write a run's ledger by the batch's own writer; *changes* are to its registration, *end* is how it ended."""
    start = START + timedelta(minutes=minutes)
    chosen = drawn(root) if kind == "smoke" else None
    ids = {name: [case for case in chosen if case[0] == name[0]] for name in VERDICTS} if chosen else None
    found = records(table, run_id, kind, ordinal, start, ids)
    registration = {
        **{key: value for key, value in found[0].items() if key != "type"},
        "selection": chosen or [record["case_id"] for record in found[1:]],
        "cases_sha256": jsonio.sha256_file(root.cases),
        "request_template_sha256": TEMPLATE_SHA256,
        "verdict_map_sha256": MAP_SHA256,
        "target": {"url": URL, "authenticated": False},
        **changes,
    }
    path = root.run(run_id) / "observations.jsonl"
    known = jsonio.digest([registration, minutes, found, end])
    if known in _LEDGERS:  # every record is fsynced: the same ledger is written once
        jsonio.write_bytes(path, _LEDGERS[known])
        return
    with Writer(path, registration, clock=TurnedClock(start)) as writer:
        for record in found[1:]:
            writer.append(record)
        if end:
            facts = {"state": end, "done": len(found) - 1, "unsent": len(writer.ledger.missing)}
            writer.append({"type": "end", "at": found[-1]["finished_at"], **facts})
    _LEDGERS[known] = path.read_bytes()


def write_phase(root: DataRoot, number: int, checks: Sequence[Check] | None = None, **changes: Any) -> None:
    """Write a phase's verdict, passed unless its checks say otherwise; what the plan asks beside them was fine."""
    found = list(checks or [])
    for _, pattern in shipped().phases[number].unseen((check.id for check in found), managed=True):
        found.append(Check(pattern.replace("*", "x"), "Looked at", Status.PASS, "fine", "fine"))
    status = gates.overall(check.status for check in found)
    finished = START + timedelta(hours=1, minutes=number)
    codes = [check.exit_code for check in found if check.status is status and check.exit_code]
    document = {
        "schema": "solidgreen/phase/1",
        "phase": number,
        "name": shipped().phases[number].name,
        "cycle_id": "cycle-1",
        "status": status.value,
        "exit_code": codes[0] if codes else {"pass": 0, "fail": 10, "inconclusive": 11}[status.value],
        "owners": list(shipped().phases[number].owners),
        "started_at": stamp(finished - timedelta(seconds=75)),
        "finished_at": stamp(finished),
        "expires_at": stamp(finished + timedelta(hours=4)),
        "checks": [check.to_dict() for check in found],
        "attempts": [],
        "sentence": "",
        "next": "",
        **changes,
    }
    jsonio.write_json(root.phase(number), document)


RUNS = (("smoke1-a", "smoke", 1), ("smoke2-b", "smoke", 2), ("full1-c", "full", 1))
NOW = START + timedelta(hours=2)


def write_root(tmp_path: Path, smoke: Counts = SMOKE, full: Counts = FULL, **changes: Any) -> DataRoot:
    """Write data, cycle, the ledgers of three runs, and phases 0, 1, 2 and 5; phases 3 and 4 need judging first."""
    root = DataRoot(tmp_path / "data" / "day3")
    write_data(root, smoke, full)
    write_cycle(root, RUNS, **changes)
    for (run_id, kind, ordinal), table, minutes in zip(RUNS, (smoke, smoke, full), (0, 5, 10), strict=True):
        write_run(root, table, run_id, kind, ordinal, minutes)
    for number in (0, 1, 2, 5):
        write_phase(root, number)
    return root
