#!/usr/bin/python
"""Refuse a rollback that must not happen."""

DOCUMENTATION = r"""
module: day3_rollback_point
short_description: Refuse a rollback that does not exist or must not happen
description:
  - Checks the name of the point, whether it can be undone, and whether the environment may be rolled back at all.
attributes:
  check_mode:
    support: full
    description: Only checks its arguments.
  diff_mode:
    support: none
    description: Only checks its arguments.
options:
  point:
    description: Name of the point.
    type: str
    required: true
  state:
    description: C(present) goes back, C(absent) goes forward again.
    type: str
    choices: [present, absent]
    default: present
  env:
    description: Name of the environment.
    type: str
    default: ""
  allowed:
    description: Whether this environment is ever rolled back.
    type: bool
    default: true
  dump:
    description: Whether the database can be dumped, or there is none. R1 removes volumes, so it is refused without.
    type: bool
    default: true
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Refuse a point that does not exist
  day3_rollback_point:
    point: R2
"""

RETURN = r"""
point:
  description: The point.
  type: str
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import finish
from ansible.module_utils.solidgreen.errors import BadInput
from ansible.module_utils.solidgreen.restore import POINTS


def work(module: AnsibleModule) -> dict[str, Any]:
    """Check what was asked for."""
    point, env = module.params["point"], module.params["env"]
    if point not in POINTS:
        raise BadInput(
            "rollback point",
            found=repr(point) if point else "none",
            need="one of R1, R2, R3",
            next_step="ansible-playbook rollback.yml -e point=R2, or invoke rollback --point R2",
        )
    if not module.params["allowed"]:
        raise BadInput(
            f"rollback {point}",
            found=f"environment {env}",
            need="an environment whose stack this project may change",
            next_step="name the one that is meant: invoke rollback --point R2 --env workstation",
        )
    if module.params["state"] == "absent" and point != "R2":
        raise BadInput(
            f"rollback {point}",
            found="a wish to undo it",
            need="R2, the only one that can be undone",
            next_step="invoke go" if point == "R1" else 'invoke go --new-cycle --fix "what was changed"',
        )
    if point == "R1" and not module.params["dump"]:
        raise BadInput(
            "rollback R1",
            found=f"no way to dump the database of {env}",
            need="a dump before volumes are removed",
            next_step="set rollback_dump_command in the inventory",
        )
    return {"changed": False, "point": point}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "point": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "env": {"type": "str", "default": ""},
            "allowed": {"type": "bool", "default": True},
            "dump": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
