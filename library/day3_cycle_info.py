#!/usr/bin/python
"""Find the one active cycle."""

DOCUMENTATION = r"""
module: day3_cycle_info
short_description: Read the cycle of a data root
description:
  - Reads the cycle of O(data_root), or where none is given the one active cycle that O(registry) knows.
  - Refuses when there is none or several, so that nobody rolls back the wrong stack.
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: Only reads.
options:
  registry:
    description: Folder that notes which data roots have an open cycle.
    type: path
  data_root:
    description: Folder C(data/day3) of the target.
    type: path
  journal:
    description: Journal of the running phase; the check that no demonstration is marked goes there.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Find the active cycle
  day3_cycle_info:
    registry: "{{ rollback_registry }}"
  register: __rollback_active
"""

RETURN = r"""
active:
  description: Data root, environment, inventory and cycle id.
  type: dict
  returned: always
cycle:
  description: The cycle as it is on disk.
  type: dict
  returned: always
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import cycle
from ansible.module_utils.solidgreen.check import Check, Status
from ansible.module_utils.solidgreen.clock import SystemClock, stamp
from ansible.module_utils.solidgreen.paths import DataRoot


def work(module: AnsibleModule) -> dict[str, Any]:
    """Return the cycle that is meant."""
    if module.params["data_root"]:
        root = DataRoot(Path(module.params["data_root"]))
        found = cycle.require(root)
        entry = cycle.ActiveCycle(str(root.root), found["env"], found["inventory"], found["cycle_id"])
    else:
        entry = cycle.require_one_active(Path(module.params["registry"]))
        found = cycle.require(DataRoot(Path(entry.data_root)))
    mark = found["demonstration"]
    check = Check(
        id="no-demonstration",
        title="No demonstration is marked",
        status=Status.FAIL if mark else Status.PASS,
        seen=f"demonstration since {mark['at']}: {mark['reason']}" if mark else "no mark",
        needed="a stack that may produce decision evidence",
        next_step="invoke rollback --point R2 --undo" if mark else "",
        owner="Platform/API Lead",
        at=stamp(SystemClock().now()),
        exit_code=10,
    )
    return {"checks": journal(module, [check]), "changed": False, "active": asdict(entry), "cycle": found}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"registry": {"type": "path"}, "data_root": {"type": "path"}, **JOURNAL},
        required_one_of=[("registry", "data_root")],
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
