"""What the module tests of the batch stand on: a qualified data set in a registered cycle, and arguments."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from solidgreen import cycle, manifest, qualify, request
from solidgreen.clock import SystemClock
from solidgreen.jsonio import write_bytes, write_json
from solidgreen.paths import DataRoot

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "unit"))

from dataset import DATASET, EXPECTED, write_all  # noqa: E402 - the folder of the unit tests is on the path only now

TEMPLATE = ROOT / "policy" / "request_template.yml"
#: What a triage goes by.
KNOWN = {
    "causes": str(ROOT / "policy" / "triage.yml"),
    "causes_schema": str(ROOT / "schemas" / "triage.schema.json"),
    "policy": str(ROOT / "policy" / "day3.yml"),
    "policy_schema": str(ROOT / "schemas" / "policy.schema.json"),
    "request_template": str(TEMPLATE),
}
#: A smoke of all ten cases.
SMOKE = {"size": 10, "seed": 7, "strata": dict.fromkeys(EXPECTED, 2)}
DIGESTS = {"manifest": "0" * 64, "config": "1" * 64}


def data_root(folder: Path) -> DataRoot:
    """Return a data root with ten qualified cases and an open, registered cycle."""
    root = DataRoot(folder / "data" / "day3")
    root.root.mkdir(parents=True)
    data = manifest.load(write_all(root.root), root.root)
    parted = qualify.qualify(data, DATASET, SMOKE, data_root=root.root, template=request.load_template(TEMPLATE))
    write_bytes(root.cases, parted.cases)
    write_json(root.smoke_selection, parted.smoke)
    write_json(root.qualified / "probe.json", parted.probe)
    clock = SystemClock()
    cycle.open_cycle(
        root,
        env="rehearsal",
        inventory="inventories/rehearsal",
        holder=cycle.Holder.of(os.getpid()),
        minutes=60,
        snapshot=None,
        new=False,
        fix=None,
        digests=DIGESTS,
        clock=clock,
    )
    cycle.register(root, digests=DIGESTS, facts={"rehearsal": True}, clock=clock)
    return root


def arguments(root: DataRoot, url: str, **changes: Any) -> dict[str, Any]:
    """Return the arguments of ``day3_batch`` for a quick first smoke."""
    return {
        "data_root": str(root.root),
        "kind": "smoke",
        "target_url": url,
        "request_template": str(TEMPLATE),
        "verdict_map": str(ROOT / "policy" / "verdict_map.yml"),
        "min_interval": 0.01,
        "max_in_flight": 3,
        "retries_429": 8,
        "budget_minutes": 45,
        "connect_timeout": 2,
        "read_timeout": 5,
        **changes,
    }
