#!/usr/bin/python
"""Follow a run and mark it when a gate can no longer be met."""

DOCUMENTATION = r"""
module: day3_watch
short_description: Follow a run and mark it when a gate can no longer be met
description:
  - Follows the record of the cycle's run of that kind while the batch appends to it, from before the run is opened
    until it ends. As soon as a hard gate is certain to fail however the cases not yet answered end, it writes
    C(early_stop.json) beside the record and ends; the batch, which cannot see a label, ends the run for it.
  - Only time and quota depend on it. The judgement works out for itself what is certain and does not read the mark.
  - Made to run beside the batch, as a task with C(async) and C(poll=0). It ends with the run, when whoever holds the
    cycle at its start is gone, when the runs are barred, and after O(time_limit).
attributes:
  check_mode:
    support: full
    description: Looks once at what is there and marks nothing.
  diff_mode:
    support: none
    description: There is no file to compare.
options:
  data_root:
    description: Folder of the data set and its results.
    type: path
    required: true
  policy:
    description: The policy file.
    type: path
    required: true
  policy_schema:
    description: JSON Schema of the policy.
    type: path
    required: true
  kind:
    description: Which of the cycle's runs.
    type: str
    choices: [smoke, full]
    required: true
  ordinal:
    description: Which run of its kind.
    type: int
    default: 1
  time_limit:
    description: Seconds after which it ends by itself.
    type: float
    default: 7200
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Watch whether the gates of the first smoke can still be met
  day3_watch:
    data_root: data/day3
    policy: policy/day3.yml
    policy_schema: schemas/policy.schema.json
    kind: smoke
    ordinal: 1
  async: 7300
  poll: 0
"""

RETURN = r"""
run_id:
  description: The run; empty when none was opened.
  type: str
  returned: success
gates:
  description: The gates that cannot be met any more; empty when none was lost.
  type: list
  elements: str
  returned: success
done:
  description: Records it had seen.
  type: int
  returned: success
msg:
  description: Why it ended.
  type: str
  returned: success
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import finish
from ansible.module_utils.solidgreen import policy
from ansible.module_utils.solidgreen.clock import SystemClock
from ansible.module_utils.solidgreen.paths import DataRoot
from ansible.module_utils.solidgreen.watch import Watch, Watched


def watched(module: AnsibleModule) -> dict[str, Any]:
    """Watch until there is nothing to watch any more."""
    params = module.params
    watch = Watch(
        DataRoot(Path(params["data_root"])),
        policy.load(Path(params["policy"]), Path(params["policy_schema"])),
        kind=params["kind"],
        ordinal=params["ordinal"],
        clock=SystemClock(),
    )
    if module.check_mode:
        found = watch.look() or Watched("", "no gate is lost yet", 0)
    else:
        found = watch.until(params["time_limit"])
    return {
        "changed": bool(found.lost),
        "run_id": found.run_id,
        "gates": [result.name for result in found.lost],
        "done": found.done,
        "msg": found.why,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "policy": {"type": "path", "required": True},
            "policy_schema": {"type": "path", "required": True},
            "kind": {"type": "str", "choices": ["smoke", "full"], "required": True},
            "ordinal": {"type": "int", "default": 1},
            "time_limit": {"type": "float", "default": 7200},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: watched(module))


if __name__ == "__main__":
    main()
