"""A record set that passes every gate: data set, cycle, three runs with real ledgers, and the cycle before.

Made from the policy alone and by the core's own writers, the same bytes each time: no network, no stack, no clock. What
the API answered is a body in the form it really answers in, and its verdict is read from that by the verdict map.
:class:`RecordSet` is the hand that changes such a set afterwards and signs it anew.
"""

from __future__ import annotations

import csv
import io
import json
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from solidgreen import answers, cases, jsonio, judgement, ledger, manifest, metrics, observation, request, verdict
from solidgreen.cases import Case
from solidgreen.clock import compact, parse, stamp
from solidgreen.pacing import Pacing
from solidgreen.paths import OBSERVATIONS, SNAPSHOT_PREFIX, DataRoot
from solidgreen.policy import Policy
from solidgreen.qualify import LABELS_SCHEMA
from solidgreen.selection import draw, rank

ROOT = Path(__file__).resolve().parent.parent
VERDICT_MAP, REQUEST_TEMPLATE = ROOT / "policy" / "verdict_map.yml", ROOT / "policy" / "request_template.yml"

Record = dict[str, Any]
#: The runs of a cycle by label, in their order.
RUNS = {"smoke1": ("smoke", 1), "smoke2": ("smoke", 2), "full1": ("full", 1)}
#: When the first run begins; the cycle was registered a minute before, the one before it is a day older.
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
URL = "http://127.0.0.1:8000/api/validate/"
#: Folder of the documents.
BUNDLES = "bundles"
#: Cases made from one parent.
SIBLINGS = 3
#: Wrong answers of every run: expected verdict to what is answered. A real system makes some.
MISTAKES = {"warn": "reject"}
#: Further ones of the full run.
MISTAKES_FULL = {**MISTAKES, "pass": "warn", "reject": "warn"}
#: Every such case is answered at the second attempt only.
RETRIED_EVERY = 3
RETRY_AFTER_S = 5.0
TOKENS = {"pass": "SUBMIT", "warn": "CAUTION", "reject": "REJECT", "blocked": "BLOCKED"}
#: How an attempt ends that gives no answer: outcome to HTTP status, None where the transport breaks.
STATUS_OF = {
    "client_error": 400,
    "unprocessable": 422,
    "rate_limited": 429,
    "server_error": 500,
    "infra_unavailable": 503,
    "transport_error": None,
}


@dataclass(frozen=True)
class Still:
    """A clock that stands."""

    moment: datetime

    def now(self) -> datetime:
        """Return its moment."""
        return self.moment

    def monotonic(self) -> float:
        """Return no time passed."""
        return 0.0

    def sleep(self, _seconds: float) -> None:
        """Wait for nothing."""


# --- answers -------------------------------------------------------------------------------------------------------


def body(actual: str, job_id: str) -> dict[str, Any]:
    """Return a validation answer with that verdict, in the form and with the sources of a real one."""
    blocked = actual == "blocked"
    label = {"label": actual, "class": actual}
    result = {
        "version": "structured_result_v1",
        "validation_blocked": blocked,
        "validation_status": "blocked" if blocked else "completed",
        "extraction_empty": blocked,
        "authoritative_verdict": label,
        "verdict_signature": {"verdict_class": actual},
        "final_verdict": TOKENS[actual],
        "gate_result": {"status": "blocked" if blocked else "passed", "can_proceed": not blocked},
        "issues": [],
        "documents_structured": [{"document_type": "letter_of_credit", "extraction_status": "success"}],
    }
    top = {} if blocked else {"authoritative_verdict": label}
    return {"job_id": job_id, "jobId": job_id, "structured_result": result, **top}


def exchange(actual: str, job_id: str, now: datetime, took_s: float) -> answers.Exchange:
    """Return an attempt that ended so.

    :param actual: a verdict, or an outcome of :data:`STATUS_OF`
    """
    status = STATUS_OF.get(actual, 200)
    if status is None:
        return answers.broken("timeout", took_s)
    headers = {"content-type": "application/json"}
    if status == 429:
        headers["retry-after"] = f"{RETRY_AFTER_S:.0f}"
    sent = body(actual, job_id) if status == 200 else {"detail": "the drill's refusal"}
    return answers.classify(status, headers, json.dumps(sent).encode(), took_s, now=now)


def took(run_id: str, case_id: str) -> float:
    """Return how many seconds the API took over that case in that run: no two runs take the same over all."""
    return round(1 + int(jsonio.digest([run_id, case_id])[-4:], 16) / 0xFFFF, 3)


# --- making --------------------------------------------------------------------------------------------------------


def make(root: DataRoot, rules: Policy) -> None:
    """Write a record set that passes every gate of *rules* below an empty *root*."""
    listed = _data_set(root, rules)
    jsonio.write_bytes(root.verdict_map, VERDICT_MAP.read_bytes())
    maker = Maker(root, rules, listed, verdict.load_map(VERDICT_MAP), request.load_template(REQUEST_TEMPLATE))
    snapshot = _earlier(maker)
    registered = stamp(START - timedelta(minutes=1))
    labels = {label.case_id: asdict(label) for label in listed.labels}
    entries = []
    for run in maker.runs(START, "run"):
        with ledger.Writer(root.run(run.run_id) / OBSERVATIONS, run.registration, clock=Still(run.begin)) as writer:
            for record in run.records:
                writer.append(record)
            sha256 = writer.ledger.registration["sha256"]
        entries.append({**run.entry(), "registration_sha256": sha256})
    digests = {
        "policy": rules.sha256,
        "manifest": listed.sha256,
        "labels": jsonio.digest(labels),
        "documents": jsonio.digest({case.case_id: case.content_sha256 for case in listed.cases}),
        "request_template": maker.template.sha256,
        "verdict_map": maker.vmap.sha256,
    }
    jsonio.write_json(
        root.cycle,
        {
            "schema": "solidgreen/cycle/1",
            "cycle_id": "cycle-of-the-drill",
            "env": "drill",
            "state": "open",
            "rehearsal": False,
            "opened_at": registered,
            "registration": {
                "at": registered,
                "digests": digests,
                "git": {"solidgreen": {"commit": "c" * 40, "clean": True}},
                "target": {"url": URL},
            },
            "runs": entries,
            "barred": None,
            "demonstration": None,
            "fix": None,
            "previous": [],
            "snapshot": snapshot,
        },
    )


def _data_set(root: DataRoot, rules: Policy) -> manifest.Manifest:
    """Write manifest, documents, cases and labels, as many of each scenario as the policy asks for."""
    kinds = [
        (name, entry["expected"]) for name, entry in rules.dataset["scenarios"].items() for _ in range(entry["count"])
    ]
    # Numbered in an order that tells nothing, so that neither an id nor a parent stands for a scenario.
    order = sorted(range(len(kinds)), key=lambda index: jsonio.digest(["drill", index]))
    text = io.StringIO()
    rows = csv.DictWriter(text, manifest.COLUMNS, lineterminator="\n", restval="")
    rows.writeheader()
    for number, index in enumerate(order, start=1):
        case_id, parent = f"D3-{number:03}", f"P-{math.ceil(number / SIBLINGS):03}"
        scenario, expected = kinds[index]
        document = f"{BUNDLES}/{number:03}/lc.pdf"
        (root.root / document).parent.mkdir(parents=True, exist_ok=True)
        (root.root / document).write_bytes(f"%PDF-1.4\n% bundle {number:03}\n".encode())
        rows.writerow(
            {
                "case_id": case_id,
                "source_type": "synthetic",
                "bundle_id": f"B-{number:03}",
                "scenario": scenario,
                "expected_verdict": expected,
                "contains_pii": "false",
                "language": "en",
                "cleaned_path": str(Path(document).parent),
                "synthetic_parent_id": parent,
                "run_enabled": "true",
            }
        )
    jsonio.write_bytes(root.manifest, text.getvalue().encode())
    listed = manifest.load(root.manifest, root.root)
    seed = int(rules.smoke["seed"])
    ordered = sorted(listed.cases, key=lambda case: rank(seed, "order", case.case_id))
    jsonio.write_bytes(root.cases, cases.payload(ordered, manifest_sha256=listed.sha256))
    labels = {label.case_id: {k: v for k, v in asdict(label).items() if k != "case_id"} for label in listed.labels}
    jsonio.write_json(root.labels, {"schema": LABELS_SCHEMA, "manifest_sha256": listed.sha256, "labels": labels})
    return listed


@dataclass(frozen=True)
class Made:
    """A run as it is to be written: what it registers, and its records up to the end."""

    label: str
    begin: datetime
    registration: Record
    records: list[Record]

    @property
    def run_id(self) -> str:
        """Its name."""
        return str(self.registration["run_id"])

    def entry(self) -> Record:
        """Return what its cycle says of it."""
        kind, ordinal = RUNS[self.label]
        times = {"started_at": stamp(self.begin), "ended_at": self.records[-1]["at"]}
        return {"run_id": self.run_id, "kind": kind, "ordinal": ordinal, "state": "finished", **times}


@dataclass(frozen=True)
class Maker:
    """What runs are made from."""

    root: DataRoot
    rules: Policy
    listed: manifest.Manifest
    vmap: verdict.VerdictMap
    template: request.Template

    def runs(self, begin: datetime, name: str) -> Iterator[Made]:
        """Yield the runs of a cycle, each a minute after the one before; *name* is a part of what they are called."""
        drawn = draw(self.listed.labels, self.rules.smoke["strata"], int(self.rules.smoke["seed"]))
        names = ("min_interval", "max_in_flight", "retries_429", "budget_minutes")
        pacing = asdict(Pacing(**{name: self.rules.pacing[name] for name in names}))
        for label, (kind, ordinal) in RUNS.items():
            selection = drawn if kind == "smoke" else list(cases.load(self.root.cases).ids)
            registration = {
                "run_id": f"{label}-{compact(begin)}-{jsonio.digest([name, label])[:6]}",
                "kind": kind,
                "ordinal": ordinal,
                "cases_sha256": jsonio.sha256_file(self.root.cases),
                "request_template_sha256": self.template.sha256,
                "verdict_map_sha256": self.vmap.sha256,
                "selection": selection,
                "pacing": pacing,
                "target": {"url": URL, "authenticated": False},
            }
            records = self._records(registration, self._answers(kind, drawn), begin)
            at = records[-1]["finished_at"]
            records.append({"type": "end", "at": at, "state": "finished", "done": len(selection), "unsent": 0})
            yield Made(label, begin, registration, records)
            begin = parse(at) + timedelta(minutes=1)

    def _answers(self, kind: str, drawn: Sequence[str]) -> dict[str, str]:
        """Return what each case is answered: what it must be but for a few, the same ones each time."""
        said = {label.case_id: label.expected for label in self.listed.labels}
        for mistakes, smoke in ((MISTAKES, True), *([(MISTAKES_FULL, False)] if kind == "full" else [])):
            for expected, other in mistakes.items():
                members = (i for i in self.listed.labels if (i.expected, i.case_id in drawn) == (expected, smoke))
                said |= {label.case_id: other for label in list(members)[:1]}
        return said

    def _records(self, registration: Record, said: Mapping[str, str], begin: datetime) -> list[Record]:
        """Return what a run writes after its registration: one request at a time, some of them limited once."""
        known = {case.case_id: case for case in self.listed.cases}
        run_id, interval = registration["run_id"], float(registration["pacing"]["min_interval"])
        made: list[Record] = []
        at_s = 0.0
        for seq, case_id in enumerate(registration["selection"], start=1):
            tried: list[Record] = []
            took_s = took(run_id, case_id)
            if seq % RETRIED_EVERY == 0:
                wait_s, now = RETRY_AFTER_S + 1, begin + timedelta(seconds=at_s)
                limited = exchange("rate_limited", "", now, took_s)
                tried.append(observation.attempt(1, started_at=now, at_s=at_s, wait_s=wait_s, exchange=limited))
                made.append(observation.open_attempt(known[case_id], tried[0], now=now + timedelta(seconds=took_s)))
                at_s += took_s + wait_s
            now, job_id = begin + timedelta(seconds=at_s), str(uuid.UUID(jsonio.digest([run_id, case_id])[:32]))
            answered = exchange(said[case_id], job_id, now, took_s)
            tried.append(observation.attempt(len(tried) + 1, started_at=now, at_s=at_s, wait_s=0.0, exchange=answered))
            end = now + timedelta(seconds=took_s)
            made.append(observation.observation(seq, known[case_id], tried, answered, self.vmap, now=end))
            at_s += max(interval, took_s)
        return made


def _earlier(maker: Maker) -> str:
    """Write the snapshot of an earlier cycle that fared the same, which is what drift is measured against."""
    folder = f"{SNAPSHOT_PREFIX}{compact(START - timedelta(hours=1))}"
    labels = {label.case_id: asdict(label) for label in maker.listed.labels}
    entries = []
    for run in maker.runs(START - timedelta(days=1), "earlier"):
        rows = metrics.join([{"type": "registration", **run.registration}, *run.records], labels)
        place = maker.root.results / folder / "runs" / run.run_id
        jsonio.write_bytes(place / judgement.ROWS, lines(rows))
        jsonio.write_bytes(place / judgement.METRICS, judgement.document(metrics.summarise(rows, maker.rules.level)))
        entries.append(run.entry())
    jsonio.write_json(maker.root.results / folder / "cycle.json", {"cycle_id": "cycle-before", "runs": entries})
    return folder


def lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return joined rows as a results file has them."""
    return b"".join(jsonio.canonical(row) + b"\n" for row in rows)


# --- changing ------------------------------------------------------------------------------------------------------


@dataclass
class RecordSet:
    """A record set as it lies on disk, open for changes.

    :param runs: by label the records of each run, without their place in the chain
    """

    root: DataRoot
    labels: dict[str, dict[str, Any]]
    cases: dict[str, Case]
    runs: dict[str, list[Record]]
    vmap: verdict.VerdictMap

    @classmethod
    def load(cls, root: DataRoot) -> RecordSet:
        """Return the set below *root*."""
        runs = {}
        for path in root.runs.glob(f"*/{OBSERVATIONS}"):
            lines = list(jsonio.read_jsonl(path))
            runs[f"{lines[0]['kind']}{lines[0]['ordinal']}"] = [
                {key: value for key, value in line.items() if key not in ("prev_sha256", "sha256")} for line in lines
            ]
        return cls(
            root,
            jsonio.read_json(root.labels)["labels"],
            {case.case_id: case for case in cases.load(root.cases)},
            {label: runs[label] for label in RUNS},
            verdict.load_map(root.verdict_map),
        )

    def path(self, label: str) -> Path:
        """Return where the ledger of a run lies."""
        return self.root.run(self.runs[label][0]["run_id"]) / OBSERVATIONS

    def observations(self, label: str) -> list[Record]:
        """Return the terminal records of a run, in its order; a change to one is a change to the set."""
        return [record for record in self.runs[label] if record["type"] == "observation"]

    def rows(self, label: str) -> list[dict[str, Any]]:
        """Return the records of a run joined with their labels, as ``day3_results.jsonl`` has them."""
        return metrics.join(self.runs[label], self.labels)

    def expected(self, record: Record) -> str:
        """Return the verdict a case must earn."""
        return str(self.labels[record["case_id"]]["expected"])

    def right(self, record: Record) -> bool:
        """Tell whether a case was answered as it must be."""
        return bool(record["verdict"] == self.expected(record))

    def answer(self, record: Record, actual: str) -> None:
        """Have the API answer a case otherwise in its last attempt.

        :param actual: a verdict, or an outcome of :data:`STATUS_OF`
        """
        *before, last = record["attempts"]
        started = parse(last["started_at"])
        said = exchange(actual, record["job_id"] or "", started, last["duration_s"])
        tried = observation.attempt(last["n"], started_at=started, at_s=last["at_s"], wait_s=0.0, exchange=said)
        case, now = self.cases[record["case_id"]], parse(record["finished_at"])
        fresh = observation.observation(record["seq"], case, [*before, tried], said, self.vmap, now=now)
        record.clear()
        record.update(fresh)

    def drop(self, label: str, gone: Sequence[Record]) -> None:
        """Take cases out of a run as if they had never been sent: their records, attempts, and every number of them."""
        left = {record["case_id"] for record in gone}
        kept = [record for record in self.runs[label] if record.get("case_id") not in left]
        for seq, record in enumerate((r for r in kept if r["type"] == "observation"), start=1):
            record["seq"] = seq
        kept[-1]["done"] = seq if len(gone) < kept[-1]["done"] else 0
        self.runs[label] = kept

    def save(self) -> None:
        """Write the runs with a chain that is whole, and the cycle that began them."""
        cycle = jsonio.read_json(self.root.cycle)
        for records in self.runs.values():
            data = chained(records)
            put(self.root.run(records[0]["run_id"]) / OBSERVATIONS, data)
            first = json.loads(data[: data.index(b"\n")])
            for entry in cycle["runs"]:
                if entry["run_id"] == first["run_id"]:
                    entry["registration_sha256"] = first["sha256"]
        put(self.root.cycle, judgement.document(cycle))


def chained(records: Sequence[Mapping[str, Any]]) -> bytes:
    """Return records as a ledger whose chain is whole: what somebody writes who changed one and knows how."""
    head, lines = ledger.GENESIS, []
    for record in records:
        body = {**record, "prev_sha256": head}
        head = jsonio.digest(body)
        lines.append(jsonio.canonical({**body, "sha256": head}) + b"\n")
    return b"".join(lines)


def put(path: Path, data: bytes) -> None:
    """Write a file of a set that is thrown away again: not fsynced, which is most of the time a ledger takes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
