#!/usr/bin/python
"""Keep the state of a failing target."""

DOCUMENTATION = r"""
module: day3_state_capture
short_description: Keep diagnostics before anything is changed
description:
  - Writes one folder with the redacted environment files, copies of the named files and the given facts.
  - The folder appears under its name only when it is whole; one that exists is left alone.
attributes:
  check_mode:
    support: full
    description: Tells whether the folder would be written.
  diff_mode:
    support: none
    description: There is nothing to compare with.
options:
  path:
    description: Folder to write.
    type: path
    required: true
  environment:
    description: Environment files; values that may be secret are hidden.
    type: list
    elements: path
    default: []
  copies:
    description: Files to copy whole. Missing ones are passed over.
    type: list
    elements: path
    default: []
  facts:
    description: Plain values for C(state.json).
    type: dict
    default: {}
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Keep the failing state
  day3_state_capture:
    path: "{{ rollback_data_root }}/restore_points/R3/frozen-{{ __rollback_cycle_id }}"
    environment: ["{{ stack_state_dir }}/.env"]
"""

RETURN = r"""
path:
  description: The folder.
  type: str
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import finish
from ansible.module_utils.solidgreen import restore
from ansible.module_utils.solidgreen.clock import SystemClock


def work(module: AnsibleModule) -> dict[str, Any]:
    """Write the folder once."""
    target = Path(module.params["path"])
    if target.exists() or module.check_mode:
        return {"changed": not target.exists(), "path": str(target)}
    restore.freeze_state(
        target,
        environment=[Path(path) for path in module.params["environment"]],
        copies=[Path(path) for path in module.params["copies"]],
        facts=module.params["facts"],
        clock=SystemClock(),
    )
    return {"changed": True, "path": str(target)}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "environment": {"type": "list", "elements": "path", "default": []},
            "copies": {"type": "list", "elements": "path", "default": []},
            "facts": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
