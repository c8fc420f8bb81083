#!/usr/bin/python
"""Bar the runs of a cycle, or mark it as a demonstration."""

DOCUMENTATION = r"""
module: day3_cycle_mark
short_description: Set or clear a mark that forbids decision evidence
description:
  - C(barred) stops every further run of the cycle (rollback R3). C(demonstration) says that the stack runs a demo-safe
    configuration (rollback R2); no run is started while it holds.
attributes:
  check_mode:
    support: full
    description: Tells whether the mark would change.
  diff_mode:
    support: none
    description: The cycle file is evidence, not configuration.
options:
  data_root:
    description: Folder C(data/day3) of the target.
    type: path
    required: true
  name:
    description: The mark.
    type: str
    choices: [barred, demonstration]
    required: true
  state:
    description: Whether the mark is set.
    type: str
    choices: [present, absent]
    default: present
  reason:
    description: Why. Required for C(present); the first reason stays.
    type: str
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Bar the full run
  day3_cycle_mark:
    data_root: "{{ rollback_data_root }}"
    name: barred
    reason: smoke 2 failed gate accuracy
"""

RETURN = r"""
mark:
  description: The mark as it stands now, with reason and time.
  type: dict
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import finish
from ansible.module_utils.solidgreen import cycle
from ansible.module_utils.solidgreen.clock import SystemClock
from ansible.module_utils.solidgreen.paths import DataRoot


def work(module: AnsibleModule) -> dict[str, Any]:
    """Set or clear the mark."""
    root, name = DataRoot(Path(module.params["data_root"])), module.params["name"]
    wanted = module.params["reason"] if module.params["state"] == "present" else None
    if module.check_mode:
        current = cycle.require(root)[name]
        return {"changed": (current is None) != (wanted is None), "mark": current}
    changed = cycle.mark(root, name, wanted, clock=SystemClock())
    return {"changed": changed, "mark": cycle.require(root)[name]}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "name": {"type": "str", "choices": ["barred", "demonstration"], "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "reason": {"type": "str"},
        },
        required_if=[("state", "present", ["reason"])],
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
