#!/usr/bin/python
"""Begin and conclude a phase of the plan."""

DOCUMENTATION = r"""
module: day3_phase
short_description: Begin or conclude a phase of the plan
description:
  - C(begun) takes the lease of the cycle, refuses a phase whose earlier phases have not passed, tells whether the phase
    is due, and starts its journal.
  - C(concluded) turns the journal into the verdict file of the phase. A phase in which nothing was looked at is
    inconclusive, never passed.
  - A phase that did not pass does not fail this module; the role that concludes it fails after the evidence is written.
attributes:
  check_mode:
    support: full
    description: Tells whether the phase is due; writes neither journal nor verdict.
  diff_mode:
    support: none
    description: Verdict files are evidence, not configuration.
options:
  data_root:
    description: Folder C(data/day3) of the target.
    type: path
    required: true
  env:
    description: Name of the environment; a cycle that another one opened over the same data root is refused.
    type: str
    default: ""
  phase:
    description: Number of the phase.
    type: int
    choices: [0, 1, 2, 3, 4, 5]
    required: true
  state:
    description: What is asked of the phase.
    type: str
    choices: [begun, concluded]
    required: true
  new:
    description: A new cycle was asked for, so that phase 0 is due whatever it left before.
    type: bool
    default: false
  again:
    description: The phase was asked for by itself, so that it runs although it passed. Runs never do.
    type: bool
    default: false
  stale:
    description: What the caller saw that makes an earlier pass worthless, in words; empty when nothing.
    type: str
    default: ""
  policy:
    description: The policy; owners, names and how long a pass holds come from it.
    type: path
    required: true
  policy_schema:
    description: JSON Schema of the policy.
    type: path
    required: true
  lease_minutes:
    description: How long the lease holds when its holder cannot be looked at from here.
    type: float
    default: 90
  managed:
    description: Whether the stack is run from here. Of one that is not, neither environment nor logs are asked for.
    type: bool
    default: true
  started_at:
    description: What C(begun) returned. Required for C(concluded).
    type: str
  broken:
    description: Result of a task that failed before it could leave a check.
    type: dict
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Begin the smoke phase
  day3_phase:
    data_root: "{{ cycle_data_root }}"
    policy: "{{ cycle_policy }}"
    policy_schema: "{{ cycle_policy_schema }}"
    phase: 3
    state: begun
  register: __cycle_begun

- name: Conclude it
  day3_phase:
    data_root: "{{ cycle_data_root }}"
    policy: "{{ cycle_policy }}"
    policy_schema: "{{ cycle_policy_schema }}"
    phase: 3
    state: concluded
    started_at: "{{ __cycle_begun.started_at }}"
"""

RETURN = r"""
due:
  description: Whether the phase has to run.
  type: bool
  returned: state is begun
reason:
  description: Why it is due, or why not.
  type: str
  returned: state is begun
registered:
  description: Whether the cycle has registered its inputs.
  type: bool
  returned: state is begun
journal:
  description: Where the checks of the phase go.
  type: str
  returned: state is begun
started_at:
  description: When the phase began.
  type: str
  returned: always
verdict:
  description: The phase's verdict as written.
  type: dict
  returned: state is concluded
day3:
  description: The same in short, for launchers that watch the play.
  type: dict
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import finish, holder
from ansible.module_utils.solidgreen import cycle, jsonio, phase, policy
from ansible.module_utils.solidgreen.clock import SystemClock, stamp
from ansible.module_utils.solidgreen.paths import DataRoot, require_one_data_root


def rules(module: AnsibleModule) -> policy.Policy:
    """Return the policy the module was given."""
    return policy.load(Path(module.params["policy"]), Path(module.params["policy_schema"]))


def begun(module: AnsibleModule, root: DataRoot) -> dict[str, Any]:
    """Take the lease, see whether the phase is due and start its journal."""
    number, clock = module.params["phase"], SystemClock()
    require_one_data_root(root)
    cycle.require_env(root, module.params["env"])
    fresh = module.params["new"] and number == 0
    plan = rules(module)
    phase.require_not_barred(root, number, plan)
    due = phase.Due(True, "a new cycle was asked for") if fresh else phase.due(root, number, plan, clock=clock)
    if not due.due and module.params["again"] and number not in phase.RUN_PHASES:
        due = phase.Due(True, "it was asked for")
    if not due.due and module.params["stale"]:
        due = phase.Due(True, module.params["stale"])
    if number > 0 and not (number == 5 and cycle.load(root) is None):
        phase.require_before(root, number, plan, clock=clock)
    if due.due and not module.check_mode:
        if cycle.load(root) is not None:
            cycle.take(root, holder(), minutes=module.params["lease_minutes"], clock=clock)
        phase.begin(root, number, fresh=fresh)
    return {
        "changed": False,
        "due": due.due,
        "reason": due.reason,
        "registered": bool((cycle.load(root) or {}).get("registration")),
        "journal": str(root.journal(number)),
        "started_at": stamp(clock.now()),
        "day3": _short(plan, root, number, due=due.due, reason=due.reason),
    }


def concluded(module: AnsibleModule, root: DataRoot) -> dict[str, Any]:
    """Write the verdict of the phase and give the lease back."""
    number = module.params["phase"]
    if module.check_mode:
        return {"changed": False, "verdict": None, "started_at": module.params["started_at"], "day3": {}}
    plan = rules(module)
    verdict = phase.conclude(
        root,
        number,
        started_at=module.params["started_at"],
        policy=plan,
        broken=module.params["broken"],
        managed=module.params["managed"],
        clock=SystemClock(),
    )
    cycle.release(root, holder())
    return {
        "changed": True,
        "verdict": verdict,
        "started_at": verdict["started_at"],
        "day3": _short(
            plan, root, number, status=verdict["status"], sentence=verdict["sentence"], exit_code=verdict["exit_code"]
        ),
    }


def _short(plan: policy.Policy, root: DataRoot, number: int, **more: Any) -> dict[str, Any]:
    return {"phase": number, "name": plan.phases[number].name, "data_root": str(root.root), **jsonio.to_plain(more)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "env": {"type": "str", "default": ""},
            "phase": {"type": "int", "choices": [0, 1, 2, 3, 4, 5], "required": True},
            "state": {"type": "str", "choices": ["begun", "concluded"], "required": True},
            "new": {"type": "bool", "default": False},
            "again": {"type": "bool", "default": False},
            "stale": {"type": "str", "default": ""},
            "policy": {"type": "path", "required": True},
            "policy_schema": {"type": "path", "required": True},
            "lease_minutes": {"type": "float", "default": 90},
            "managed": {"type": "bool", "default": True},
            "started_at": {"type": "str"},
            "broken": {"type": "dict"},
        },
        required_if=[("state", "concluded", ["started_at"])],
        supports_check_mode=True,
    )
    work = begun if module.params["state"] == "begun" else concluded
    finish(module, lambda: work(module, DataRoot(Path(module.params["data_root"]))))


if __name__ == "__main__":
    main()
