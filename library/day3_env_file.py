#!/usr/bin/python
"""Keep an environment file."""

DOCUMENTATION = r"""
module: day3_env_file
short_description: Make an environment file from its example and set single entries
description:
  - Copies O(example) where O(path) does not exist, then sets O(entries); everything else in the file stays.
  - The file is readable by its owner only.
attributes:
  check_mode:
    support: full
    description: Tells what would change.
  diff_mode:
    support: full
    description: Shows names; values that may be secret are hidden.
options:
  path:
    description: The environment file.
    type: path
    required: true
  example:
    description: Copied first where O(path) does not exist.
    type: path
  entries:
    description: Names and values to set.
    type: dict
    default: {}
  journal:
    description: Journal of the running phase.
    type: path
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Name the endpoint
  day3_env_file:
    path: "{{ config_project_dir }}/.env"
    example: "{{ config_project_dir }}/.env.example"
    entries:
      DAY3_API_URL: http://localhost:8000/api/validate/
"""

RETURN = r"""
created:
  description: Whether the file was made from its example.
  type: bool
  returned: always
changed_names:
  description: Names of the entries whose value changed.
  type: list
  elements: str
  returned: always
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import JOURNAL, finish, journal
from ansible.module_utils.solidgreen import envfile
from ansible.module_utils.solidgreen.check import Check, Status
from ansible.module_utils.solidgreen.clock import SystemClock, stamp
from ansible.module_utils.solidgreen.restore import redact_env


def work(module: AnsibleModule) -> dict[str, Any]:
    """Write the file where it differs."""
    path, example = Path(module.params["path"]), module.params["example"]
    entries = {name: "" if value is None else str(value) for name, value in module.params["entries"].items()}
    before = path.read_text() if path.is_file() else ""
    ensured = envfile.plan(path, example=Path(example) if example else None, entries=entries)
    if not module.check_mode:
        envfile.apply(path, ensured)
    held = envfile.read(path) if not module.check_mode else entries
    differing = [name for name, value in entries.items() if held.get(name) != value]
    done = ", ".join(["made from its example"] * ensured.created + [f"set {name}" for name in ensured.changed_names])
    check = Check(
        id=f"env-file:{path.name}",
        title=f"{path.name} holds the settings of the plan",
        status=Status.FAIL if differing else Status.PASS,
        seen=f"{', '.join(differing)} not as written" if differing else done or "every entry as it should be",
        needed=", ".join(entries) or "the file",
        next_step=f"see who else writes {path}, then invoke phase --only 2" if differing else "",
        owner="Platform/API Lead",
        at=stamp(SystemClock().now()),
    )
    return {
        "checks": journal(module, [check]),
        "changed": ensured.changed,
        "created": ensured.created,
        "changed_names": list(ensured.changed_names),
        "diff": {
            "before_header": str(path),
            "after_header": str(path),
            "before": redact_env(before),
            "after": redact_env(ensured.text),
        },
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "example": {"type": "path"},
            "entries": {"type": "dict", "default": {}, "no_log": False},
            **JOURNAL,
        },
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
