#!/usr/bin/python
"""Ask the container engine."""

DOCUMENTATION = r"""
module: day3_engine_info
short_description: See whether a container engine answers
description:
  - Runs C(docker version) with a timeout and says in one sentence what is wrong.
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: Only reads.
options:
  docker_host:
    description: Address of the engine; the client's own default without it.
    type: str
  timeout:
    description: Seconds the engine may take.
    type: float
    default: 15
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Ask the engine
  day3_engine_info:
    timeout: 15
"""

RETURN = r"""
checks:
  description: The check C(engine).
  type: list
  elements: dict
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import engine
from ansible.module_utils.solidgreen.clock import SystemClock
from ansible.module_utils.solidgreen.freeze import system_command


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"docker_host": {"type": "str"}, "timeout": {"type": "float", "default": 15}, **JOURNAL},
        supports_check_mode=True,
    )

    def work() -> dict[str, object]:
        check = engine.engine(
            docker_host=module.params["docker_host"],
            run=system_command(module.params["timeout"]),
            clock=SystemClock(),
        )
        return {"changed": False, "checks": journal(module, [check])}

    finish(module, work)


if __name__ == "__main__":
    main()
