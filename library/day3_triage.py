#!/usr/bin/python
"""Write the likely causes of a phase that did not pass."""

DOCUMENTATION = r"""
module: day3_triage
short_description: Write why a phase likely did not pass, beside its verdict
description:
  - Looks in the checks of the concluded phase, the records of its runs and the logs for the signs of known causes, and
    writes the causes they speak for to C(phaseN.triage.json), each with what was seen, its owner and the next command.
  - It changes neither verdict nor exit code, and it sees no label.
attributes:
  check_mode:
    support: full
    description: It looks, and tells whether the file would change.
  diff_mode:
    support: none
    description: Triage is evidence, not configuration.
options:
  data_root:
    description: Folder C(data/day3) of the target.
    type: path
    required: true
  phase:
    description: Number of the phase.
    type: int
    choices: [1, 2, 3, 4, 5]
    required: true
  causes:
    description: The known causes.
    type: path
    required: true
  causes_schema:
    description: JSON Schema of the known causes.
    type: path
    required: true
  policy:
    description: The policy; a cause belongs to one of its roles.
    type: path
    required: true
  policy_schema:
    description: JSON Schema of the policy.
    type: path
    required: true
  request_template:
    description: What the requests were made of; without it nothing is said about what they lack.
    type: path
  logs:
    description: Logs of the stack, as M(day3_log_info) takes them.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      path:
        description: Its log file.
        type: path
        required: true
      tail:
        description: Read at most this many of its last lines; 0 reads all.
        type: int
        default: 0
      offset:
        description: Byte to read from.
        type: int
        default: 0
  inspect:
    description: Whether the container engine may be asked what the health check of an unhealthy container said.
    type: bool
    default: false
  docker_host:
    description: Engine to ask.
    type: str
    default: ""
  timeout:
    description: Seconds the engine may take for an answer.
    type: float
    default: 15
author: Solid Green maintainers (@solidgreen)
"""

EXAMPLES = r"""
- name: Look for the cause
  day3_triage:
    data_root: "{{ triage_data_root }}"
    phase: 3
    causes: "{{ triage_causes }}"
    causes_schema: "{{ triage_causes_schema }}"
    policy: "{{ triage_policy }}"
    policy_schema: "{{ triage_policy_schema }}"
    logs: "{{ triage_logs }}"
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: success
triage:
  description: Phase, sentence, and a line a likely cause, the likeliest first.
  type: dict
  returned: success
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.day3_module import finish
from ansible.module_utils.day3_triage import CAUSES, load_causes, read_logs, sent_fields
from ansible.module_utils.solidgreen import jsonio, policy, triage
from ansible.module_utils.solidgreen.freeze import system_command
from ansible.module_utils.solidgreen.paths import DataRoot


def work(module: AnsibleModule) -> dict[str, Any]:
    """Look for causes and write what was found."""
    params = module.params
    root, number = DataRoot(Path(params["data_root"])), params["phase"]
    rules = policy.load(Path(params["policy"]), Path(params["policy_schema"]))
    known = load_causes(params, rules)
    verdict = jsonio.read_json(root.phase(number))
    logs = [*read_logs(params)]
    if params["inspect"]:
        logs += triage.health_logs(verdict, system_command(params["timeout"]), params["docker_host"])
    evidence = triage.gather(root, verdict, policy=rules, sent=sent_fields(params), logs=logs)
    found = triage.report(evidence, verdict, known)
    path = root.triage(number)
    changed = jsonio.read_json_or_none(path) != found
    if changed and not module.check_mode:
        jsonio.write_json(path, found)
    short = {"phase": number, "sentence": found["sentence"], "lines": found["lines"], "path": str(path)}
    return {"changed": changed, "path": str(path), "triage": short}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "data_root": {"type": "path", "required": True},
            "phase": {"type": "int", "choices": [1, 2, 3, 4, 5], "required": True},
            **CAUSES,
            "inspect": {"type": "bool", "default": False},
            "docker_host": {"type": "str", "default": ""},
            "timeout": {"type": "float", "default": 15},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: work(module))


if __name__ == "__main__":
    main()
