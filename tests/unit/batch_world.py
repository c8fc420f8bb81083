"""A small world for the batch: cases made of real little PDFs, a simulated server, workers on a turned clock."""

from __future__ import annotations

import dataclasses
import heapq
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from clocks import TurnedClock
from hypothesis import HealthCheck, settings
from solidgreen import answers, jsonio, verdict
from solidgreen.answers import Exchange
from solidgreen.cases import Case, Document, content_digest
from solidgreen.pacing import Pacing
from solidgreen.request import Request
from solidgreen.runner import INTERRUPTED, Job, RunResult, run_batch

#: Property tests under load: no deadline, nothing kept between runs.
steady = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck), max_examples=60)

ROOT = Path(__file__).resolve().parents[2]
VERDICT_MAP = ROOT / "policy" / "verdict_map.yml"
TEMPLATE = ROOT / "policy" / "request_template.yml"
CONTRACT = ROOT / "tests" / "fixtures" / "contract"


def sample(name: str) -> dict[str, Any]:
    """Return a captured answer of the contract: status, headers, body."""
    value: dict[str, Any] = json.loads((CONTRACT / f"{name}.json").read_text())
    return value


def case(number: int, **changes: Any) -> Case:
    """Return a case whose documents exist nowhere."""
    documents = (Document(f"bundles/{number}/lc.pdf", "lc", "application/pdf", f"{number:064x}", 100),)
    fields = {"case_id": f"D3-{number:03d}", "content_sha256": content_digest(documents), "contains_pii": False}
    return Case(**{**fields, "documents": documents, **changes})


def answered(status: int = 200, body: Any = None, *, duration: float = 0.0, **headers: str) -> Exchange:
    """Return the exchange a client would make of that answer; header names with ``_`` for ``-``."""
    default = {"authoritative_verdict": {"label": "pass"}, "job_id": "job"} if status == 200 else {"detail": "no"}
    named = {name.replace("_", "-"): value for name, value in {"content_type": "application/json", **headers}.items()}
    data = json.dumps(default if body is None else body).encode()
    return answers.classify(status, named, data, duration, now=TurnedClock().now())


class SimulatedWorkers:
    """Workers whose requests land when the turned clock reaches them.

    :param server: gets the moment, the case id and how often it was sent before; returns latency and exchange
    """

    def __init__(self, clock: TurnedClock, server: Callable[[float, str, int], tuple[float, Exchange]]) -> None:
        self.clock, self.server = clock, server
        self.starts: list[tuple[float, str]] = []
        self.landings: list[tuple[float, str, Exchange]] = []
        self.most_in_flight = 0
        self._flying: list[tuple[float, int, str, Exchange]] = []

    def start(self, key: str, request: Request) -> None:
        now = self.clock.monotonic()
        latency, exchange = self.server(now, key, sum(sent == key for _, sent in self.starts))
        self.starts.append((now, key))
        landing = dataclasses.replace(exchange, duration_s=latency)
        heapq.heappush(self._flying, (now + latency, len(self.starts), key, landing))
        self.most_in_flight = max(self.most_in_flight, len(self._flying))

    def wait(self, timeout: float) -> tuple[str, Exchange] | None:
        until = self.clock.monotonic() + timeout
        if not self._flying or self._flying[0][0] > until:
            self.clock.elapsed = until
            return None
        moment, _, key, exchange = heapq.heappop(self._flying)
        self.clock.elapsed = max(self.clock.elapsed, moment)
        self.landings.append((self.clock.elapsed, key, exchange))
        return key, exchange


def job(count: int, pacing: Pacing, *, cases: Sequence[Case] | None = None, **changes: Any) -> Job:
    """Return a smoke over that many cases, or over the given ones."""
    chosen = [case(number) for number in range(1, count + 1)] if cases is None else cases
    known = {item.case_id: item for item in chosen}
    fields: dict[str, Any] = {
        "run_id": "smoke1-test",
        "kind": "smoke",
        "ordinal": 1,
        "selection": list(known),
        "case": known.__getitem__,
        "vmap": verdict.load_map(VERDICT_MAP),
        "pacing": pacing,
        "identity": {"cases_sha256": "c" * 64, "request_template_sha256": "d" * 64, "target": {"url": "http://x/"}},
    }
    return Job(**{**fields, **changes})


def run(
    folder: Path, work: Job, workers: SimulatedWorkers, *, stop: Callable[[], bool] = lambda: False, **options: Any
) -> RunResult:
    """Run the job on the workers' clock; *stop* tells whether to interrupt it."""
    defaults: dict[str, Any] = {
        "build": lambda _: Request(b"", ""),
        "random": lambda: 0.5,
        "stop": lambda: INTERRUPTED if stop() else None,
    }
    return run_batch(work, folder, workers=workers, clock=workers.clock, **{**defaults, **options})


def records(folder: Path) -> list[Mapping[str, Any]]:
    """Return the records of the run in that folder as they stand in the file."""
    return list(jsonio.read_jsonl(folder / "observations.jsonl"))
