#!/usr/bin/python
"""Send the cases of a run and record what comes back."""

DOCUMENTATION = r"""
module: day3_batch
short_description: Send the cases of a run, paced, and record every answer
description:
  - Sends each case once, starts at least O(min_interval) apart, and writes one terminal record a case, on the disk
    before the next one. A run that was interrupted goes on where it stood; a run that ended is never repeated.
  - It reads cases without labels and cannot see one.
  - A run that cannot end within its budget is not started, and one whose budget is spent ends inconclusive.
attributes:
  check_mode:
    support: full
    description: Says what the run would take and sends nothing.
  diff_mode:
    support: none
    description: There is no file to compare.
options:
  data_root:
    description: Folder of the data set and its results.
    type: path
    required: true
  kind:
    description: A V(probe) stands outside the cycle and is new each time; the others are the cycle's runs.
    type: str
    choices: [probe, smoke, full]
    required: true
  ordinal:
    description: Which run of its kind.
    type: int
    default: 1
  cases:
    description: Cases without labels; those of the qualified data set by default.
    type: path
  selection:
    description:
      - Ids of the cases a V(probe) sends and their order; every case without it.
      - The other kinds refuse it. A smoke sends the cases that were drawn for it, a full run all of them.
    type: path
  target_url:
    description: The validation endpoint.
    type: str
    required: true
  token:
    description: Sent as bearer token when it is not empty; none is ever invented.
    type: str
    default: ""
  request_template:
    description: What requests are made of.
    type: path
    required: true
  verdict_map:
    description: How verdicts are read.
    type: path
    required: true
  min_interval:
    description: Seconds between two starts, at least.
    type: float
    required: true
  max_in_flight:
    description: Requests under way at once, at most.
    type: int
    required: true
  retries_429:
    description: Further attempts of a case after a 429.
    type: int
    required: true
  budget_minutes:
    description: Time the run may take over all its sessions.
    type: float
    required: true
  retries_other:
    description: Further attempts of a case after a 503 or a transport error.
    type: int
    default: 3
  connect_timeout:
    description: Seconds a connection may take.
    type: float
    default: 5
  read_timeout:
    description: Seconds of silence an answer may have.
    type: float
    default: 180
  total_timeout:
    description: Seconds an answer may take as a whole.
    type: float
    default: 300
  base_backoff:
    description: Seconds of the first wait after a 429 or 503 that names none; it doubles.
    type: float
    default: 2
  max_backoff:
    description: Seconds such a wait has at most.
    type: float
    default: 60
  rate_limit:
    description:
      - The target's rate limit where it is known, requests and seconds as in V(10/60); kept below from the first
        request on.
      - Empty, it is taken from the latest runs against the target, or learnt from its first 429.
    type: str
    default: ""
  run_id:
    description:
      - Id of a run that the cycle of this data root does not list, such as a part that a batch worker sends.
    type: str
    default: ""
  shard:
    description: The part of the run that is sent from here, V(1/2) being the first of two; empty for the whole.
    type: str
    default: ""
  early_stop:
    description: End the run when C(early_stop.json) is put beside its record, which says that a gate is lost.
    type: bool
    default: true
  lock_timeout:
    description: Seconds to wait for a predecessor that is still ending.
    type: float
    default: 10
  deadline:
    description: End of the maintenance window, UTC; a run that would end later is refused.
    type: str
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Send the first smoke
  day3_batch:
    data_root: data/day3
    kind: smoke
    ordinal: 1
    target_url: http://localhost:8000/api/validate/
    request_template: policy/request_template.yml
    verdict_map: policy/verdict_map.yml
    min_interval: 3.0
    max_in_flight: 4
    retries_429: 8
    budget_minutes: 45
"""

RETURN = r"""
run_id:
  description: The run; empty when none was started.
  type: str
  returned: success
observations:
  description: Its record.
  type: path
  returned: success
state:
  description: V(finished), V(exhausted), V(quota), V(early_stop), or V(not_started).
  type: str
  returned: success
requests:
  description: Requests this call sent.
  type: int
  returned: success
counts:
  description: Cases, records, outcomes, verdicts, 429s, seconds and the smallest gap between two starts.
  type: dict
  returned: success
forecast:
  description: What was foreseen before the first request.
  type: str
  returned: success
checks:
  description: Whether the run fits its budget and is complete.
  type: list
  elements: dict
  returned: success
"""

import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, holder, journal
from ansible.module_utils.solidgreen import batch, cycle, runner
from ansible.module_utils.solidgreen.client import Client, Target, open_session
from ansible.module_utils.solidgreen.clock import SystemClock
from ansible.module_utils.solidgreen.interrupt import Interrupt
from ansible.module_utils.solidgreen.pacing import Pacing, Shard
from ansible.module_utils.solidgreen.paths import DataRoot
from ansible.module_utils.solidgreen.workers import Threads


def work(module: AnsibleModule) -> dict[str, Any]:
    """Carry out the run."""
    params, clock = module.params, SystemClock()
    root = DataRoot(Path(params["data_root"]))
    target = Target(
        params["target_url"],
        params["token"],
        connect_timeout_s=params["connect_timeout"],
        read_timeout_s=params["read_timeout"],
        total_timeout_s=params["total_timeout"],
    )
    order = batch.Order(
        root=root,
        kind=params["kind"],
        ordinal=params["ordinal"],
        cases=Path(params["cases"] or root.cases),
        template=Path(params["request_template"]),
        verdict_map=Path(params["verdict_map"]),
        target=target,
        pacing=Pacing(
            min_interval=params["min_interval"],
            max_in_flight=params["max_in_flight"],
            retries_429=params["retries_429"],
            budget_minutes=params["budget_minutes"],
            retries_other=params["retries_other"],
            base_backoff_s=params["base_backoff"],
            max_backoff_s=params["max_backoff"],
            rate_limit=params["rate_limit"],
        ),
        selection=Path(params["selection"]) if params["selection"] else None,
        deadline=params["deadline"] or None,
        run_id=params["run_id"],
        shard=Shard.parse(params["shard"]) if params["shard"] else None,
        early_stop=params["early_stop"],
    )
    starter = holder()
    with Interrupt(gone=lambda: starter.alive() is False or cycle.is_barred(root)) as stop:
        report = batch.execute(
            order,
            Threads(Client(open_session(params["max_in_flight"]), target, clock).send),
            clock=clock,
            random=random.random,
            stop=stop,
            look_only=module.check_mode,
            lock_timeout_s=params["lock_timeout"],
        )
    return {
        "changed": report.changed or (module.check_mode and report.forecast.cases > 0),
        "run_id": report.run_id,
        "observations": root.run(report.run_id) / runner.OBSERVATIONS if report.run_id else "",
        "state": report.state,
        "requests": report.result.requests if report.result else 0,
        "counts": asdict(report.result) if report.result else {},
        "forecast": report.forecast.sentence(),
        "checks": journal(module, report.checks),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "kind": {"type": "str", "choices": ["probe", "smoke", "full"], "required": True},
            "ordinal": {"type": "int", "default": 1},
            "cases": {"type": "path"},
            "selection": {"type": "path"},
            "target_url": {"type": "str", "required": True},
            "token": {"type": "str", "default": "", "no_log": True},
            "request_template": {"type": "path", "required": True},
            "verdict_map": {"type": "path", "required": True},
            "min_interval": {"type": "float", "required": True},
            "max_in_flight": {"type": "int", "required": True},
            "retries_429": {"type": "int", "required": True},
            "budget_minutes": {"type": "float", "required": True},
            "retries_other": {"type": "int", "default": 3},
            "connect_timeout": {"type": "float", "default": 5},
            "read_timeout": {"type": "float", "default": 180},
            "total_timeout": {"type": "float", "default": 300},
            "base_backoff": {"type": "float", "default": 2},
            "max_backoff": {"type": "float", "default": 60},
            "rate_limit": {"type": "str", "default": ""},
            "run_id": {"type": "str", "default": ""},
            "shard": {"type": "str", "default": ""},
            "early_stop": {"type": "bool", "default": True},
            "lock_timeout": {"type": "float", "default": 10},
            "deadline": {"type": "str"},
            **JOURNAL,
        },
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
