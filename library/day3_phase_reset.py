#!/usr/bin/python
"""Let phases run again."""

DOCUMENTATION = r"""
module: day3_phase_reset
short_description: Set the verdicts of phases aside, so that they run again
description:
  - Moves the verdict files of the phases from O(first) on into a dated folder beside them. Verdicts of the smoke and
    full runs stay.
attributes:
  check_mode:
    support: full
    description: Tells which verdicts would be set aside.
  diff_mode:
    support: none
    description: Verdict files are evidence, not configuration.
options:
  data_root:
    description: Folder C(data/day3) of the target.
    type: path
    required: true
  first:
    description: First phase that has to run again.
    type: int
    required: true
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Back to phase 0
  day3_phase_reset:
    data_root: "{{ rollback_data_root }}"
    first: 0
"""

RETURN = r"""
phases:
  description: Numbers of the phases that run again.
  type: list
  elements: int
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import finish
from ansible.module_utils.solidgreen import phase
from ansible.module_utils.solidgreen.clock import SystemClock
from ansible.module_utils.solidgreen.paths import DataRoot


def work(module: AnsibleModule) -> dict[str, Any]:
    """Set the verdicts aside."""
    root, first = DataRoot(Path(module.params["data_root"])), module.params["first"]
    if module.check_mode:
        phases = [n for n in range(first, 6) if n not in phase.RUN_PHASES and root.phase(n).exists()]
    else:
        phases = phase.reset(root, first, clock=SystemClock())
    return {"changed": bool(phases), "phases": phases}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"data_root": {"type": "path", "required": True}, "first": {"type": "int", "required": True}},
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
