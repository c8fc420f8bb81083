#!/usr/bin/python
"""Share the full run out among batch workers, and make one record of theirs."""

DOCUMENTATION = r"""
module: day3_shards
short_description: Share the full run out among batch workers, and merge what they send home
description:
  - C(planned) opens the full run of the cycle, or goes on with it, gives every worker its shard, and packs for each one
    that has not ended what it needs to send it. Without workers nothing is opened; a run that workers began is refused.
  - C(merged) makes the ledger of the run from the records of all shards that were brought home, and ends the run in its
    cycle. It ends inconclusive where a shard is missing or has not ended; what is there is kept, and the next call goes
    on from it.
  - No label is read or packed.
attributes:
  check_mode:
    support: full
    description: Tells what C(planned) would pack; C(merged) does nothing.
  diff_mode:
    support: none
    description: Ledgers are evidence, not configuration.
options:
  state:
    description: What is asked for.
    type: str
    choices: [planned, merged]
    required: true
  data_root:
    description: Folder of the data set and its results.
    type: path
    required: true
  workers:
    description: The workers in the order of their shards.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the host.
        type: str
        required: true
      shard:
        description: Its shard, like V(2/3); its place in the list when empty.
        type: str
        default: ""
      said:
        description: How its part ended, in its own words, for C(merged).
        type: str
        default: ""
  archives:
    description: Folder for the packs; they hold documents of the data set. Required for C(planned).
    type: path
  request_template:
    description: What requests are made of. Required for C(planned).
    type: path
  verdict_map:
    description: How verdicts are read. Required for C(planned).
    type: path
  targets:
    description: How many targets the play has; workers serve one.
    type: int
    default: 1
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Share the full run out among two workers
  day3_shards:
    state: planned
    data_root: data/day3
    workers:
      - name: worker-a
      - name: worker-b
    archives: .solidgreen/shards
    request_template: policy/request_template.yml
    verdict_map: policy/verdict_map.yml
"""

RETURN = r"""
run_id:
  description: The run; empty where one process sends it.
  type: str
  returned: success
senders:
  description: >-
    The workers that have something to send. Each has C(worker), C(shard) like V(1/2), C(archive) to unpack into the
    data root of the worker, and C(home), where the record of its shard belongs.
  type: list
  elements: dict
  returned: state is planned
state:
  description: V(finished), V(exhausted), V(quota) or V(early_stop).
  type: str
  returned: state is merged
observations:
  description: The record of the run.
  type: path
  returned: state is merged
checks:
  description: Whether the shards kept the interval of the run between them.
  type: list
  elements: dict
  returned: state is merged
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import cases, cycle, request, shards, verdict
from ansible.module_utils.solidgreen.clock import SystemClock
from ansible.module_utils.solidgreen.paths import DataRoot

WORKER = {
    "name": {"type": "str", "required": True},
    "shard": {"type": "str", "default": ""},
    "said": {"type": "str", "default": ""},
}


def planned(module: AnsibleModule, root: DataRoot) -> dict[str, Any]:
    """Open the run and pack for every worker that has something to send."""
    params = module.params
    assigned = shards.assign([(worker["name"], worker["shard"]) for worker in params["workers"]])
    shards.require_one_target(assigned, params["targets"])
    if module.check_mode:
        return {"changed": bool(assigned), "run_id": "", "senders": []}
    files = {"request_template.yml": Path(params["request_template"]), "verdict_map.yml": Path(params["verdict_map"])}
    # Looked at before the run is opened: what cannot be used here cannot be used there.
    request.load_template(files["request_template.yml"])
    verdict.load_map(files["verdict_map.yml"])
    plan = shards.begin(root, assigned, clock=SystemClock())
    if plan is None:
        return {"changed": False, "run_id": "", "senders": []}
    senders = []
    for worker, shard in assigned.items():
        if plan.done(worker):
            continue
        archive = Path(params["archives"]) / f"{plan.run_id}.{shard.index}of{shard.of}.tar"
        shards.pack(archive, root, shard, files)
        named = f"{shard.index}/{shard.of}"
        senders.append({"worker": worker, "shard": named, "archive": archive, "home": plan.home(worker)})
    return {"changed": bool(senders), "run_id": plan.run_id, "senders": senders}


def merged(module: AnsibleModule, root: DataRoot) -> dict[str, Any]:
    """Merge the shards and end the run."""
    workers = module.params["workers"]
    assigned = shards.assign([(worker["name"], worker["shard"]) for worker in workers])
    plan = None if module.check_mode else shards.begin(root, assigned, clock=SystemClock())
    if plan is None:
        return {"changed": False, "run_id": "", "state": "", "observations": "", "checks": []}
    said = {worker["name"]: worker["said"] for worker in workers}
    told = {
        shard.index: f"worker {name}: {said[name] or 'nothing was heard of it'}" for name, shard in assigned.items()
    }
    result = shards.merge(plan.folder, cases.load(root.cases).ids, told)
    cycle.finish_run(root, plan.run_id, clock=SystemClock(), state=result.in_cycle)
    return {
        "changed": result.changed,
        "run_id": plan.run_id,
        "state": result.state,
        "observations": result.ledger.path,
        "checks": journal(module, [shards.check(result, "QA Lead")]),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["planned", "merged"], "required": True},
            "data_root": {"type": "path", "required": True},
            "workers": {"type": "list", "elements": "dict", "default": [], "options": WORKER},
            "archives": {"type": "path"},
            "request_template": {"type": "path"},
            "verdict_map": {"type": "path"},
            "targets": {"type": "int", "default": 1},
            **JOURNAL,
        },
        required_if=[("state", "planned", ["archives", "request_template", "verdict_map"])],
        supports_check_mode=True,
    )
    work = planned if module.params["state"] == "planned" else merged
    finish(module, lambda: work(module, DataRoot(Path(module.params["data_root"]))))


if __name__ == "__main__":
    main()
