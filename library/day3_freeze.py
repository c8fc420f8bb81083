#!/usr/bin/python
"""Freeze what retries on its own, and hold the maintenance window."""

DOCUMENTATION = r"""
module: day3_freeze
short_description: Freeze auto-retry agents and loops, with proof, and check the maintenance window
description:
  - Runs the check command of every loop; where it does not end with 0, runs the freeze command and looks again.
  - C(absent) runs the unfreeze commands and checks nothing.
attributes:
  check_mode:
    support: full
    description: Runs the check commands only, never a freeze or an unfreeze command.
  diff_mode:
    support: none
    description: There is no file to compare.
options:
  state:
    description: Whether the loops should be frozen.
    type: str
    choices: [present, absent]
    default: present
  loops:
    description: >-
      One entry a loop with C(name), C(freeze), C(check) (ends with 0 only while it is stopped) and C(unfreeze). No list
      at all is inconclusive; an empty list needs O(reason).
    type: list
    elements: dict
  reason:
    description: Why there is nothing to freeze.
    type: str
    default: ""
  window_start:
    description: Start of the agreed maintenance window, UTC.
    type: str
  window_end:
    description: End of the agreed maintenance window, UTC.
    type: str
  window_reason:
    description: Why no window is needed.
    type: str
    default: ""
  window_minutes:
    description: How long the window must still be open.
    type: float
    default: 0
  timeout:
    description: Seconds a command may take.
    type: float
    default: 30
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Freeze the retry agent
  day3_freeze:
    loops:
      - name: retry-agent
        freeze: systemctl stop retry-agent
        check: sh -c '! systemctl is-active --quiet retry-agent'
        unfreeze: systemctl start retry-agent
    window_start: "2026-03-01T22:00:00Z"
    window_end: "2026-03-02T02:00:00Z"
"""

RETURN = r"""
checks:
  description: One check a loop, and the window.
  type: list
  elements: dict
  returned: state is present
unfrozen:
  description: Names of the loops that were let go on.
  type: list
  elements: str
  returned: state is absent
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import freeze
from ansible.module_utils.solidgreen.clock import SystemClock


def present(module: AnsibleModule) -> dict[str, Any]:
    """Freeze, prove and check the window."""
    params, clock = module.params, SystemClock()
    checks, changed = freeze.frozen(
        freeze.read_loops(params["loops"]),
        reason=params["reason"],
        run=freeze.system_command(params["timeout"]),
        clock=clock,
        look_only=module.check_mode,
    )
    checks.append(
        freeze.window(
            params["window_start"],
            params["window_end"],
            reason=params["window_reason"],
            minutes=params["window_minutes"],
            clock=clock,
        )
    )
    return {"changed": changed, "checks": journal(module, checks)}


def absent(module: AnsibleModule) -> dict[str, Any]:
    """Let the loops go on."""
    loops = freeze.read_loops(module.params["loops"])
    if module.check_mode:
        return {"changed": bool(loops), "unfrozen": []}
    names = freeze.unfrozen(loops, run=freeze.system_command(module.params["timeout"]))
    return {"changed": bool(names), "unfrozen": names}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "loops": {"type": "list", "elements": "dict"},
            "reason": {"type": "str", "default": ""},
            "window_start": {"type": "str"},
            "window_end": {"type": "str"},
            "window_reason": {"type": "str", "default": ""},
            "window_minutes": {"type": "float", "default": 0},
            "timeout": {"type": "float", "default": 30},
            **JOURNAL,
        },
        supports_check_mode=True,
    )
    work = present if module.params["state"] == "present" else absent
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
