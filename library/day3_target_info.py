#!/usr/bin/python
"""Ask a target what it is."""

DOCUMENTATION = r"""
module: day3_target_info
short_description: Ask a target what it is
description:
  - Reads service, version, build, environment, rehearsal and stub mode from C(/health/info) of the target's own origin.
  - The answer is kept as a check, so that the registration can refuse a target that was swapped since.
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: Only reads.
options:
  target_url:
    description: The validation endpoint.
    type: str
    required: true
  token:
    description: Bearer token, where the target wants one.
    type: str
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Ask the target what it is
  day3_target_info:
    target_url: http://localhost:8000/api/validate/
"""

RETURN = r"""
identity:
  description: What the target says it is.
  type: dict
  returned: success
checks:
  description: The check C(target-identity).
  type: list
  elements: dict
  returned: success
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import inputs
from ansible.module_utils.solidgreen.check import Check, Status
from ansible.module_utils.solidgreen.clock import SystemClock, stamp


def work(module: AnsibleModule) -> dict[str, Any]:
    """Ask, and keep the answer."""
    identity = inputs.identity(module.params["target_url"], token=module.params["token"])
    check = Check(
        id="target-identity",
        title="The target says what it is",
        status=Status.PASS,
        seen=", ".join(f"{key} {value}" for key, value in identity.items()),
        needed="an answer that the registration can be compared with",
        owner="Platform/API Lead",
        at=stamp(SystemClock().now()),
        facts=identity,
    )
    return {"changed": False, "identity": identity, "checks": journal(module, [check])}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "target_url": {"type": "str", "required": True},
            "token": {"type": "str", "no_log": True},
            **JOURNAL,
        },
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
