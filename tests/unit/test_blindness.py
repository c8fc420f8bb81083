"""The code that sends and reads verdicts cannot see a label: shown by what it imports and by what leaves."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import solidgreen
from batch_world import TEMPLATE, SimulatedWorkers, answered, job, records, run
from clocks import TurnedClock
from dataset import DATASET, SMOKE, rows_of_all, write_all, write_manifest
from solidgreen import cases, manifest, qualify, request
from solidgreen.jsonio import write_json
from solidgreen.pacing import Pacing

CORE = Path(solidgreen.__file__).parent
#: Modules through which a label could come.
LABELLED = {"manifest", "qualify", "inputs", "metrics", "gates", "judgement", "report", "decision"}


def imports(name: str) -> set[str]:
    """Return the modules of the core that a module of it imports."""
    found = set()
    for node in ast.walk(ast.parse((CORE / f"{name}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            found |= {node.module} if node.module else {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("name", ["batch", "client", "ledger", "request", "runner", "triage", "verdict", "workers"])
def test_nothing_that_sends_or_reads_can_reach_a_label(name: str) -> None:
    reached, todo = set(), {name}
    while todo:
        module = todo.pop()
        reached.add(module)
        todo |= imports(module) - reached
    assert not reached & LABELLED


def test_swapped_labels_change_no_request_and_no_verdict(tmp_path: Path) -> None:
    write_all(tmp_path)
    template = request.load_template(TEMPLATE)
    swapped = [
        row | {"scenario": other["scenario"], "expected_verdict": other["expected_verdict"]}
        for row, other in zip(rows_of_all(), reversed(rows_of_all()), strict=True)
    ]
    outcomes = []
    for turn, rows in enumerate((rows_of_all(), swapped)):
        write_manifest(tmp_path, rows)
        parted = qualify.qualify(
            manifest.load(tmp_path / "manifest.csv", tmp_path), DATASET, SMOKE, data_root=tmp_path, template=template
        )
        write_json(tmp_path / "cases.json", parted.cases)
        sent: dict[str, bytes] = {}

        def build(case: cases.Case, sent: dict[str, bytes] = sent) -> request.Request:
            built = request.build(case, template, tmp_path)
            sent[case.case_id] = built.body
            return built

        # The answer depends on what was sent alone, as a server's does.
        world = SimulatedWorkers(
            TurnedClock(),
            lambda _moment, key, _sent, sent=sent: (
                0.1,
                answered(200, {"authoritative_verdict": {"label": ["pass", "warn"][len(sent[key]) % 2]}}),
            ),
        )
        work = job(0, Pacing(0.0, 2, 8, 45), cases=cases.load(tmp_path / "cases.json").cases)
        folder = tmp_path / f"run{turn}"
        run(folder, work, world, build=build)
        verdicts = {r["case_id"]: r["verdict"] for r in records(folder) if r["type"] == "observation"}
        outcomes.append((list(sent.items()), verdicts))
    assert outcomes[0] == outcomes[1]
    assert len(outcomes[0][1]) == 10
